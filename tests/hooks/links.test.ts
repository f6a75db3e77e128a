/** Links: what they know and can, what a failed attach leaves behind, many of them. */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Link, LoadedObject } from "../../api/index.ts";
import { AttachError } from "../../base/index.ts";
import { createRuntime } from "../../runtime/index.ts";
import { compile } from "../runtime/compile.ts";
import { loadProbes } from "./probes.ts";

const errorOf = (action: () => unknown): { code: string; errno: string | null } => {
  try {
    action();
  } catch (error) {
    if (error instanceof AttachError) return { code: error.code, errno: error.errno };
    throw error;
  }
  throw new Error("it did not fail");
};
const linkCount = (object: LoadedObject): number => object.runtime.hooks.links.length;

describe("a link", () => {
  it("knows its program, target, cookie and counts, and is in the list until it is detached", async () => {
    const { object } = await loadProbes(["on_kretprobe"]);
    const link = object.program("on_kretprobe").attach({ cookie: -1n });
    link.hook.fire({ result: 0 });
    expect(object.runtime.hooks.links.map(({ info }) => info)).toEqual([
      {
        id: link.id,
        kind: "kretprobe",
        target: "do_unlinkat",
        program: "on_kretprobe",
        type: "kprobe",
        cookie: 2n ** 64n - 1n,
        runs: 1,
        misses: 0,
        ns: 0,
        pins: [],
      },
    ]);
    link.detach();
    link.detach();
    link.hook.fire({ result: 0 });
    expect([link.detached, link.runs, linkCount(object)]).toEqual([true, 1, 0]);
  });

  it("measures its runs while that is switched on", async () => {
    const { object } = await loadProbes(["on_kretprobe", "on_kprobe"]);
    using link = object.program("on_kretprobe").attach();
    const { hooks } = object.runtime;
    hooks.timed = true;
    for (let round = 0; round < 10; round++) link.hook.fire({ result: 0 });
    const { ns } = link;
    expect(ns).toBeGreaterThan(0);
    hooks.timed = false;
    link.hook.fire({ result: 0 });
    expect([link.ns, link.runs]).toEqual([ns, 11]);
  });

  it("is kept by a pin when its owner disposes of it", async () => {
    const { object } = await loadProbes(["on_kretprobe"]);
    const { pins } = object.runtime.hooks;
    const attach = (name: string): Link => {
      using link = object.program("on_kretprobe").attach();
      link.pin(name);
      return link;
    };
    const pinned = attach("probes/unlink");
    expect([pinned.detached, pins.get("probes/unlink") === pinned, pinned.pins]).toEqual([
      false,
      true,
      ["probes/unlink"],
    ]);
    const other = object.program("on_kretprobe").attach();
    expect(errorOf(() => other.pin("probes/unlink"))).toEqual({ code: "ATTACH_FAILED", errno: "EEXIST" });
    pinned.unpin("probes/unlink");
    expect([pinned.detached, pins.get("probes/unlink"), linkCount(object)]).toEqual([true, null, 1]);
    expect(errorOf(() => pinned.pin("again"))).toEqual({ code: "ATTACH_FAILED", errno: "ENOLINK" });
    object.close();
    expect(other.detached).toBe(true);
  });

  it("of a probe or tracepoint cannot be updated", async () => {
    const { object } = await loadProbes(["on_kretprobe", "on_raw", "on_tracepoint"]);
    for (const program of Object.values(object.programs)) {
      using link = program.attach();
      expect(errorOf(() => link.update(program))).toEqual({ code: "ATTACH_FAILED", errno: "EINVAL" });
    }
  });
});

describe("a link of a packet hook", () => {
  const counts = (name: string, section: string, at: number): string => `
; prog: ${section} name=${name}
; map: out array key=4 value=16 max=1
  r7 = map[out][0] ll
  r0 = *(u64 *)(r7 + ${at})
  r0 += 1
  *(u64 *)(r7 + ${at}) = r0
  r0 = 2
  exit
`;

  it("is given another program between two events, and keeps id, cookie and counts", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(
      await compile(counts("a", "xdp", 0), counts("b", "xdp", 8), counts("c", "sched_cls", 0)),
    );
    const { a, b, c } = object.programs;
    const counted = (): bigint[] => [
      ...new BigUint64Array(Uint8Array.from(object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array).buffer),
    ];
    const packet = new Uint8Array(64);
    const hook = runtime.hooks.get("xdp", "lo");
    const link = hook.attach(a!, { cookie: 5n });
    const { id } = link;
    hook.fire(packet);
    link.update(b!);
    hook.fire(packet);
    hook.fire(packet);
    expect([counted(), link.info]).toMatchObject([[1n, 2n], { id, program: "b", cookie: 5n, runs: 3 }]);
    expect([a!.runs, b!.runs]).toEqual([1, 2]);

    expect(errorOf(() => link.update(a!, a!))).toEqual({ code: "ATTACH_FAILED", errno: "EPERM" });
    expect(errorOf(() => link.update(c!))).toEqual({ code: "ATTACH_TYPE", errno: "EINVAL" });
    link.update(a!, b!);
    // one that fails half way leaves the program that was there
    const { arena } = runtime.world;
    const used = arena.usedBytes;
    vi.spyOn(arena, "allocate").mockImplementation(() => {
      throw new Error("no room");
    });
    expect(() => link.update(b!)).toThrow("no room");
    vi.restoreAllMocks();
    hook.fire(packet);
    expect([counted(), link.info.program, arena.usedBytes]).toEqual([[2n, 2n], "a", used]);
  });
});

describe("cookies", () => {
  it("are each hook's own: one program on 1,000 of them", async () => {
    const { object, seen } = await loadProbes(["on_kretprobe"]);
    const program = object.program("on_kretprobe");
    const names = Array.from({ length: 1000 }, (_, index) => `function_${index}`);
    const cookies = names.map((_, index) => BigInt(index) << 40n);
    const links = object.attachMulti(program, "kretprobe", names, { cookies });
    const found = links.toReversed().flatMap((link) => {
      link.hook.fire({ result: 1 });
      return (seen() as unknown as { cookie: bigint }[]).map(({ cookie }) => cookie);
    });
    expect(found).toEqual(cookies.toReversed());
    expect(errorOf(() => object.attachMulti(program, "kretprobe", names, { cookies: [1n] })).errno).toBe("EINVAL");
    expect(errorOf(() => object.attachMulti(program, "kretprobe", [])).errno).toBe("EINVAL");
  });
});

describe("raw tracepoints", () => {
  it("open by name in one step, several programs on one, one program on several", async () => {
    const { object, kernel, seen } = await loadProbes(["on_raw"]);
    const program = object.program("on_raw");
    const links = ["sched_switch", "sched_switch", "sched_handover"].map((name, index) =>
      object.openRawTracepoint(name, program, { cookie: BigInt(index) }),
    );
    const task = kernel.task_struct!({ pid: 3 });
    links[0]!.hook.fire([0, task, task, 0]);
    expect(seen()).toMatchObject([{ cookie: 0n }, { cookie: 1n }]);
    links[0]!.detach();
    links[1]!.hook.fire([0, task, task, 0]);
    links[2]!.hook.fire([0, task, 0, 0]);
    expect(seen()).toMatchObject([{ cookie: 1n }, { cookie: 2n }]);
  });

  it("refuse a name that the target does not have, however long, and typed programs", async () => {
    const { object } = await loadProbes(["on_raw", "on_typed"]);
    const raw = object.program("on_raw");
    for (const name of ["sched_swotch", "", "x".repeat(200)]) {
      expect(errorOf(() => object.openRawTracepoint(name, raw))).toEqual({ code: "ATTACH_TARGET", errno: "ENOENT" });
    }
    const typed = object.program("on_typed");
    expect(errorOf(() => object.openRawTracepoint("sched_switch", typed)).errno).toBe("EINVAL");
    expect(linkCount(object)).toBe(0);
  });
});

describe("a failed attach", () => {
  afterEach(() => vi.restoreAllMocks());

  it("says why: wrong kind, too much read, closed program, no hook named", async () => {
    const { object } = await loadProbes(["on_raw", "on_tracepoint", "on_perf_event", "on_fexit"]);
    const { hooks } = object.runtime;
    const attach = (program: string, kind: Parameters<typeof hooks.get>[0], name: string) => () =>
      object.program(program).attach({ hook: hooks.get(kind, name) });
    const table: Record<string, unknown> = {
      kind: errorOf(attach("on_raw", "tracepoint", "sched/sched_switch")),
      attachType: errorOf(attach("on_fexit", "fentry", "do_unlinkat")),
      unnamed: errorOf(() => object.program("on_perf_event").attach()),
    };
    hooks.get("raw_tracepoint", "short").ctxBytes = 16;
    table.arguments = errorOf(attach("on_raw", "raw_tracepoint", "short"));
    const program = object.program("on_tracepoint");
    const hook = hooks.get("tracepoint", "sched/sched_switch");
    object.close();
    table.closed = errorOf(() => hook.attach(program));
    expect(table).toEqual({
      kind: { code: "ATTACH_TYPE", errno: "EINVAL" },
      attachType: { code: "ATTACH_TYPE", errno: "EINVAL" },
      unnamed: { code: "ATTACH_TARGET", errno: "ENOENT" },
      arguments: { code: "ATTACH_TYPE", errno: "EINVAL" },
      closed: { code: "ATTACH_FAILED", errno: "EBADF" },
    });
  });

  it("leaves nothing behind, at whichever step it fails", async () => {
    const { object } = await loadProbes(["on_kretprobe"]);
    const { arena } = object.runtime.world;
    const program = object.program("on_kretprobe");
    const hook = object.runtime.hooks.get("kretprobe", "do_unlinkat");
    const kept = program.attach();
    hook.fire({ result: 0 });
    const used = arena.usedBytes;
    const names = Array.from({ length: 5 }, (_, index) => `multi_${index}`);
    for (const name of names) object.runtime.hooks.get("kretprobe", name);
    const usedByHooks = arena.usedBytes;
    expect(usedByHooks).toBeGreaterThan(used);
    // every allocation of an attach in turn, and of an attach to several hooks
    for (const attach of [() => program.attach(), () => object.attachMulti(program, "kretprobe", names)]) {
      let failed = 0;
      for (let step = 0; ; step++) {
        let calls = 0;
        const real = arena.allocate.bind(arena);
        vi.spyOn(arena, "allocate").mockImplementation((bytes, alignment) => {
          if (calls++ === step) throw new Error("no room");
          return real(bytes, alignment);
        });
        try {
          const made = attach();
          vi.restoreAllMocks();
          for (const link of [made].flat()) link.detach();
          break;
        } catch (error) {
          expect((error as Error).message).toBe("no room");
          failed++;
        }
        vi.restoreAllMocks();
        expect([object.runtime.hooks.links, arena.usedBytes]).toEqual([[kept], usedByHooks]);
      }
      expect(failed).toBeGreaterThan(0);
    }
    hook.fire({ result: 0 });
    expect([kept.runs, arena.usedBytes]).toEqual([2, usedByHooks]);
  });
});

describe("many links", () => {
  it("come and go without growth, in the order of their attachment", async () => {
    const { object, seen } = await loadProbes(["on_kretprobe"]);
    const program = object.program("on_kretprobe");
    const hook = object.runtime.hooks.get("kretprobe", "do_unlinkat");
    const { arena } = object.runtime.world;
    program.attach().detach();
    // the CPU's block is made with the first event
    hook.fire({ result: 0 });
    const used = arena.usedBytes;
    for (let cycle = 0; cycle < 10_000; cycle++) program.attach().detach();
    expect(arena.usedBytes).toBe(used);
    const links = Array.from({ length: 64 }, (_, index) => program.attach({ cookie: BigInt(index) }));
    links.splice(10, 1)[0]!.detach();
    hook.fire({ result: 0 });
    const cookies = (seen() as unknown as { cookie: bigint }[]).map(({ cookie }) => Number(cookie));
    expect(cookies).toEqual([...Array(64).keys()].filter((index) => index !== 10));
    for (const link of links) link.detach();
    expect(arena.usedBytes).toBe(used);
  });

  it("live by the thousand, each on its hook, and leave nothing", async () => {
    const { object } = await loadProbes(["on_kretprobe"]);
    const program = object.program("on_kretprobe");
    const { hooks, world } = object.runtime;
    const names = Array.from({ length: 1000 }, (_, index) => `function_${index}`);
    for (const name of names) hooks.get("kretprobe", name);
    const used: number[] = [];
    const live: number[] = [];
    for (let round = 0; round < 3; round++) {
      const links = object.attachMulti(program, "kretprobe", names);
      live.push(world.arena.usedBytes);
      expect(hooks.links).toEqual(links);
      expect(program.links.length).toBe(1000);
      for (const link of links) link.detach();
      used.push(world.arena.usedBytes);
    }
    expect(used[2]).toBe(used[0]);
    expect(live[2]).toBe(live[0]);
  });
});
