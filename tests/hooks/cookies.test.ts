/** bpf_get_attach_cookie(): of every kind of hook the number that its link was made with, in runs inside runs too. */
import { describe, expect, it } from "vitest";
import { createRuntime } from "../../runtime/index.ts";
import { HELPERS, type HookKind, hookSpec } from "../../spec/index.ts";
import { compile } from "../runtime/compile.ts";
import { loadProbes } from "./probes.ts";

/** A program that notes its cookie, the hook, and an event of it. */
const KINDS: readonly (readonly [program: string, kind: HookKind, event: object])[] = [
  ["on_tracepoint", "tracepoint", new Uint8Array(64)],
  ["on_raw", "raw_tracepoint", [0, 0, 0, 0]],
  ["on_typed", "raw_tracepoint", [0, 0, 0, 0]],
  ["on_writable", "raw_tracepoint", [0]],
  ["on_kprobe", "kprobe", [1, 2]],
  ["on_kretprobe", "kretprobe", { result: 1 }],
  ["on_uprobe", "uprobe", [1]],
  ["on_kretprobe", "uretprobe", { result: 1 }],
  ["on_usdt", "usdt", { ax: 1 }],
  ["on_perf_event", "perf_event", { ip: 1 }],
  ["on_fentry", "fentry", [1, 0]],
  ["on_fexit", "fexit", [1, 0, 2]],
  ["on_modify", "fmod_ret", [1, 2]],
];
const LARGEST = 2n ** 64n - 1n;

const cookiesOf = (records: readonly unknown[]): bigint[] =>
  (records as { readonly cookie: bigint }[]).map(({ cookie }) => cookie);

describe("a cookie", () => {
  it.each(KINDS)("is what %s finds on a %s, and 0 where none was given", async (name, kind, event) => {
    const { object, seen } = await loadProbes([name]);
    const program = object.program(name);
    const hook = object.runtime.hooks.get(kind, program.manifest.attachTarget || "any");
    for (const cookie of [0n, 7n, LARGEST]) program.attach({ hook, cookie });
    program.attach({ hook });
    program.attach({ hook, cookie: -1n });
    hook.fire(event as never);
    expect(cookiesOf(seen())).toEqual([0n, 7n, LARGEST, 0n, LARGEST]);
    expect(hook.links.map(({ runs }) => runs)).toEqual([1, 1, 1, 1, 1]);
  });

  it("may be asked for by programs of all kinds that have links with one, and no others", () => {
    const helper = HELPERS.find(({ name }) => name === "bpf_get_attach_cookie")!;
    const covered = new Set(KINDS.flatMap(([, kind]) => hookSpec(kind).programs));
    // the kernel's own, for hooks that are not fired here
    expect((helper.audience as readonly string[]).filter((who) => !covered.has(who as never))).toEqual(["lsm/lsm_mac"]);
  });

  /** Prints, which fires the inner hook, and notes its cookie before and after in `out`, at `at`. */
  const speak = (name: string, at: number): string => `
; prog: raw_tracepoint name=${name} target=${name} section=raw_tp/${name}
; map: out array key=4 value=64 max=1
  r8 = r1
  r7 = map[out][0] ll
  call bpf_get_attach_cookie
  *(u64 *)(r7 + ${at}) = r0
  r1 = ${name.charCodeAt(0)}
  *(u64 *)(r10 - 8) = r1
  r1 = r10
  r1 += -8
  r2 = 8
  r3 = 0
  call bpf_trace_printk
  r1 = r8
  call bpf_get_attach_cookie
  *(u64 *)(r7 + ${at + 8}) = r0
  r0 = 0
  exit
`;

  it("is the outer one's again behind a run inside the run", async () => {
    await using runtime = createRuntime({ trace: (line) => line === "o" && inner.fire([]) });
    const object = await runtime.link(await compile(speak("o", 0), speak("i", 16)));
    const inner = runtime.hooks.get("raw_tracepoint", "i");
    const notes = (): bigint[] => {
      const bytes = Uint8Array.from(object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array);
      return [...new BigUint64Array(bytes.buffer)].slice(0, 4);
    };
    object.programs.i!.attach({ cookie: 20n });
    const outer = object.programs.o!.attach({ cookie: 10n });
    outer.hook.fire([]);
    expect(notes()).toEqual([10n, 10n, 20n, 20n]);
    // several programs on the hook, and many events in one call
    object.programs.o!.attach({ cookie: 11n });
    outer.hook.fireBatch(new Uint8Array(8 * 3), 3);
    expect(notes()).toEqual([11n, 11n, 20n, 20n]);
    expect(outer.runs).toBe(4);
    // no link: a test run has none
    object.programs.o!.testRun({ ctxIn: new Uint8Array(0) });
    expect(notes()).toEqual([0n, 0n, 20n, 20n]);
  });
});
