/**
 * What a program leaves in perf buffers and ring buffers, against the kernel: the same XDP program over the same packets,
 * record for record, headers and padding included, with the answers of the helpers and the wake-ups of readers.
 * UPDATE=1 records the kernel's answers anew.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { describe, expect, it } from "vitest";
import { createRuntime, type PerfEventArrayMap, type RingbufMap } from "../../runtime/index.ts";
import { PERF_BUFFER, PERF_SAMPLE, RING } from "../../spec/index.ts";
import { compile } from "../runtime/compile.ts";
import { type Answers, askKernel, backward } from "./kernel/kernel.ts";
import {
  CURRENT_CPU,
  DATA_BYTES,
  PERF_PROGRAM,
  packetOf,
  perfRecords,
  RING_PROGRAM,
  ringRecords,
  type Scenario,
  type Step,
} from "./scenario.ts";

const output = (size: number, flags = CURRENT_CPU): Step => ({ output: { flags, size } });
const packet = (size: number, more: number, packet: number, linear?: number): Step => ({
  output: { flags: CURRENT_CPU | (BigInt(more) << 32n), size, packet, ...(linear === undefined ? {} : { linear }) },
});
const ring = (call: 0 | 1 | 2 | 3 | 4 | 5, size = 0, flags = 0n): Step => ({ ring: { call, flags, size } });
const times = (count: number, step: (index: number) => Step | Step[]): Step[] =>
  Array.from({ length: count }, (_, index) => step(index)).flat();
const DUMP: Step = { dump: true };
const SEEN: Step = { seen: true };
const { IDENTIFIER, TID, TIME, ADDR, ID, STREAM_ID, CPU, PERIOD, RAW } = PERF_SAMPLE;

/**
 * The kernel leaves in a record's padding what was there before, bpfjit zeros. Where that shows, records have none: where
 * room is used again, and behind records whose end the kernel writes over others.
 */
const unpadded = (size: number): number => (size & ~7) + 4;

/** Sizes whose records, wrapped around a page of data, leave nothing unread. */
function wraps(): Step[] {
  let head = 0;
  return times(60, (index) => {
    const size = unpadded((index * 97) % 900);
    const before = head;
    head += 8 + ((size + 4 + 7) & ~7);
    return [{ tail: before }, output(size), DUMP];
  });
}

/** The same for the ring, whose records are not padded but aligned. */
function ringWraps(): Step[] {
  let head = 0;
  return times(40, (index) => {
    const size = (index * 173) % 1500;
    const before = head;
    head += (8 + size + 7) & ~7;
    return [{ consume: before }, ring(0, size), { ringDump: true }];
  });
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "a fresh buffer",
    steps: [{ buffer: { slot: 0, pages: 4 } }, ...times(40, (index) => output(index)), output(3000), DUMP],
  },
  {
    name: "all fields of a sample",
    steps: [
      {
        buffer: {
          slot: 0,
          pages: 1,
          sampleType: IDENTIFIER | TID | TIME | ADDR | ID | STREAM_ID | CPU | PERIOD | RAW,
        },
      },
      output(9),
      output(12),
      DUMP,
    ],
  },
  ...[TID, TIME | RAW, CPU | PERIOD, ID | RAW, 0, TID | STREAM_ID | RAW].map((sampleType) => ({
    name: `sample type 0x${sampleType.toString(16)}`,
    steps: [{ buffer: { slot: 0, pages: 1, sampleType } }, output(9), output(70_000), DUMP],
  })),
  {
    name: "errors",
    steps: [
      output(8),
      { buffer: { slot: 1, cpu: 1, pages: 1 } },
      { buffer: { slot: 2, cpu: 0, pages: 1 } },
      ...[CURRENT_CPU, 1n, 2n, 3n, 4n, 77n, 1n << 52n, CURRENT_CPU | (1n << 63n), CURRENT_CPU | (65n << 32n)].map(
        (flags) => output(8, flags),
      ),
      DUMP,
    ],
  },
  {
    name: "a full buffer, and what was lost",
    steps: [
      { buffer: { slot: 0, pages: 1 } },
      ...times(40, () => output(100)),
      { tail: 112 },
      output(100),
      { tail: 1120 },
      output(60),
      output(60),
      DUMP,
      ...times(40, () => output(20)),
      { tail: 4032 },
      output(4050),
      output(4),
      DUMP,
    ],
  },
  { name: "wraps", steps: [{ buffer: { slot: 0, pages: 1 } }, ...wraps()] },
  {
    name: "records that 16 bits cannot measure",
    steps: [
      { buffer: { slot: 0, pages: 128 } },
      ...[4, 65_507, 65_508, 65_516, 65_517, 65_524, 4, 65_525, 65_532, 65_533, 65_540, 70_004, 130_996, 12].flatMap(
        (size) => output(size),
      ),
      DUMP,
    ],
  },
  ...[
    { wakeupEvents: 1 },
    { wakeupEvents: 0 },
    { wakeupEvents: 3 },
    { wakeupBytes: 1 },
    { wakeupBytes: 512 },
    { wakeupBytes: 5000 },
  ].map((wake) => ({
    name: `wake-ups: ${JSON.stringify(wake)}`,
    steps: [
      { buffer: { slot: 0, pages: 1, ...wake } },
      ...times(60, (index) => [output((index * 5) % 60), SEEN]),
      { tail: 2400 },
      ...times(60, (index) => [output((index * 7) % 60), SEEN]),
    ],
  })),
  {
    name: "a buffer that is overwritten",
    steps: [
      { buffer: { slot: 0, pages: 1, overwrite: true, wakeupEvents: 0 } },
      ...times(5, (index) => [output(20 + 8 * index), SEEN]),
      DUMP,
      ...times(150, (index) => [output(unpadded((index * 37) % 300)), SEEN]),
      DUMP,
    ],
  },
  {
    name: "packets behind the data",
    steps: [
      { buffer: { slot: 0, pages: 16 } },
      ...[0, 1, 16, 63, 64, 65].map((more) => packet(5, more, 64)),
      ...[0, 1, 99, 100, 101, 300, 4000, 9000, 9001].map((more) => packet(7, more, 9000, 100)),
      packet(0, 5000, 6000),
      DUMP,
    ],
  },
  {
    name: "a ring buffer",
    steps: [
      ring(0, 13),
      ring(1),
      ring(2),
      ...[0n, 1n, 2n, 3n, 9n].map((flags) => ring(3, 0, flags)),
      ...[0n, 1n, 2n, 3n, 4n].map((flags) => ring(0, 40, flags)),
      { ringDump: true },
      ring(0, 4096),
      ring(0, 3000),
      ring(2),
      ring(1),
      ring(1),
      { ringDump: true },
      { consume: 112 },
      ring(3, 0, 0n),
      ring(3, 0, 2n),
    ],
  },
  { name: "wraps of a ring buffer", steps: ringWraps() },
  {
    name: "a ring buffer through dynptrs",
    steps: [
      ...[21, 24, 0, 10, 100].map((size) => ring(4, size)),
      ring(5, 64),
      ...[1n, 2n, 3n, 4n].flatMap((flags) => [ring(4, 30, flags), ring(5, 30, flags)]),
      { ringDump: true },
      ring(4, 4089),
      ring(4, 3200),
      ring(4, 400),
      ring(5, 400),
      { ringDump: true },
      { consume: 32 },
      ring(4, 22),
      { ringDump: true },
    ],
  },
];

const RECORDED = new URL("./recorded/rings.json", import.meta.url);
const recorded: Record<string, Answers> = existsSync(RECORDED) ? JSON.parse(readFileSync(RECORDED, "utf8")) : {};
const text = (value: unknown): string => JSON.stringify(value, null, 1);
/** The recorded answers are those of 6.18; others may differ in what they take. */
const asked = process.platform === "linux" && release().startsWith("6.18.") ? SCENARIOS.map(askKernel) : [];
const hasKernel = asked.length > 0 && asked.every((answers) => answers !== null);

if (hasKernel && process.env.UPDATE === "1") {
  SCENARIOS.forEach(({ name }, index) => {
    recorded[name] = asked[index]!;
  });
  writeFileSync(RECORDED, `${JSON.stringify(recorded)}\n`);
}

for (const scenario of SCENARIOS) {
  it(`leaves what the kernel was recorded to leave: ${scenario.name}`, async () => {
    const answers = recorded[scenario.name]!;
    expect(text(await askBpfjit(scenario, answers))).toBe(text(answers.steps));
  });
}

describe.skipIf(!hasKernel)("the running kernel", () => {
  for (const [index, scenario] of SCENARIOS.entries()) {
    it(`leaves the same: ${scenario.name}`, async () => {
      const answers = asked[index]!;
      expect(text(await askBpfjit(scenario, answers))).toBe(text(answers.steps));
    });
  }
});

async function askBpfjit({ steps }: Scenario, { ids, pid }: Answers): Promise<unknown[]> {
  await using runtime = createRuntime({ cpus: 4 });
  await using object = await runtime.link(await compile(PERF_PROGRAM, RING_PROGRAM));
  const { arena } = runtime.world;
  const maps = object.maps;
  const events = maps.events as PerfEventArrayMap;
  const ringMap = maps.ring as RingbufMap;
  maps.data!.update(
    new Uint8Array(4),
    new Uint8Array(DATA_BYTES).map((_, index) => 3 * index),
  );
  const task = { pid, tgid: pid, uid: 0, gid: 0, comm: "rings" };
  const run = (name: "perf" | "ring", step: Step): number => {
    const given = packetOf(step);
    const ctxIn = new Uint8Array(24);
    new DataView(ctxIn.buffer).setUint32(4, given.linear, true);
    const context = given.linear === given.packet.length ? {} : { ctxIn };
    return object.programs[name]!.testRun({ dataIn: given.packet, task, ...context }).retval | 0;
  };
  const word = (address: number): bigint => arena.view.getBigUint64(address, true);
  let opened = 0;
  let buffer = 0;
  let sampleType = 0;
  let seen = 0;
  return steps.map((step) => {
    if ("buffer" in step) {
      const { slot, cpu, pages, wakeupEvents, wakeupBytes, overwrite } = step.buffer;
      sampleType = step.buffer.sampleType ?? RAW;
      const format = overwrite === true ? "overwrite" : "samples";
      const sampleId = BigInt(ids[opened++]!);
      buffer = events.openBuffer(slot, { cpu, pages, sampleType, sampleId, wakeupEvents, wakeupBytes, format });
      return null;
    }
    if ("output" in step) return run("perf", step);
    if ("ring" in step) return run("ring", step);
    if ("seen" in step) {
      const before = seen;
      seen = arena.view.getUint32(buffer + PERF_BUFFER.wakeups, true);
      return seen === before ? 0 : 1;
    }
    if ("tail" in step) arena.view.setBigUint64(buffer + PERF_BUFFER.dataTail, BigInt(step.tail), true);
    else if ("consume" in step) arena.view.setBigUint64(ringMap.ring + RING.consumer, BigInt(step.consume), true);
    else if ("ringDump" in step) {
      const [to, from] = [word(ringMap.ring + RING.producer), word(ringMap.ring + RING.consumer)];
      const bytesAt = contiguous(ringMap.ring + RING.data, ringMap.maxEntries);
      return { producer: String(to), consumer: String(from), records: ringRecords(from, to, bytesAt) };
    } else {
      const [to, from] = [word(buffer + PERF_BUFFER.dataHead), word(buffer + PERF_BUFFER.dataTail)];
      const length = Number(word(buffer + PERF_BUFFER.dataSize));
      const bytesAt = contiguous(buffer + PERF_BUFFER.headerBytes, length);
      if (to > 1n << 63n) return backward(to, length, sampleType, bytesAt);
      return { head: String(to), tail: String(from), records: perfRecords(from, to, sampleType, bytesAt) };
    }
    return null;
  });

  /** Records that reach the end of the data run on into the tail. */
  function contiguous(data: number, length: number) {
    return (position: bigint, bytes: number): Uint8Array => {
      const at = data + Number(position & BigInt(length - 1));
      return arena.bytes.slice(at, at + bytes);
    };
  }
}
