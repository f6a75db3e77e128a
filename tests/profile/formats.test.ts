/** A profile as other tools read it. */
import { describe, expect, it } from "vitest";
import { cpuProfile, foldedStacks, type Profile, type ProfileFrame, type ProfileStack } from "../../runtime/index.ts";

const frame = (name: string, line: number | null, helper: string | null = null): ProfileFrame => ({
  function: name,
  file: line === null ? null : "a b;c.c",
  line,
  insnIndex: 7,
  helper,
});
const stack = (samples: number, ns: number, frames: readonly ProfileFrame[]): ProfileStack => ({
  object: "test",
  program: "prog",
  frames,
  samples,
  ns,
});
const PROFILE: Profile = {
  seconds: 1,
  intervalUs: 250,
  samples: 10,
  ns: 9_500_000,
  outside: { samples: 0, ns: 0 },
  programs: [],
  stacks: [
    stack(6, 6_000_400, [frame("main", 12), frame("sub", 20, "bpf_map_lookup_elem")]),
    stack(3, 3_000_000, [frame("main", 10)]),
    stack(1, 499_600, [frame("main", null)]),
    stack(0, 0, [frame("main", 11)]),
  ],
};

describe("folded stacks", () => {
  it("are a line each, from the outermost frame on, and ns", () => {
    expect(foldedStacks(PROFILE)).toBe(
      "prog;sub;a_b_c.c:20;bpf_map_lookup_elem 6000400\nprog;a_b_c.c:10 3000000\nprog;insn_7 499600\n",
    );
  });
});

describe("a .cpuprofile", () => {
  const { nodes, samples, timeDeltas, startTime, endTime } = cpuProfile(PROFILE);

  it("is a tree of functions with ticks by line", () => {
    expect(
      nodes.map(({ id, callFrame, hitCount, children, positionTicks }) => [
        id,
        callFrame.functionName,
        callFrame.lineNumber,
        hitCount,
        children,
        positionTicks,
      ]),
    ).toEqual([
      [1, "(root)", -1, 0, [2, 5], []],
      [2, "prog", 9, 3, [3], [{ line: 10, ticks: 3 }]],
      [3, "sub", 19, 0, [4], [{ line: 20, ticks: 6 }]],
      [4, "bpf_map_lookup_elem", -1, 6, [], []],
      [5, "prog", -1, 1, [], []],
    ]);
  });

  it("has the time of each stack between its sample and the next", () => {
    expect(samples).toEqual([4, 2, 5, 2, 1]);
    expect(timeDeltas).toEqual([0, 6000, 3000, 500, 0]);
    expect([startTime, endTime]).toEqual([0, 9500]);
  });
});
