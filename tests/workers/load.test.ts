/**
 * Two workers that write at full speed and a reader that is too slow at times: records made = read + lost, all that are read
 * are whole and in order. BPFJIT_LOAD_RECORDS says how many records of each kind, default 1,000,000; 100,000,000 take minutes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { createRuntime, openReader, type PerfEventArrayMap } from "../../runtime/index.ts";
import type { KeylessMap } from "../../runtime/maps/index.ts";
import { compileWith } from "../runtime/compile.ts";
import { placeEvents } from "./events.ts";
import { isWhole, PERF_LOAD, RING_LOAD } from "./programs.ts";

const RECORDS = Number(process.env.BPFJIT_LOAD_RECORDS ?? 1_000_000);
const CPUS = 4;
const EVENTS = 4096;
/** Rounds in which nobody waits for the reader, and in which workers do, in turn. */
const LOSING_ROUNDS = 6;
const WAITING_ROUNDS = 30;

const KINDS = [
  ["perf buffers", PERF_LOAD, "events", []],
  ["lanes of a ring buffer", RING_LOAD, "ring", []],
  ["one ring for all", RING_LOAD, "ring", ["ring"]],
] as const;

it.each(KINDS)(
  "nothing is lost unseen in %s",
  async (kind, program, name, strictRings) => {
    await using runtime = createRuntime({ cpus: CPUS, workers: 2 });
    const object = await runtime.link(await compileWith({ optimize: 2 }, program), { strictRings });
    const map = object.maps[name] as KeylessMap;
    if (name === "events")
      for (let cpu = 0; cpu < CPUS; cpu++) (map as PerfEventArrayMap).openBuffer(cpu, { pages: 16 });
    object.programs.load!.attach();
    const events = placeEvents(runtime, EVENTS, () => ({ key: 0, number: 0 }));
    let told = 0n;
    const reader = openReader(map, {
      onLost: (count) => {
        told += count;
      },
    });
    const last = new Float64Array(CPUS);
    let read = 0;
    let bent = 0;
    let late = 0;
    const { arena } = runtime.world;
    const take = (address: number): void => {
      read += 1;
      const words = arena.u32;
      if (!isWhole(words, address / 4)) bent += 1;
      const cpu = words[address / 4]! % CPUS;
      const number = words[address / 4 + 1]!;
      if (number <= last[cpu]!) late += 1;
      last[cpu] = number;
    };
    const relieve = async (): Promise<void> => {
      reader.drain(take);
    };
    const started = performance.now();
    let made = 0;
    for (let round = 0; made < RECORDS; round++) {
      made += await runtime.crew!.run(events, EVENTS, { times: WAITING_ROUNDS, relieve });
      let isOver = false;
      const losing = runtime.crew!.run(events, EVENTS, { times: LOSING_ROUNDS }).finally(() => {
        isOver = true;
      });
      while (!isOver) {
        reader.drain(take);
        await sleep(round % 3);
      }
      made += await losing;
    }
    reader.drain(take);
    const seconds = (performance.now() - started) / 1000;
    const { lost } = reader;
    if (process.env.BPFJIT_LOAD_RECORDS !== undefined)
      process.stdout.write(`${kind}: ${made} made, ${read} read, ${lost} lost, ${seconds.toFixed(1)} s\n`);
    expect([read + Number(lost), bent, late]).toEqual([made, 0, 0]);
    expect(lost).toBeGreaterThan(0n);
    expect(Number(lost)).toBeLessThan(made / 2);
    expect(told).toBeLessThanOrEqual(lost);
    expect(runtime.crew!.losses).toEqual([]);
  },
  3_600_000,
);
