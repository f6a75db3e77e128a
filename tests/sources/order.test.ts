/** The merge of runs against a plain stable sort. */
import { describe, expect, it } from "vitest";
import { RunQueue } from "../../runtime/sources/order.ts";
import { makeRandom } from "./damage.ts";

/** Everything up to `limit`, as [time, record] in order. */
function take(queue: RunQueue, limit: number): [number, number][] {
  queue.begin(limit);
  const entries = [...queue.order.subarray(0, queue.ready)];
  const taken = entries.map((entry): [number, number] => [queue.times[entry]!, queue.records[entry]!]);
  queue.finish();
  return taken;
}
function fill(queue: RunQueue, times: readonly number[], from = 0): void {
  for (const [index, time] of times.entries()) queue.push(time, from + index, 0);
}

describe("RunQueue", () => {
  it("merges ascending runs, equal times as they were queued", () => {
    const queue = new RunQueue();
    fill(queue, [1, 3, 5, 5, 2, 3, 5, 9, 0, 5]);
    expect(take(queue, Number.POSITIVE_INFINITY).map(([, record]) => record)).toEqual([8, 0, 4, 1, 5, 2, 3, 6, 9, 7]);
    expect(queue.length).toBe(0);
  });

  it("keeps what lies beyond the limit, in its order", () => {
    const queue = new RunQueue();
    fill(queue, [1, 4, 6, 2, 4, 7]);
    expect(take(queue, 4)).toEqual([
      [1, 0],
      [2, 3],
      [4, 1],
      [4, 4],
    ]);
    expect(queue.length).toBe(2);
    fill(queue, [6, 8], 10);
    expect(take(queue, Number.POSITIVE_INFINITY).map(([, record]) => record)).toEqual([2, 10, 5, 11]);
  });

  it("is a stable sort, however rounds fall (200 random cases)", () => {
    const random = makeRandom(7);
    for (let round = 0; round < 200; round++) {
      const queue = new RunQueue();
      const times = Array.from({ length: 1 + random(300) }, () => random(40));
      // ascending stretches of random length, as buffers of CPUs are
      for (let at = 0; at < times.length; ) {
        const length = 1 + random(20);
        const sorted = times.slice(at, at + length).sort((a, b) => a - b);
        times.splice(at, length, ...sorted);
        at += length;
      }
      fill(queue, times);
      const expected = times.map((time, record): [number, number] => [time, record]).sort(([a], [b]) => a - b);
      const middle = random(40);
      const taken = [...take(queue, middle), ...take(queue, Number.POSITIVE_INFINITY)];
      expect(taken).toEqual(expected);
    }
  });
});
