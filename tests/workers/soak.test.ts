/**
 * Two workers change one hash, every key by one CPU, so that a model knows what must be in it; a worker is killed now and then.
 * No difference, no growth, no stall. BPFJIT_SOAK_SECONDS says for how long, default 3.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { createRuntime } from "../../runtime/index.ts";
import { compileWith } from "../runtime/compile.ts";
import { changeEvents, type Payload, placeEvents } from "./events.ts";
import { CHANGE } from "./programs.ts";

const SECONDS = Number(process.env.BPFJIT_SOAK_SECONDS ?? 3);
const CPUS = 4;
/** The map holds just so many. */
const KEYS = 256;
const EVENTS = 4096;
/** so often in a round: long enough to be killed in the middle */
const TIMES = 100;
/** One round in so many is run with a worker killed in it. */
const KILL_EVERY = 4;
const LONGEST_ROUND_MS = 20_000;

/** Mulberry32, so that a failure can be run again: the seed is printed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

function apply(model: Map<number, bigint>, { key, number }: Payload): void {
  const operation = number & 3;
  const value = model.get(key);
  if (operation < 2) model.set(key, BigInt(number));
  else if (operation === 2) model.delete(key);
  else if (value !== undefined) model.set(key, value + BigInt(number));
}

it(
  "a hash under two workers holds what a model says, also when they are killed",
  async () => {
    const seed = Number(process.env.BPFJIT_SOAK_SEED ?? Date.now() & 0xffff);
    const next = random(seed);
    const payload = (n: number): Payload => ({
      key: (n % CPUS) + CPUS * (next() % (KEYS / CPUS)),
      number: next() & 0x7fff_ffff,
    });
    await using runtime = createRuntime({ cpus: CPUS, workers: 2 });
    const object = await runtime.link(await compileWith({ optimize: 2 }, CHANGE));
    object.programs.change!.attach();
    const map = object.maps.keys!;
    const crew = runtime.crew!;
    const events = placeEvents(runtime, EVENTS, () => ({ key: 0, number: 2 }));
    await crew.run(events, EVENTS);
    const usedBytes = runtime.world.arena.usedBytes;
    let model = new Map<number, bigint>();
    const end = performance.now() + SECONDS * 1000;
    let rounds = 0;
    for (; performance.now() < end; rounds++) {
      const payloads = Array.from({ length: EVENTS }, (_, n) => payload(n));
      changeEvents(runtime, events, EVENTS, (n) => payloads[n]!);
      const before = crew.losses.length;
      const started = performance.now();
      const running = crew.run(events, EVENTS, { times: TIMES });
      if (rounds % KILL_EVERY === 0) {
        await sleep(next() % 20);
        await crew.kill(1 + (next() % 2));
      }
      expect(await running).toBe(EVENTS * TIMES);
      expect(performance.now() - started).toBeLessThan(LONGEST_ROUND_MS);

      for (let time = 0; time < TIMES; time++) for (const one of payloads) apply(model, one);
      const found = new Map(
        [...map.entries()].map(({ key, value }) => [
          Buffer.from(key).readUInt32LE(),
          Buffer.from(value as Uint8Array).readBigUInt64LE(),
        ]),
      );
      const keys = new Set([...model.keys(), ...found.keys()]);
      const different = [...keys].filter((key) => model.get(key) !== found.get(key));
      // the events in which workers died are done or not
      const open = crew.losses.slice(before).filter(({ inEvent }) => inEvent).length;
      expect(different.length, `seed ${seed}, round ${rounds}`).toBeLessThanOrEqual(open);
      expect(map.size).toBe(found.size);
      model = found;
    }
    expect(runtime.world.arena.usedBytes).toBe(usedBytes);
    if (process.env.BPFJIT_SOAK_SECONDS !== undefined) {
      const { losses } = crew;
      const inMap = losses.filter(({ maps }) => maps.length > 0).length;
      process.stdout.write(
        `${rounds} rounds of ${EVENTS * TIMES} events, ${losses.length} deaths, ${losses.filter(({ inEvent }) => inEvent).length} in an event, ${inMap} in a change of the map; seed ${seed}\n`,
      );
    }
    expect(rounds).toBeGreaterThan(3);
    expect(crew.losses.length).toBeGreaterThan(0);
  },
  SECONDS * 1000 + 60_000,
);
