/**
 * The sampling thread: looks at the words that programs compiled with `profile` write (WORKER.place), at times that nothing
 * they do can fall into step with, and counts what it sees. It has no event loop until it is stopped.
 */
import { parentPort, workerData } from "node:worker_threads";
import { PROFILE_FRAMES, WORKER } from "../../spec/index.ts";
import type { SampledStack, SamplerData, SamplerMessage } from "./sampler.ts";

const { memory, workers, control, intervalUs } = workerData as SamplerData;
const words = new Int32Array(memory.buffer);
const word = (address: number): number => Atomics.load(words, address >> 2) >>> 0;

interface Count {
  readonly places: readonly number[];
  samples: number;
  ms: number;
}
const counts = new Map<string, Count>();

/** A program calls 7 functions deep at most, so no more can be its own. */
const MOST_FRAMES = 7;
/** The words change while they are read: a reading counts that finds them as they were. */
const MOST_READINGS = 8;

const send = (message: SamplerMessage): void => parentPort!.postMessage(message);

send({ kind: "sampling" });
let last = performance.now();
while (Atomics.wait(words, control >> 2, 0, delayMs()) === "timed-out") {
  const now = performance.now();
  for (const worker of workers) sample(worker, now - last);
  last = now;
}
send({ kind: "done", stacks: [...counts.values()].map(toStack) });
parentPort!.close();

/** Between half of the interval and one and a half. */
function delayMs(): number {
  return (intervalUs / 1000) * (0.5 + Math.random());
}

function sample(worker: number, ms: number): void {
  // What is read of a cache line first is as it was at a random moment. The worker takes the line back then, so that what is
  // read next is what it wrote just after: places that it leaves soon would be seen too rarely.
  const place = word(worker + WORKER.place);
  if (word(worker + WORKER.cpu) === 0) return;
  const places = [place, ...readCallers(worker)];
  const key = places.join(" ");
  let count = counts.get(key);
  if (count === undefined) {
    count = { places, samples: 0, ms: 0 };
    counts.set(key, count);
  }
  count.samples += 1;
  count.ms += ms;
}

/** Innermost first. Makes no sense beside the place where a function was called or left meanwhile: the profile sees that. */
function readCallers(worker: number): number[] {
  let callers: number[] = [];
  for (let reading = 0; reading < MOST_READINGS; reading++) {
    const depth = word(worker + WORKER.depth);
    callers = [];
    for (let call = depth - 1; call >= 0 && callers.length < MOST_FRAMES; call--)
      callers.push(word(worker + WORKER.frames + 4 * (call % PROFILE_FRAMES)));
    if (word(worker + WORKER.depth) === depth) break;
  }
  return callers;
}

function toStack({ places, samples, ms }: Count): SampledStack {
  return { places, samples, ns: Math.round(ms * 1e6) };
}
