/** Records as users read them: in place with views by BTF, in batches, followed to the end; and what waits, ends. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type LoadedObject, load } from "../../api/index.ts";
import type { PerfEventArrayMap } from "../../runtime/index.ts";

const OBJECT = new Uint8Array(readFileSync(new URL("./fixtures/records.bpf.o", import.meta.url)));

let object: LoadedObject;
beforeEach(async () => {
  object = await load(OBJECT, { runtimeOptions: { cpus: 3 } });
});
afterEach(() => object.close());

/** A record of the program `in_place`; its `length` is 40 plus the receive queue. */
const write = (cpu = 0, timeNs = 0n): number =>
  object.program("in_place").testRun({ dataIn: new Uint8Array(64), cpu, timeNs }).retval;

describe("a typed reader", () => {
  it("shows each record in place, by a view on the buffer", () => {
    const reader = object.reader("events", { type: "record" });
    for (const time of [1n, 2n, 3n]) expect(write(1, time)).toBe(0);
    const { arena } = object.runtime.world;
    const seen: unknown[] = [];
    let views = new Set<unknown>();
    const count = reader.drain((record) => {
      const view = record.view!;
      views.add(view);
      seen.push([
        record.map,
        record.cpu,
        record.time,
        view.length,
        view.first,
        view.kind,
        view.name,
        record.bytes.length,
      ]);
      expect(record.bytes.buffer).toBe(arena.bytes.buffer);
      // the view reads the buffer, it does not hold what was there
      arena.view.setUint32(view.$address + 8, 5, true);
      expect(view.first).toBe(5);
    }, 2);
    expect(count).toBe(2);
    expect(views.size).toBe(1);
    expect(seen).toEqual([1n, 2n].map((time) => ["events", 1, time, 40n, 120, 1, "three ways", 36]));
    views = new Set();
    expect(reader.drain(() => {})).toBe(1);
  });

  it("refuses a record behind its callback, unless it was copied", () => {
    const reader = object.reader("events", { type: "record" });
    write();
    let kept: Parameters<Parameters<typeof reader.drain>[0]>[0] | undefined;
    const copies: unknown[] = [];
    reader.drain((record) => {
      kept = record;
      copies.push(record.copy());
    });
    write();
    for (const read of [() => kept!.view, () => kept!.bytes, () => kept!.copy()])
      expect(read).toThrow(expect.objectContaining({ code: "USAGE" }));
    expect(copies).toMatchObject([{ map: "events", fields: { first: 120, name: "three ways" } }]);
  });

  it("gives batches of what is there, and ends", async () => {
    const reader = object.reader("events", { type: "record" });
    for (let n = 0; n < 10; n++) write(n % 3);
    const sizes: number[] = [];
    const reading = (async () => {
      for await (const batch of reader.batches(4)) sizes.push(batch.length);
    })();
    await sleep(5);
    expect(sizes).toEqual([4, 4, 2]);
    write();
    write();
    await sleep(5);
    reader.end();
    await reading;
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(12);
  });

  it("follows a buffer to its end, waiting in between", async () => {
    const reader = object.reader("events", { type: "record" });
    let seen = 0;
    const following = reader.follow((record) => {
      seen += record.view!.kind as number;
    });
    for (let round = 0; round < 3; round++) {
      write();
      write();
      await sleep(3);
    }
    expect(seen).toBe(6);
    write();
    reader.end();
    expect(await following).toBe(7);
    const next = object.reader("events");
    next.close();
  });

  it("ends what waits when it is closed, aborted, or when its callback throws", async () => {
    const reader = object.reader("events");
    const following = reader.follow(() => {});
    await sleep(2);
    reader.close();
    expect(await following).toBe(0);

    const controller = new AbortController();
    const aborted = object.reader("events", { signal: controller.signal });
    const batches = aborted.batches().next();
    await sleep(2);
    controller.abort(new Error("enough"));
    await expect(batches).rejects.toThrow("enough");

    const throwing = object.reader("events");
    const thrown = throwing.follow(() => {
      throw new Error("mine");
    });
    write();
    await expect(thrown).rejects.toThrow("mine");
    object.reader("events").close();
  });

  it("gives records of all CPUs in order of their time where asked", () => {
    const reader = object.reader("events", { ordered: true });
    const times = Array.from({ length: 60 }, (_, n) => BigInt(1000 + n));
    for (const [n, time] of times.entries()) write((n * 7) % 3, time);
    const seen: (bigint | null)[] = [];
    reader.drain((record) => seen.push(record.time));
    expect(seen).toEqual(times);
  });

  it("reads the consumer's own format by the framing that it is given", () => {
    const map = object.map("events").raw as PerfEventArrayMap;
    for (let cpu = 0; cpu < 3; cpu++) map.openBuffer(cpu, { pages: 1, format: "bare" });
    const reader = object.reader("events", { type: "record", framing: () => 32 });
    write(2);
    write(2);
    const seen: unknown[] = [];
    reader.drain((record) => seen.push([record.cpu, record.bytes.length, record.view!.name]));
    expect(seen).toEqual([
      [2, 32, "three ways"],
      [2, 32, "three ways"],
    ]);
  });
});
