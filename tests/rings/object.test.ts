/** A C program that includes bpfjit_helpers.h: one record made three ways, and a packet in fragments behind it. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { lowerObject } from "../../compiler/lowering/index.ts";
import { readObject } from "../../compiler/object/index.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { createRuntime, openReader, type PerfEventArrayMap } from "../../runtime/index.ts";
import { ERRNO } from "../../spec/index.ts";

async function linked() {
  const object = readObject(new Uint8Array(readFileSync(new URL("./fixtures/records.bpf.o", import.meta.url))), {
    name: "records",
  });
  const programs = object.programs.map((outcome) => {
    if (!outcome.ok) throw outcome.error;
    const result = verify(outcome.program, { logLevel: 1 });
    if (result.verdict !== "accepted") throw new Error(`${outcome.program.name}: ${result.log}`);
    return result.program;
  });
  const { license, maps, types } = object;
  const runtime = createRuntime({ cpus: 1 });
  const { programs: byName, maps: byMap } = await runtime.link(
    await lowerObject({ name: "records", license, maps, types, programs }),
  );
  const events = byMap.events as PerfEventArrayMap;
  events.openBuffer(0, { pages: 16 });
  const reader = openReader(events);
  const read = (): string[] => {
    const records: string[] = [];
    reader.drain((address, length) => {
      records.push(Buffer.from(runtime.world.bytes.slice(address, address + length)).toString("hex"));
    });
    return records;
  };
  return { byName, read };
}

describe("a record in C", () => {
  it("is the same, made on the stack or in place", async () => {
    const { byName, read } = await linked();
    expect(byName.from_stack!.testRun({ dataIn: new Uint8Array(64) }).retval).toBe(0);
    expect(byName.in_place!.testRun({ dataIn: new Uint8Array(64) }).retval).toBe(0);
    const [first, second, ...more] = read();
    expect(first).toMatch(/^2800000000000000780000000100000074687265652077617973/);
    expect([second, more]).toEqual([first, []]);
  });

  it("has the packet behind it, 9,000 bytes in three fragments, of a length that the packet says", async () => {
    const { byName, read } = await linked();
    const packet = new Uint8Array(9000).map((_, index) => index * 5);
    const dataIn = packet.subarray(0, 1000);
    const fragments = [packet.subarray(1000, 4500), packet.subarray(4500)];
    for (const length of [0, 4, 999, 1001, 4500, 8999, 9000]) {
      new DataView(packet.buffer).setUint32(0, length, true);
      const result = byName.with_packet!.testRun({ dataIn, fragments });
      expect(result.retval).toBe(0);
      expect(Buffer.compare(result.dataOut!, packet)).toBe(0);
      const [record] = read();
      expect(record!.slice(64, 64 + 2 * length)).toBe(Buffer.from(packet.subarray(0, length)).toString("hex"));
    }
    new DataView(packet.buffer).setUint32(0, 9001, true);
    expect(byName.with_packet!.testRun({ dataIn, fragments }).retval).toBe(ERRNO.EFAULT);
  });
});
