/** Events of a hook from plain bytes: the same as fired one by one, for every kind of hook that takes them. */
import { describe, expect, it } from "vitest";
import { UsageError } from "../../base/index.ts";
import type { Hook } from "../../runtime/hook.ts";
import type { HookKind } from "../../spec/index.ts";
import { loadProbes } from "./probes.ts";

const words = (...values: bigint[]): Uint8Array => new Uint8Array(new BigUint64Array(values).buffer);
const concat = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const registers = (index: number): Uint8Array =>
  words(...Array.from({ length: 21 }, (_, at) => BigInt(at * 1000 + index)));

/** One event of each kind, by its number. */
const EVENTS: readonly { program: string; kind: HookKind; name: string; record: (index: number) => Uint8Array }[] = [
  {
    program: "on_tracepoint",
    kind: "tracepoint",
    name: "sched/sched_switch",
    record: (index) => new Uint8Array(64).fill(index),
  },
  {
    program: "on_raw",
    kind: "raw_tracepoint",
    name: "sched_switch",
    record: (index) => words(1n, 0n, 0n, BigInt(index)),
  },
  { program: "on_kprobe", kind: "kprobe", name: "do_unlinkat", record: registers },
  { program: "on_kretprobe", kind: "kretprobe", name: "do_unlinkat", record: registers },
  { program: "on_fentry", kind: "fentry", name: "do_unlinkat", record: (index) => words(BigInt(index), 0n) },
  { program: "on_fexit", kind: "fexit", name: "do_unlinkat", record: (index) => words(BigInt(index), 0n, 5n) },
  {
    program: "on_perf_event",
    kind: "perf_event",
    name: "cpu-clock",
    record: (index) => concat([registers(index), words(100n, BigInt(index))]),
  },
];

async function prepared(program: string, kind: HookKind, name: string) {
  const { object, seen } = await loadProbes([program]);
  const hook: Hook = object.runtime.hooks.get(kind, name);
  const link = object.program(program).attach({ hook, cookie: 9n });
  return { object, hook, link, seen };
}
const sameAddress = (records: readonly unknown[]): unknown[] => records.map((record) => ({ ...(record as object) }));

describe("a batch of events from bytes", () => {
  it.each(EVENTS)(
    "of $kind runs programs as events that are fired one by one",
    async ({ program, kind, name, record }) => {
      const { hook, seen, link } = await prepared(program, kind, name);
      const records = Array.from({ length: 5 }, (_, index) => record(index));
      const options = { timeNs: 7n, task: { pid: 3, comm: "x" } };
      for (const one of records) hook.fire(one, options);
      const single = sameAddress(seen());
      hook.fireBatch(concat(records), records.length, options);
      expect(sameAddress(seen())).toEqual(single);
      expect([single.length, link.runs]).toEqual([5, 10]);
    },
  );

  it("may be longer than what is copied at once, and change its length and options", async () => {
    const { object, hook, seen } = await prepared("on_raw", "raw_tracepoint", "sched_switch");
    const many = (count: number, extra: number) =>
      concat(
        Array.from({ length: count }, (_, index) => words(0n, 0n, 0n, BigInt(index), ...Array<bigint>(extra).fill(0n))),
      );
    const counts: number[] = [];
    let values: bigint[] = [];
    const drain = (): void => {
      values = values.concat(seen().map((record) => (record as unknown as { value: bigint }).value));
    };
    const used = () => object.runtime.world.arena.usedBytes;
    for (const [count, extra] of [
      [3000, 0],
      [3000, 1],
      [10, 0],
      [1, 0],
      [0, 0],
    ] as const) {
      values = [];
      hook.fireBatch(many(count, extra), count, { drain, cpu: 0 });
      drain();
      counts.push(values.length);
      expect(values).toEqual(Array.from({ length: count }, (_, index) => BigInt(index)));
    }
    expect(counts).toEqual([3000, 3000, 10, 1, 0]);
    const before = used();
    for (let round = 0; round < 100; round++) hook.fireBatch(many(1, 0), 1);
    expect(used()).toBe(before);
  });

  it("refuses what is no event of the hook", async () => {
    const { object, hook } = await prepared("on_raw", "raw_tracepoint", "sched_switch");
    expect(() => hook.fireBatch(new Uint8Array(100), 3)).toThrow(UsageError);
    expect(() => hook.fireBatch(new Uint8Array(16), 2)).toThrow("programs read");
    expect(() => hook.fireBatch(new Uint8Array(36), 1)).toThrow("not made of words");
    expect(() => object.runtime.hooks.get("xdp", "lo").fireBatch(new Uint8Array(64), 1)).toThrow("one by one");
  });
});
