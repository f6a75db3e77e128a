/** The ambient run context, the batch driver, prog arrays, unaligned atomics, strncmp. */
import { Buffer } from "node:buffer";
import { beforeEach, describe, expect, it } from "vitest";
import { createMap, type ProgArrayMap } from "../../runtime/maps/index.ts";
import {
  CPU,
  CPU_STACK_RESERVE_BYTES,
  ERRNO,
  EVENT,
  EVENT_FLAG,
  HOOK,
  isa,
  LINK,
  NULL_GUARD_BYTES,
  TASK,
  WORKER,
} from "../../spec/index.ts";
import { mapSpec } from "./spec.ts";
import { makeWorld, place, type TestWorld, u32 } from "./world.ts";

let world: TestWorld;
beforeEach(() => {
  world = makeWorld();
});

describe("the ambient context", () => {
  const eventOf = (cpu: number) => world.arena.view.getUint32(world.arena.cpu(cpu) + CPU.event, true);

  it("reads task, CPU and time of the event that runs", () => {
    world.onCpu(2);
    const { view, bytes } = world.arena;
    const event = eventOf(2);
    const task = view.getUint32(event + EVENT.task, true);
    view.setUint32(task + TASK.pid, 0xffff_fffe, true);
    view.setUint32(task + TASK.tgid, 7, true);
    view.setUint32(task + TASK.uid, 1000, true);
    view.setUint32(task + TASK.gid, 0x8000_0001, true);
    view.setBigUint64(task + TASK.taskStruct, 0xffff_c900_0012_3456n, true);
    bytes.set(Buffer.from("a-long-command"), task + TASK.comm);
    view.setBigUint64(event + EVENT.time, 123_456_789_012n, true);
    const { library } = world;
    expect(library.bpf_get_smp_processor_id()).toBe(2);
    expect(BigInt.asUintN(64, library.bpf_get_current_pid_tgid())).toBe((7n << 32n) | 0xffff_fffen);
    expect(BigInt.asUintN(64, library.bpf_get_current_uid_gid())).toBe((0x8000_0001n << 32n) | 1000n);
    expect(BigInt.asUintN(64, library.bpf_get_current_task())).toBe(0xffff_c900_0012_3456n);
    expect(library.bpf_ktime_get_ns()).toBe(123_456_789_012n);
    const to = place(world, new Uint8Array(40).fill(0xee));
    const comm = (size: number) => {
      bytes.fill(0xee, to, to + 40);
      expect(library.bpf_get_current_comm(to, size)).toBe(0);
      expect(bytes[to + size]).toBe(0xee);
      return Buffer.from(bytes.slice(to, to + size)).toString();
    };
    expect(comm(16)).toBe("a-long-command\0\0");
    expect(comm(4)).toBe("a-l\0");
    expect(comm(1)).toBe("\0");
    expect(comm(20)).toBe(`a-long-command${"\0".repeat(6)}`);
    bytes.set(Buffer.from("0123456789abcdef"), task + TASK.comm);
    expect(comm(16)).toBe("0123456789abcde\0");
  });

  it("asks the host's clock where the event has no time of its own", () => {
    world.onCpu(0);
    world.clock = 99n;
    world.arena.view.setUint32(eventOf(0) + EVENT.flags, EVENT_FLAG.liveClock, true);
    expect(world.library.bpf_ktime_get_ns()).toBe(99n);
    expect(world.library.bpf_ktime_get_boot_ns()).toBe(99n);
  });

  it("is empty outside a run", () => {
    const { library } = world;
    const to = place(world, new Uint8Array(16).fill(0xee));
    expect(library.bpf_get_current_pid_tgid()).toBe(BigInt(-ERRNO.EINVAL));
    expect(library.bpf_get_current_comm(to, 16)).toBe(-ERRNO.EINVAL);
    expect([...world.arena.bytes.slice(to, to + 16)]).toEqual(new Array(16).fill(0));
    expect(library.bpf_ktime_get_ns()).toBe(0n);
    expect(library.bpf_get_prandom_u32()).toBe(0);
    // nothing was written below the null guard
    expect(world.arena.bytes.subarray(0, NULL_GUARD_BYTES).every((byte) => byte === 0)).toBe(true);
  });

  it("draws the same random numbers from the same seed, others on another CPU", () => {
    const draw = (seed: number, cpu: number) => {
      const other = makeWorld({ seed });
      other.onCpu(cpu);
      return Array.from({ length: 8 }, () => other.library.bpf_get_prandom_u32());
    };
    expect(draw(5, 1)).toEqual(draw(5, 1));
    expect(draw(5, 1)).not.toEqual(draw(6, 1));
    expect(draw(5, 1)).not.toEqual(draw(5, 2));
    expect(new Set(draw(0, 0)).size).toBe(8);
  });
});

describe("the batch driver", () => {
  /** (module (import "host" "run" (func (param i32) (result i64))) (export "run" (func 0))): a JS function as a program. */
  const MODULE = Uint8Array.of(
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 6, 1, 0x60, 1, 0x7f, 1, 0x7e],
    ...[2, 12, 1, 4, 0x68, 0x6f, 0x73, 0x74, 3, 0x72, 0x75, 0x6e, 0, 0],
    ...[7, 7, 1, 3, 0x72, 0x75, 0x6e, 0, 0],
  );
  const program = (run: (ctx: number) => void) =>
    new WebAssembly.Instance(new WebAssembly.Module(MODULE), {
      host: {
        run: (ctx: number) => {
          run(ctx);
          return 0n;
        },
      },
    }).exports.run as WebAssembly.ExportedFunction;

  it("runs each event through its hook's links, on its CPU, with their cookies, and counts", () => {
    const { arena } = world;
    const { view } = arena;
    const log: unknown[] = [];
    const cpuField = (field: number) => view.getUint32(view.getUint32(world.worker + WORKER.cpu, true) + field, true);
    const note = (name: string) => (ctx: number) =>
      log.push([name, ctx, cpuField(CPU.id), cpuField(CPU.cookie), cpuField(CPU.tailCalls), cpuField(CPU.nesting)]);
    world.table.set(1, program(note("one")));
    world.table.set(2, program(note("two")));
    const links = arena.allocate(2 * LINK.bytes);
    for (const [index, slot] of [1, 2].entries()) {
      view.setUint32(links + index * LINK.bytes + LINK.program, slot, true);
      view.setBigUint64(links + index * LINK.bytes + LINK.cookie, BigInt(10 * slot), true);
    }
    const hook = arena.allocate(HOOK.bytes);
    view.setUint32(hook + HOOK.links, links, true);
    view.setUint32(hook + HOOK.linkCount, 2, true);
    const events = arena.allocate(3 * EVENT.bytes);
    for (let n = 0; n < 3; n++) {
      const event = events + n * EVENT.bytes;
      view.setUint32(event + EVENT.ctx, 1000 + n, true);
      view.setUint32(event + EVENT.cpu, arena.cpu(n), true);
      view.setUint32(event + EVENT.hook, hook, true);
    }
    view.setUint32(arena.cpu(1) + CPU.tailCalls, 9, true);
    // no room on CPU 2: its runs are misses
    const floor = view.getUint32(arena.cpu(2) + CPU.stackFloor, true);
    view.setUint32(arena.cpu(2) + CPU.sp, floor + CPU_STACK_RESERVE_BYTES - 8, true);
    expect(world.library.run_events(events, 3)).toBe(3);
    expect(log).toEqual([
      ["one", 1000, 0, 10, 0, 1],
      ["two", 1000, 0, 20, 0, 1],
      ["one", 1001, 1, 10, 0, 1],
      ["two", 1001, 1, 20, 0, 1],
    ]);
    expect(view.getBigUint64(links + LINK.runs, true)).toBe(2n);
    expect(view.getBigUint64(links + LINK.misses, true)).toBe(1n);
    expect(view.getUint32(world.worker + WORKER.cpu, true)).toBe(0);
    expect(view.getUint32(arena.cpu(1) + CPU.tailCalls, true)).toBe(9);
    expect(view.getUint32(arena.cpu(0) + CPU.nesting, true)).toBe(0);

    // a producer that wants its reader: the driver returns after that event
    world.table.set(
      2,
      program(() => view.setUint32(world.worker + WORKER.yield, 1, true)),
    );
    expect(world.library.run_events(events, 3)).toBe(1);
    expect(world.library.run_events(events + EVENT.bytes, 2)).toBe(1);
    expect(world.library.run_events(events, 0)).toBe(0);
  });
});

describe("prog arrays", () => {
  it("show programs the table's index + 1, and 0 where there is none", () => {
    const map = createMap(
      world,
      mapSpec({ type: "prog_array", keySize: 4, valueSize: 4, maxEntries: 3 }),
    ) as ProgArrayMap;
    const manifest = { name: "one", type: "xdp", attachType: null } as const;
    map.setProgram(1, { tableIndex: 41, id: 7, manifest });
    const target = (index: number) => world.library.prog_array_target(map.address, index);
    expect([0, 1, 2, 3, -1].map(target)).toEqual([0, 42, 0, 0, 0]);
    expect(map.lookup(u32(1))).toEqual(u32(7));
    expect(map.lookup(u32(0))).toBeNull();
    expect([...map.entries()]).toEqual([{ key: u32(1), value: u32(7) }]);
    expect(() => map.setProgram(3, null)).toThrow(expect.objectContaining({ errno: "E2BIG" }));
    for (const other of [{ type: "sched_cls" }, { attachType: "xdp_devmap" }] as const)
      expect(() => map.setProgram(0, { tableIndex: 42, id: 8, manifest: { ...manifest, ...other } })).toThrow(
        expect.objectContaining({ errno: "EINVAL" }),
      );
    expect(target(0)).toBe(0);
    expect(map.delete(u32(1))).toBe(true);
    expect(map.delete(u32(1))).toBe(false);
    expect(target(1)).toBe(0);
  });
});

describe("atomics on unaligned addresses", () => {
  const { ADD, OR, AND, XOR, FETCH, XCHG, CMPXCHG } = isa.ATOMIC;
  const OLD = 0x1122_3344_5566_7788n;

  it.each([
    [ADD, 0xff00_0000_0000_00ffn, 0n, OLD + 0xff00_0000_0000_00ffn],
    [ADD | FETCH, 1n, 0n, OLD + 1n],
    [OR, 0xffn, 0n, OLD | 0xffn],
    [AND | FETCH, 0xff00n, 0n, OLD & 0xff00n],
    [XOR, OLD, 0n, 0n],
    [XCHG, 5n, 0n, 5n],
    [CMPXCHG, 5n, OLD, 5n],
    [CMPXCHG, 5n, OLD + 1n, OLD],
  ] as const)("does operation %i", (operation, operand, expected, wanted) => {
    const { view } = world.arena;
    const at = place(world, new Uint8Array(24).fill(0xee)) + 3;
    view.setBigUint64(at, OLD, true);
    const old = world.library.atomic_unaligned(at, operation, 8, operand, expected);
    expect(BigInt.asUintN(64, old)).toBe(OLD);
    expect(view.getBigUint64(at, true)).toBe(BigInt.asUintN(64, wanted));
    view.setBigUint64(at, OLD, true);
    // four bytes: the upper half of the old value, of the operand and of what is expected do not count
    const old32 = world.library.atomic_unaligned(at, operation, 4, operand, expected | (0xffn << 56n));
    expect(old32).toBe(OLD & 0xffff_ffffn);
    expect(view.getUint32(at, true)).toBe(Number(wanted & 0xffff_ffffn));
    expect(view.getUint32(at + 4, true)).toBe(Number(OLD >> 32n));
    expect(view.getUint32(NULL_GUARD_BYTES, true)).toBe(0);
  });
});

describe("bpf_strncmp", () => {
  it.each([
    ["abc\0x", 5, "abc\0y", 0],
    ["abc", 3, "abcd", 0],
    ["abc\0", 4, "abcd", -1],
    ["abd", 3, "abc", 1],
    ["\xff", 1, "a", 1],
    ["", 0, "a", 0],
  ] as const)("compares %j, %i bytes, with %j", (first, bytes, second, wanted) => {
    const put = (text: string) => place(world, Buffer.from(`${text}\0`, "latin1"));
    expect(world.library.bpf_strncmp(put(first), bytes, put(second))).toBe(wanted);
  });
});
