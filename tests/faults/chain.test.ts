/**
 * The chain of an explanation, from the path that fails: through branches, subprograms, callbacks, loops, and the stack. Each
 * step is checked with its instruction.
 */
import { describe, expect, it } from "vitest";
import { type Explanation, VerifierError } from "../../base/index.ts";
import { assembleProgram } from "../../compiler/asm/index.ts";
import { verify } from "../../compiler/verifier/index.ts";

function explain(text: string): Explanation {
  const result = verify(assembleProgram(text).program);
  if (result.verdict !== "rejected") throw new Error(`the program is ${result.verdict}`);
  return result.error.explanation!;
}

/** `INSN ROLE: TEXT` a step. */
const stepsOf = ({ chain }: Explanation): string[] =>
  chain.map(({ role, place, text }) => `${place.insnIndex} ${role}: ${text}`);

const MAP = "; prog: tracepoint\n; map: m array key=4 value=64 max=4\n; map: h hash key=4 value=8 max=4\n";
const KEY = "*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\n";
const RING = "; prog: tracepoint\n; map: ring ringbuf max=4096\n";
const RESERVE = "r1 = map[ring] ll\nr2 = 16\nr3 = 0\ncall bpf_ringbuf_reserve\n";

describe("where a value came from", () => {
  it("is followed through moves, a spill and a fill", () => {
    const explanation = explain(`${MAP}${KEY}r1 = map[h] ll
      call bpf_map_lookup_elem
      r7 = r0
      *(u64 *)(r10 - 16) = r7
      r7 = 5
      r3 = *(u64 *)(r10 - 16)
      r0 = *(u64 *)(r3 + 0)
      exit`);
    expect(explanation.kind).toBe("missing-null-check");
    expect(stepsOf(explanation)).toEqual([
      "5 origin: bpf_map_lookup_elem() returns a pointer to a value of map `h`, or NULL if the map has no such key",
      "10 fault: 8 bytes are read through it, without a check for NULL in between",
    ]);
  });

  it("is followed out of a subprogram that returned it, and into one that was given it", () => {
    const explanation = explain(`${MAP}call find
      r1 = r0
      call use
      exit
    find:
      ${KEY}r1 = map[h] ll
      call bpf_map_lookup_elem
      exit
    use:
      r6 = r1
      r0 = *(u64 *)(r6 + 0)
      exit`);
    expect(stepsOf(explanation).map((step) => step.split(":")[0])).toEqual(["9 origin", "12 fault"]);
    expect(explanation.chain.map(({ place }) => place.function)).toEqual(["find", "use"]);
  });

  it("is the path's own, not that of another branch", () => {
    const explanation = explain(`${MAP}r6 = *(u64 *)(r1 + 8)
      r7 = 7
      if r6 == 0 goto far
      goto on
    far:
      r7 = 1000
    on:
      ${KEY}r1 = map[m] ll
      call bpf_map_lookup_elem
      if r0 == 0 goto out
      r0 += r7
      r0 = *(u8 *)(r0 + 0)
    out:
      r0 = 0
      exit`);
    expect(explanation.kind).toBe("map-value-bounds");
    expect(explanation.headline).toBe("this line may touch byte 1000, but a value of map `m` has 64 bytes");
    expect(stepsOf(explanation)).toEqual([
      "4 origin: the number is set to 1000",
      "10 origin: bpf_map_lookup_elem() returns a pointer to a value of map `m`",
      "12 change: 1000 is added to the pointer",
      "13 fault: reads byte 1000; it has only bytes 0 … 63",
    ]);
    expect(explanation.limits).toEqual([
      { what: "offset of the first byte", allowed: { min: 0n, max: 63n }, found: { min: 1000n, max: 1000n } },
    ]);
  });

  it("is told once for a value that grows in a loop", () => {
    const explanation = explain(`${MAP}${KEY}r1 = map[m] ll
      call bpf_map_lookup_elem
      if r0 == 0 goto out
      r6 = 0
    again:
      r1 = *(u64 *)(r0 + 0)
      r0 += 8
      r6 += 1
      if r6 < 20 goto again
    out:
      r0 = 0
      exit`);
    expect(explanation.kind).toBe("map-value-bounds");
    expect(stepsOf(explanation)).toHaveLength(2);
    expect(explanation.headline).toContain("bytes 64 … 71");
  });

  it("is the callback's argument in a callback", () => {
    const explanation = explain(`${MAP}r1 = 10
      r2 = func each ll
      r3 = 0
      r4 = 0
      call bpf_loop
      r0 = 0
      exit
    each:
      r0 = *(u64 *)(r1 + 0)
      exit`);
    expect(explanation.kind).toBe("not-a-pointer");
    expect(stepsOf(explanation)[0]).toBe("5 origin: the function is given a number");
  });
});

describe("where a range was lost", () => {
  const lookup = `${KEY}r1 = map[m] ll\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\n`;
  const end = "out:\nr0 = 0\nexit";

  it("shows the comparison that was too weak", () => {
    const explanation = explain(`${MAP}r6 = *(u32 *)(r1 + 8)
      ${lookup}
      if r6 > 100 goto out
      r0 += r6
      r0 = *(u8 *)(r0 + 0)
      ${end}`);
    expect(stepsOf(explanation)).toEqual([
      "0 origin: a number is read from the context: it can be 0 … 4294967295",
      "6 origin: bpf_map_lookup_elem() returns a pointer to a value of map `m`",
      "8 check: on this path the number is 0 … 100 after this comparison",
      "9 change: 0 … 100 is added to the pointer",
      "10 fault: reads bytes 0 … 100; it has only bytes 0 … 63",
    ]);
  });

  it("shows the comparison of a copy", () => {
    const explanation = explain(`${MAP}r6 = *(u64 *)(r1 + 8)
      ${lookup}
      r7 = r6
      r7 <<= 32
      r7 >>= 32
      if r7 > 15 goto out
      r0 += r6
      r0 = *(u8 *)(r0 + 0)
      ${end}`);
    expect(stepsOf(explanation)).toContain(
      "11 check: this comparison limits a copy of it to 0 … 15, not the value that is used",
    );
  });

  it("shows the comparison before the value was read again", () => {
    const explanation = explain(`${MAP}r8 = r1
      ${lookup}
      r6 = *(u32 *)(r8 + 8)
      if r6 > 15 goto out
      r6 = *(u32 *)(r8 + 8)
      r0 += r6
      r0 = *(u8 *)(r0 + 0)
      ${end}`);
    expect(stepsOf(explanation)).toContain(
      "9 check: this comparison limits what was read before to 0 … 15: it is read again below",
    );
  });

  it("says nothing of a comparison of something else", () => {
    const explanation = explain(`${MAP}r6 = *(u64 *)(r1 + 8)
      r7 = *(u64 *)(r1 + 16)
      ${lookup}
      if r7 > 15 goto out
      r0 += r6
      r0 = *(u8 *)(r0 + 0)
      ${end}`);
    expect(explanation.chain.map(({ role }) => role)).toEqual(["origin", "fault"]);
  });
});

describe("which branch the path took", () => {
  it("past the call that gives a record back", () => {
    const explanation = explain(`${RING}r6 = *(u64 *)(r1 + 8)
      ${RESERVE}if r0 == 0 goto out
      if r6 == 7 goto out
      r1 = r0
      r2 = 0
      call bpf_ringbuf_submit
    out:
      r0 = 0
      exit`);
    expect(explanation.kind).toBe("reference-leak");
    expect(stepsOf(explanation)).toEqual([
      "5 origin: bpf_ringbuf_reserve() hands out a record that must be given back",
      "7 check: on this path execution goes on at instruction 11, past every call that would give it back",
      "12 fault: the program ends here, while 1 reference is still held",
    ]);
  });

  it("past what would set a register", () => {
    const explanation = explain(`; prog: tracepoint
      r6 = *(u64 *)(r1 + 8)
      if r6 == 7 goto skip
      r7 = 1
    skip:
      r0 = r7
      exit`);
    expect(explanation.kind).toBe("uninitialised-register");
    expect(stepsOf(explanation)).toEqual([
      "1 check: on this path execution goes on at instruction 3, past everything that would set it",
      "3 fault: r7 is read here",
    ]);
  });

  it("where a comparison found NULL", () => {
    const explanation = explain(`${MAP}${KEY}r1 = map[h] ll
      call bpf_map_lookup_elem
      if r0 == 0 goto null
      r0 = 0
      exit
    null:
      r1 = *(u64 *)(r0 + 0)
      exit`);
    expect(explanation.kind).toBe("null-pointer");
    expect(stepsOf(explanation).slice(1)).toEqual([
      "6 check: on this path the comparison found that it is NULL",
      "9 fault: 8 bytes are read through it",
    ]);
  });
});

describe("what took a pointer's meaning", () => {
  it("the call that gave it back, told also of a copy on the stack", () => {
    const explanation = explain(`${RING}${RESERVE}if r0 == 0 goto out
      *(u64 *)(r10 - 8) = r0
      r1 = r0
      r2 = 0
      call bpf_ringbuf_submit
      r1 = *(u64 *)(r10 - 8)
      *(u8 *)(r1 + 0) = 1
    out:
      r0 = 0
      exit`);
    expect(explanation.kind).toBe("use-after-release");
    expect(stepsOf(explanation).slice(1)).toEqual([
      "9 call: bpf_ringbuf_submit() gives it back: the pointer is void from here on",
      "11 fault: 1 byte is written through it, though it may belong to somebody else by now",
    ]);
  });

  it("a subprogram that may move the packet", () => {
    const explanation = explain(`; prog: xdp
      r6 = r1
      r7 = *(u32 *)(r1 + 0)
      r8 = *(u32 *)(r1 + 4)
      r2 = r7
      r2 += 8
      if r2 > r8 goto out
      r1 = r6
      call grow
      r0 = *(u8 *)(r7 + 0)
    out:
      r0 = 2
      exit
    grow:
      r2 = -4
      call bpf_xdp_adjust_head
      r0 = 0
      exit`);
    expect(explanation.kind).toBe("stale-packet-pointer");
    expect(stepsOf(explanation)).toEqual([
      "1 origin: a pointer into the packet is read from the context",
      "12 call: bpf_xdp_adjust_head() may move the packet: all pointers into it are void from here on",
      "8 fault: 1 byte is read through it, though it leads nowhere any more",
    ]);
  });
});

describe("the record", () => {
  it("is made once, and only where somebody asks", () => {
    const result = verify(assembleProgram("; prog: tracepoint\nr0 = r9\nexit").program);
    if (result.verdict !== "rejected") throw new Error("accepted");
    const { error } = result;
    expect(error).toBeInstanceOf(VerifierError);
    expect(error.explanation).toBe(error.explanation);
    expect(Object.keys(error)).not.toContain("explanation");
  });

  it("of a very long path forgets its beginning, and explains the rest", { timeout: 120_000 }, () => {
    const explanation = explain(`${MAP}${KEY}r1 = map[m] ll
      call bpf_map_lookup_elem
      if r0 == 0 goto out
      r6 = 0
    again:
      r6 += 1
      r7 = r6
      r7 &= 7
      if r6 < 40000 goto again
      r0 += r6
      r0 = *(u8 *)(r0 + 0)
    out:
      r0 = 0
      exit`);
    expect(explanation.kind).toBe("map-value-bounds");
    expect(explanation.headline).toContain("byte 40000");
    expect(explanation.chain.at(-1)!.place.insnIndex).toBe(13);
  });

  it("of a program that is too complex names the loop", { timeout: 120_000 }, () => {
    const explanation = explain(
      "; prog: tracepoint\nr6 = 0\nagain:\nr6 += 1\nif r6 != 2000000 goto again\nr0 = 0\nexit",
    );
    expect(explanation.kind).toBe("too-complex");
    expect(explanation.errno).toBe("E2BIG");
    expect(explanation.chain.map(({ role, place }) => `${place.insnIndex} ${role}`)).toEqual(["1 loop", "2 fault"]);
  });
});

describe("programs without line information", () => {
  it("have instructions in place of lines", () => {
    const { program } = assembleProgram("; prog: tracepoint\nr0 = r9\nexit");
    const result = verify({ ...program, lines: [] });
    if (result.verdict !== "rejected") throw new Error("accepted");
    expect(result.error.explanation!.place).toEqual({
      function: "prog",
      insnIndex: 0,
      insn: "(bf) r0 = r9",
      source: null,
    });
  });
});

describe("names of variables", () => {
  const lookup = `${KEY}r1 = map[h] ll\ncall bpf_map_lookup_elem\nr0 = *(u64 *)(r0 + 0)\nexit`;
  /** The headline where the call stands in the line `text` at the 1-based column, and the use in `use`. */
  const headline = (text: string, column: number, use: string): string => {
    const { program } = assembleProgram(`${MAP}${lookup}`);
    const place = { file: "a.c", line: 1, column };
    const lines = [
      { ...place, insnIndex: 0, text: "key = 0;", column: 1 },
      { ...place, insnIndex: 5, text },
      { ...place, insnIndex: 6, line: 2, text: use, column: 1 },
    ];
    const result = verify({ ...program, lines });
    if (result.verdict !== "rejected") throw new Error("accepted");
    return result.error.explanation!.headline;
  };

  it.each([
    ["v = bpf_map_lookup_elem(&h, &key);", 5, "*v += 1;", "`v` may be NULL"],
    ["struct value *v = lookup(&h, &key);", 19, "use(v->count);", "`v` may be NULL"],
    ["e->v = (void *)lookup(&h, &key);", 16, "*e->v = 1;", "`e->v` may be NULL"],
    // not the whole value, another call, another variable in the end, no assignment
    ["v = 1 + lookup(&h, &key);", 9, "*v += 1;", "the result of bpf_map_lookup_elem() may be NULL"],
    ["v = wrap(lookup(&h, &key));", 10, "*v += 1;", "the result of bpf_map_lookup_elem() may be NULL"],
    ["v = lookup(&h, &key);", 5, "*value += 1;", "the result of bpf_map_lookup_elem() may be NULL"],
    ["if (v == lookup(&h, &key))", 10, "*v += 1;", "the result of bpf_map_lookup_elem() may be NULL"],
  ])("of %s", (text, column, use, begins) => {
    expect(headline(text, column, use).startsWith(begins)).toBe(true);
  });
});
