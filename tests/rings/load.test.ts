/** Many records of several CPUs through small buffers to a reader that is too slow at times: none is bent, all are accounted for. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { load, type PerfEventArrayMap } from "../../api/index.ts";
import { EVENT, PERF_SAMPLE } from "../../spec/index.ts";

const OBJECT = new URL("../../bench/workloads/workloads.bpf.o", import.meta.url);
const PROGRAMS = ["reserve_64", "copy_64", "copy_16", "reserve_256"];
const EVENTS = 1024;
const CONTEXT_BYTES = 64;

it("what programs made is what was read and what was lost, and every record read is whole", async () => {
  const object = await load(new Uint8Array(readFileSync(OBJECT)), { programs: PROGRAMS, runtimeOptions: { cpus: 2 } });
  const { runtime } = object;
  const { arena, idleTask } = runtime.world;
  const map = object.map("perf").raw as PerfEventArrayMap;
  const sampleType = PERF_SAMPLE.RAW | PERF_SAMPLE.TIME;
  for (const cpu of [0, 1]) map.openBuffer(cpu, { pages: 16, sampleType });
  const hook = runtime.hooks.get("tracepoint", "bench/event");
  for (const program of PROGRAMS) hook.attach(object.program(program));
  // words of an event count up from a number of its own, and records repeat the words
  const contexts = arena.allocate(CONTEXT_BYTES * EVENTS, 64);
  const events = arena.allocate(EVENTS * EVENT.bytes, 64);
  const { view } = arena;
  for (let index = 0; index < EVENTS; index++) {
    const at = events + index * EVENT.bytes;
    for (let word = 1; word < 8; word++)
      view.setBigUint64(contexts + index * CONTEXT_BYTES + 8 * word, BigInt(index * 7 + word), true);
    view.setUint32(at + EVENT.ctx, contexts + index * CONTEXT_BYTES, true);
    view.setUint32(at + EVENT.cpu, arena.cpu(index & 1), true);
    view.setUint32(at + EVENT.task, idleTask, true);
    view.setUint32(at + EVENT.hook, hook.address, true);
  }
  let reported = 0n;
  const reader = object.reader("perf", {
    onLost: (count) => {
      reported += count;
    },
  });
  let produced = 0;
  let read = 0;
  let bent = 0;
  const take = (): void => {
    reader.drain(({ bytes }) => {
      read += 1;
      const words = new DataView(bytes.buffer, bytes.byteOffset);
      const start = words.getUint32(0, true) - 1;
      // the last 4 bytes are padding
      for (let word = 0; word * 8 + 8 <= bytes.length; word++)
        if (words.getUint32(8 * word, true) !== start + 1 + (word % 7)) bent += 1;
    });
  };
  for (let round = 0; round < 60; round++) {
    for (let done = 0; done < EVENTS; ) {
      const ran = runtime.hooks.fireBatch(events + done * EVENT.bytes, EVENTS - done);
      done += ran;
      produced += ran * PROGRAMS.length;
      if (round % 4 !== 0) take();
    }
  }
  take();
  object.close();
  expect([read + Number(reader.lost), bent]).toEqual([produced, 0]);
  expect(reader.lost).toBeGreaterThan(0n);
  expect(Number(reader.lost)).toBeLessThan(produced / 2);
  expect(reported).toBeLessThanOrEqual(reader.lost);
});
