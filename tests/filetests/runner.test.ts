/** The runner itself: with engines of our own, what passes and, more important, what must not. */
import { describe, expect, test } from "vitest";
import { UnsupportedError, VerifierError } from "../../base/index.ts";
import type { VerifiedProgram } from "../../compiler/program.ts";
import { readCases } from "./runner/case.ts";
import { checkCase, rewrite } from "./runner/check.ts";
import type { Engines, Verdict } from "./runner/engines.ts";
import { REFERENCE } from "./runner/live.ts";

const accepting: Engines = {
  verify: (program) => ({
    verdict: "accepted",
    program: program as VerifiedProgram,
    log: "0: (b7) r0 = 1                        ; R0_w=1\n1: (07) r0 += 1        ; R0=2 R1=ctx()\n1: (07) r0 += 1 ; R0=3\n",
  }),
  runs: [REFERENCE],
  wat: async () => "(module\n  (func $f (result i64)\n    (i64.const 1 )\n (i64.const 2)))",
};
const rejecting = (verdict: Exclude<Verdict, { verdict: "accepted" }>): Engines => ({
  ...accepting,
  verify: () => verdict,
});
const denied = rejecting({
  verdict: "rejected",
  error: new VerifierError("R1 !read_ok", { log: "", processedInsns: 1, errno: "EACCES", where: { insnIndex: 1 } }),
  log: "",
});

async function failuresOf(text: string, engines = accepting): Promise<string[]> {
  const outcomes = await Promise.all(readCases(text, "x.bpf").map((one) => checkCase(engines, one)));
  return outcomes.flatMap((outcome) => outcome.failures.map(({ line, message }) => `${line}: ${message}`));
}

async function rewritten(text: string, engines = accepting): Promise<string> {
  const outcomes = await Promise.all(readCases(text, "x.bpf").map((one) => checkCase(engines, one)));
  return rewrite(
    text,
    outcomes.flatMap((outcome) => outcome.edits),
  );
}

describe("states", () => {
  test("any visit of the instruction will do, marks of liveness aside", async () => {
    const text = "; test: verify\nr0 = 1 ; state: R0=1\nr0 += 1 ; state: R1=ctx() ; state: R0=3\nexit ; accept";
    expect(await failuresOf(text)).toEqual([]);
  });
  test("one that never matches fails and is rewritten", async () => {
    const text = "; test: verify\nr0 = 1 ; state: R0=7\nexit ; accept";
    expect(await failuresOf(text)).toEqual([expect.stringMatching(/^2: no visit has `R0=7`/)]);
    expect(await rewritten(text)).toBe(text.replace("R0=7", "R0=1"));
  });
  test("items of two visits are no state", async () => {
    const text = "; test: verify\nr0 = 1\nr0 += 1 ; state: R0=3 R1=ctx()\nexit ; accept";
    expect(await failuresOf(text)).toHaveLength(1);
  });
  test("an instruction that the log does not show fails", async () => {
    expect(await failuresOf("; test: verify\nr0 = 1\nr0 = 1\nexit ; state: R0=1\n; accept")).toHaveLength(1);
  });
});

describe("verdicts", () => {
  test("rejected where, why and with which errno", async () => {
    const text = "; test: verify\nr0 = 1\nr0 = r1 ; reject EACCES: !read_ok\nexit";
    expect(await failuresOf(text, denied)).toEqual([]);
    expect(await failuresOf(text)).toEqual([expect.stringMatching(/^3: it is accepted/)]);
    expect(await failuresOf(text.replace("EACCES", "EINVAL"), denied)).toEqual([
      expect.stringMatching(/another errno/),
    ]);
    expect(await failuresOf(text.replace("!read", "read_"), denied)).toEqual([
      expect.stringMatching(/another message/),
    ]);
    expect(await failuresOf("; test: verify\nr0 = 1 ; reject\nr0 = r1\nexit", denied)).toEqual([
      expect.stringMatching(/at instruction 1, not 0/),
    ]);
  });
  test("unsupported is not rejected", async () => {
    const error = new UnsupportedError("UNSUPPORTED_HELPER", "bpf_sysctl_get_name", "not there");
    const engines = rejecting({ verdict: "unsupported", error, log: "" });
    expect(await failuresOf("; test: verify\nexit ; unsupported: bpf_sysctl_get_name", engines)).toEqual([]);
    expect(await failuresOf("; test: verify\nexit ; reject", engines)).toHaveLength(1);
    expect(await failuresOf("; test: verify\nexit ; unsupported: bpf_sysctl_get_name", denied)).toHaveLength(1);
  });
  test("UPDATE puts the verdict where it belongs", async () => {
    expect(await rewritten("; test: verify\nr0 = 1\nr0 = r1\nexit ; accept", denied)).toBe(
      "; test: verify\nr0 = 1\nr0 = r1 ; reject EACCES: R1 !read_ok\nexit",
    );
    expect(await rewritten("; test: verify\nr0 = 1\nr0 = r1\nexit", denied)).toBe(
      "; test: verify\nr0 = 1\nr0 = r1 ; reject EACCES: R1 !read_ok\nexit",
    );
  });
});

describe("runs", () => {
  const text =
    "; test: run\n; run: mem=0102*1,00*6 => r0=3 mem=0102030000000000\nr0 = *(u8 *)(r1 + 0)\nr3 = *(u8 *)(r1 + 1)\nr0 += r3\n*(u8 *)(r1 + 2) = r0\nexit";
  test("compare r0 and memory", async () => {
    expect(await failuresOf(text)).toEqual([]);
    expect(await failuresOf(text.replace("r0=3", "r0=4"))).toEqual([
      expect.stringMatching(/^2: reference interpreter: r0 is 0x3, not 0x4/),
    ]);
    expect(await failuresOf(text.replace("010203", "010204"))).toHaveLength(1);
    expect(await rewritten(text.replace("r0=3", "r0=4").replace("*1,00*6", "000000000000"))).toBe(
      text.replace("*1,00*6", "000000000000"),
    );
  });
  test("faults of unchecked programs", async () => {
    const fault = "; test: run\nr0 = *(u8 *)(r1 + 8) ; run: unchecked mem=00*8 => error=MEMORY_FAULT\nexit";
    expect(await failuresOf(fault)).toEqual([]);
    expect(await failuresOf(fault.replace("r1 + 8", "r1 + 7"))).toHaveLength(1);
  });
  test("a rejected program does not run, and a run that compares nothing fails", async () => {
    expect(await failuresOf(text, denied)).toEqual([expect.stringMatching(/^2: not run: reject/)]);
    expect(await failuresOf("; test: run\nr0 = 5 ; run: =>\nexit")).toEqual([
      expect.stringMatching(/compares nothing/),
    ]);
    expect(await rewritten("; test: run\nr0 = 5 ; run: =>\nexit")).toContain("run: => r0=5");
  });
});

describe("Wasm text", () => {
  test("fragments in order, white space aside", async () => {
    expect(await failuresOf("; test: lower\nr0 = 1 ; wat: (i64.const 1)\nexit ; wat: (i64.const 2)")).toEqual([]);
    expect(await failuresOf("; test: lower\nr0 = 1 ; wat: (i64.const 2)\nexit ; wat: (i64.const 1)")).toHaveLength(1);
  });
});

describe("a case that proves nothing fails", () => {
  test.each([
    ["; test: verify\nexit", /no verdict is expected/],
    ["; test: run\nexit", /without a run/],
    ["; test: lower\nexit", /without a wat/],
    ["; test: verify\nexit ; accept ; reject EACCES: x", /more than one/],
  ])("%j", async (text, message) => {
    expect((await failuresOf(text)).join("\n")).toMatch(message);
  });
  test.each([
    ["exit", /no `; test:` line/],
    ["; test: dance\nexit", /no kind of test dance/],
    ["; test: run a\nexit\n; test: run a\nexit", /same name/],
    ["; test: run\nexit ; run: r0=1", /needs `=>`/],
    ["; test: run\nexit ; run: mem=0 => r0=1", /not hexadecimal/],
    ["; test: run\nexit ; run: => r0=1 color=red", /unknown field/],
    ["; test: verify\nexit ; reject ENOPE: x", /no errno ENOPE/],
    ["; test: verify\nnonsense ; accept", /line 2: unknown instruction/],
  ])("%j", (text, message) => {
    expect(() => readCases(text, "x.bpf")).toThrow(message);
  });
});

test("what stands before the first case belongs to all", () => {
  const [one, two] = readCases(
    "; prog: xdp\n; map: m array key=4 value=8 max=1\n; test: verify one\nr1 = map[m] ll\nexit\n; test: verify two\n; prog: raw mem=8\nexit",
    "x.bpf",
  );
  expect([one!.program.type, one!.program.maps.length, one!.lines]).toEqual(["xdp", 1, [4, 4, 5]]);
  expect([two!.program.type, two!.program.maps.length, two!.program.memoryBytes]).toEqual(["raw", 1, 8]);
});
