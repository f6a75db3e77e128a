/** Batches of events of several hooks and CPUs: each event through its own hook's programs, counted one by one. */
import { describe, expect, it } from "vitest";
import { writeEvent } from "../../runtime/event.ts";
import { createRuntime, type Runtime } from "../../runtime/index.ts";
import { CPU, EVENT } from "../../spec/index.ts";
import { Random } from "../random/rng.ts";
import { compile } from "./compile.ts";
import { handMadeObject, OP } from "./module.ts";

/** The order in which programs ran, as a number of base 7 modulo 2^64, and the CPUs that they saw. */
const APPEND = (name: string, digit: number): string => `
; prog: tracepoint name=${name} license=GPL
; map: out array key=4 value=16 max=1
  call bpf_get_smp_processor_id
  r7 = map[out][0] ll
  r1 = *(u64 *)(r7 + 0)
  r1 *= 7
  r1 += ${digit}
  *(u64 *)(r7 + 0) = r1
  r1 = *(u64 *)(r7 + 8)
  r1 *= 5
  r1 += r0
  *(u64 *)(r7 + 8) = r1
  r0 = 0
  exit
`;
/** Calls the embedder. */
const PRINT = `
; prog: tracepoint name=print license=GPL
  r1 = 97
  *(u64 *)(r10 - 8) = r1
  r1 = r10
  r1 += -8
  r2 = 8
  r3 = 0
  call bpf_trace_printk
  r0 = 0
  exit
`;

interface Place {
  readonly hook: number;
  readonly cpu: number;
}

function writeEvents(runtime: Runtime, places: readonly Place[]): number {
  const { world } = runtime;
  const events = world.arena.allocate(places.length * EVENT.bytes + 8);
  places.forEach(({ hook, cpu }, index) => {
    writeEvent(world.view, events + index * EVENT.bytes, {
      ctx: events + places.length * EVENT.bytes,
      cpu: world.arena.cpu(cpu),
      task: world.idleTask,
      hook,
      ctxBytes: 8,
      timeNs: BigInt(index),
    });
  });
  return events;
}

const same = (count: number, place: Place): Place[] => Array.from({ length: count }, () => place);

describe("a batch", () => {
  it("runs every event on its CPU through the programs of its hook, in order", async () => {
    const random = new Random(11);
    await using runtime = createRuntime({ cpus: 4 });
    const object = await runtime.link(await compile(APPEND("a", 1), APPEND("b", 2), APPEND("c", 3)));
    const { a, b, c } = object.programs;
    const attached = [[], [a!], [b!, c!], [c!]];
    const hooks = attached.map((_, index) => runtime.hooks.get("tracepoint", `test/${index}`));
    const links = attached.map((programs, index) => programs.map((program) => hooks[index]!.attach(program)));
    let [order, cpus] = [0n, 0n];
    const counts = [0, 0, 0, 0];
    for (let round = 0; round < 50; round++) {
      const places: Place[] = [];
      for (let stretch = random.between(1, 12); stretch > 0; stretch--) {
        const [index, cpu] = [random.below(4), random.below(4)];
        for (let count = random.between(1, 4); count > 0; count--) {
          places.push({ hook: hooks[index]!.address, cpu });
          counts[index]!++;
          for (const program of attached[index]!) {
            order = BigInt.asUintN(64, order * 7n + BigInt([a, b, c].indexOf(program) + 1));
            cpus = BigInt.asUintN(64, cpus * 5n + BigInt(cpu));
          }
        }
      }
      const events = writeEvents(runtime, places);
      expect(runtime.hooks.fireBatch(events, places.length)).toBe(places.length);
      runtime.world.arena.free(events);
    }
    const bytes = object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array;
    expect([...new BigUint64Array(Uint8Array.from(bytes).buffer)]).toEqual([order, cpus]);
    expect(links.map((list) => list.map(({ runs, misses }) => [runs, misses]))).toEqual(
      attached.map((programs, index) => programs.map(() => [counts[index], 0])),
    );
  });

  it("is counted up to the event under way, for who looks in its middle", async () => {
    const seen: number[] = [];
    await using runtime = createRuntime({ trace: () => seen.push(link.runs) });
    const hook = runtime.hooks.get("tracepoint", "test/print");
    const link = hook.attach((await runtime.link(await compile(PRINT))).programs.print!);
    const events = writeEvents(runtime, same(5, { hook: hook.address, cpu: 0 }));
    runtime.hooks.fireBatch(events, 5);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(link.runs).toBe(5);
  });

  it("is counted although runs inside of it look, on the same hook and CPU", async () => {
    let depth = 0;
    await using runtime = createRuntime({
      trace: () => {
        if (++depth % 3 === 1) runtime.hooks.fireBatch(events, 2);
      },
    });
    const hook = runtime.hooks.get("tracepoint", "test/print");
    const link = hook.attach((await runtime.link(await compile(PRINT))).programs.print!);
    const events = writeEvents(runtime, same(4, { hook: hook.address, cpu: 0 }));
    runtime.hooks.fireBatch(events, 4);
    expect(link.runs).toBe(depth);
    expect(depth).toBeGreaterThan(4);
  });

  it("that attaches in its middle goes on with what is attached then", async () => {
    let change: (() => void) | null = null;
    await using runtime = createRuntime({ trace: () => change?.() });
    const { a } = (await runtime.link(await compile(APPEND("a", 1)))).programs;
    const hook = runtime.hooks.get("tracepoint", "test/print");
    const print = hook.attach((await runtime.link(await compile(PRINT))).programs.print!);
    const added: { readonly runs: number }[] = [];
    change = () => {
      change = null;
      added.push(hook.attach(a!));
    };
    const events = writeEvents(runtime, same(4, { hook: hook.address, cpu: 0 }));
    expect(runtime.hooks.fireBatch(events, 4)).toBe(4);
    expect([print.runs, added[0]!.runs]).toEqual([4, 3]);
    change = () => print.detach();
    expect(runtime.hooks.fireBatch(events, 4)).toBe(4);
    expect([print.runs, added[0]!.runs]).toEqual([5, 6]);
  });

  it("that traps has counted what started", async () => {
    await using runtime = createRuntime();
    const hook = runtime.hooks.get("tracepoint", "test/boom");
    const link = hook.attach((await runtime.link(handMadeObject("boom", { body: [OP.unreachable] }))).programs.boom!);
    const events = writeEvents(runtime, same(3, { hook: hook.address, cpu: 0 }));
    // as a compiled batch loop notes it before each run
    runtime.world.view.setUint32(runtime.world.arena.cpu(0) + CPU.event, events + EVENT.bytes, true);
    expect(() => runtime.hooks.fireBatch(events, 3)).toThrow(expect.objectContaining({ code: "PROGRAM_TRAPPED" }));
    expect(link.runs).toBe(2);
  });
});
