/** Writing samples for programs to drain: room, order, what is typed, who waits, what ends. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type LoadedObject, load } from "../../api/index.ts";
import type { UserRingbufMap } from "../../runtime/index.ts";

const OBJECT = new Uint8Array(readFileSync(new URL("./fixtures/commands.bpf.o", import.meta.url)));
const SAMPLE_BYTES = 24;
/** 4,096 bytes of samples with their headers. */
const FITTING = 4096 / (SAMPLE_BYTES + 8);

let object: LoadedObject;
beforeEach(async () => {
  object = await load(OBJECT);
});
afterEach(() => object.close());

/** Seen × 1000 + wrong × 100 + drained. */
const serve = (flags = 0n): number =>
  object.program("serve").testRun({ ctxIn: new Uint8Array(BigUint64Array.from([flags]).buffer) }).retval | 0;
const command = (id: number, kind = 0) => ({ id, kind, value: BigInt(id) * 10n, name: "x" });

function answers(): unknown[] {
  const found: unknown[] = [];
  const reader = object.reader("answers", { type: "answer" });
  reader.drain((record) => found.push(record.copy().fields));
  reader.close();
  return found;
}

describe("a writer of samples", () => {
  it("gives programs values of a struct, which answer through dynptrs of records", () => {
    using writer = object.writer("commands", { type: "command" });
    expect(writer.write(command(1, 7))).toBe(true);
    expect(writer.write(command(2, 8))).toBe(true);
    expect(serve()).toBe(2002);
    expect(answers()).toEqual([
      { id: 1, bytes: 7, doubled: 20n },
      { id: 2, bytes: 8, doubled: 40n },
    ]);
    expect(serve()).toBe(0);
  });

  it("gives programs bytes, also too few for them", () => {
    using writer = object.writer("commands");
    expect(writer.write(new Uint8Array(4))).toBe(true);
    expect(serve()).toBe(1101);
    expect(() => writer.write(command(1))).toThrow("samples of commands have no type");
  });

  it("reserves in place, in order, and shows what is submitted", () => {
    using writer = object.writer("commands", { type: "command" });
    const [first, second, third] = [writer.reserve()!, writer.reserve()!, writer.reserve()!];
    expect(first.bytes.length).toBe(SAMPLE_BYTES);
    first.bytes.fill(0);
    third.bytes.fill(0);
    third.submit();
    expect(serve()).toBe(0);
    second.discard();
    first.submit();
    expect(serve()).toBe(2002);
    expect(() => first.submit()).toThrow("twice");
  });

  it("says when the ring is full, and goes on behind what was drained", () => {
    using writer = object.writer("commands", { type: "command" });
    for (let round = 0; round < 5; round++) {
      let count = 0;
      while (writer.write(command(count))) count++;
      expect(count).toBe(FITTING);
      expect(writer.freeBytes).toBe(0);
      expect(serve()).toBe(FITTING * 1001);
      expect(writer.freeBytes).toBe(4096);
      expect(answers()).toHaveLength(FITTING);
    }
    expect(() => writer.reserve(4089)).toThrow(expect.objectContaining({ code: "MAP_OPERATION", errno: "E2BIG" }));
    expect(writer.reserve(4088)).not.toBeNull();
  });

  it("waits for room until a program drains", async () => {
    using writer = object.writer("commands", { type: "command" });
    while (writer.write(command(1)));
    let written = false;
    const waiting = writer.writeWhenFree(command(2)).then(() => {
      written = true;
    });
    await sleep(5);
    expect(written).toBe(false);
    expect(serve()).toBe(FITTING * 1001);
    await waiting;
    expect(serve()).toBe(1001);
  });

  it("is woken by every drain, by none with NO_WAKEUP, by an empty one with FORCE_WAKEUP", () => {
    const map = object.map("commands").raw as UserRingbufMap;
    const wakeups = (): number => map.world.arena.view.getUint32(map.word("wake"), true);
    using writer = object.writer("commands", { type: "command" });
    const drain = (flags: bigint): number => {
      const before = wakeups();
      serve(flags);
      return wakeups() - before;
    };
    expect([drain(0n), drain(1n), drain(2n)]).toEqual([0, 0, 1]);
    writer.write(command(1));
    expect(drain(0n)).toBe(1);
    writer.write(command(1));
    expect(drain(1n)).toBe(0);
    writer.write(command(1));
    expect(drain(3n)).toBe(1);
    writer.reserve()!.discard();
    expect(drain(0n)).toBe(1);
  });

  it("stops waiting when its signal says so", async () => {
    const controller = new AbortController();
    using writer = object.writer("commands", { type: "command", signal: controller.signal });
    while (writer.write(command(1)));
    const waiting = writer.reserveWhenFree();
    setTimeout(() => controller.abort(new Error("enough")), 5);
    await expect(waiting).rejects.toThrow("enough");
  });

  it("discards what is left open when it closes; another one goes on", () => {
    const writer = object.writer("commands", { type: "command" });
    const open = writer.reserve()!;
    expect(() => object.writer("commands")).toThrow(expect.objectContaining({ errno: "EBUSY" }));
    writer.close();
    expect(() => open.submit()).toThrow("twice");
    expect(() => writer.write(command(1))).toThrow(expect.objectContaining({ errno: "EBADF" }));
    using other = object.writer("commands", { type: "command" });
    expect(other.write(command(5))).toBe(true);
    expect(serve()).toBe(1001);
    expect(answers()).toEqual([{ id: 5, bytes: 0, doubled: 100n }]);
  });

  it("takes no room for a value that does not fit its struct", () => {
    using writer = object.writer("commands", { type: "command" });
    expect(() => writer.write({ id: "no number" })).toThrow();
    expect(writer.write(command(3))).toBe(true);
    expect(serve()).toBe(1001);
  });

  it("is of user ring buffers only, and of structs that there are", () => {
    expect(() => object.writer("answers")).toThrow("takes no samples");
    expect(() => object.writer("commands", { type: "nothing" })).toThrow("no struct nothing");
  });

  it("leaves the map without elements", () => {
    const map = object.map("commands");
    expect([...map.entries()]).toEqual([]);
    expect(map.size).toBe(0);
    expect(() => map.raw.lookup(new Uint8Array(0))).toThrow("programs drain it");
  });
});
