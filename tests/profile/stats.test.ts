/** Runs and their time, as the kernel counts them. */
import { describe, expect, it } from "vitest";
import { createRuntime, type LinkedProgram } from "../../runtime/index.ts";
import { compile } from "../runtime/compile.ts";

const PROG = (name: string, type = "tracepoint"): string => `
; prog: ${type} name=${name} target=test/event section=tp/test/event
  r0 = 0
  exit
`;
const CTX = new Uint8Array(16);

async function twoPrograms() {
  const runtime = createRuntime();
  const { programs } = await runtime.link(await compile(PROG("one"), PROG("two")));
  return { runtime, ...(programs as Record<"one" | "two", LinkedProgram>) };
}

describe("a program", () => {
  it("counts test runs and the events of its links, also of those that are gone", async () => {
    const { one } = await twoPrograms();
    one.testRun({ ctxIn: CTX, repeat: 7 });
    const links = [one.attach(), one.attach()];
    for (let event = 0; event < 5; event++) links[0]!.hook.fire(CTX);
    expect([one.stats, links.map(({ runs }) => runs)]).toEqual([{ runs: 17, misses: 0, ns: 0 }, [5, 5]]);
    links[0]!.detach();
    expect(one.stats.runs).toBe(17);
    links[1]!.hook.fire(CTX);
    expect([one.runs, one.stats.runs]).toEqual([18, 18]);
  });

  it("counts while it is in a link, which counts on with another", async () => {
    await using runtime = createRuntime();
    const text = (name: string): string => `\n; prog: xdp name=${name}\n  r0 = 2\n  exit\n`;
    const { programs } = await runtime.link(await compile(text("one"), text("two")));
    const { one, two } = programs as Record<"one" | "two", LinkedProgram>;
    const link = runtime.hooks.get("xdp", "lo").attach(one);
    link.hook.fire(new Uint8Array(64));
    link.update(two);
    for (let event = 0; event < 2; event++) link.hook.fire(new Uint8Array(64));
    expect([link.runs, one.stats.runs, two.stats.runs]).toEqual([3, 1, 2]);
    link.detach();
    expect([link.runs, one.stats.runs, two.stats.runs]).toEqual([3, 1, 2]);
  });
});

describe("time", () => {
  it("is measured while somebody wants it, of hooks with one program and with several, and of test runs", async () => {
    const { runtime, one, two } = await twoPrograms();
    const link = one.attach();
    const fire = (): void => {
      for (let event = 0; event < 20; event++) link.hook.fire(CTX);
    };
    fire();
    expect(one.stats.ns).toBe(0);
    const first = runtime.enableStats();
    const second = runtime.enableStats();
    fire();
    const alone = one.stats.ns;
    expect(alone).toBeGreaterThan(0);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    const other = two.attach();
    fire();
    expect(one.stats.ns).toBeGreaterThan(alone);
    expect(other.ns).toBeGreaterThan(0);
    other.detach();
    expect(two.stats.ns).toBe(other.ns);
    const before = one.stats.ns;
    one.testRun({ ctxIn: CTX, repeat: 1000 });
    expect(one.stats.ns).toBeGreaterThan(before);
    second[Symbol.dispose]();
    const { ns } = one.stats;
    fire();
    one.testRun({ ctxIn: CTX, repeat: 1000 });
    expect(one.stats).toEqual({ runs: 20 * 4 + 2000, misses: 0, ns });
  });
});
