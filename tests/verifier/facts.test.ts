/** What the verifier hands on to the lowering: true on every path, also on those that it did not follow to the end. */
import { describe, expect, it } from "vitest";
import { assembleProgram } from "../../compiler/asm/index.ts";
import { POINTER, type ProgramFacts } from "../../compiler/index.ts";
import { verify } from "../../compiler/verifier/index.ts";

function factsOf(text: string): ProgramFacts {
  const result = verify(assembleProgram(text).program);
  if (result.verdict !== "accepted") throw result.error;
  return result.program.facts;
}

describe("facts", () => {
  it("name the memory that an access reaches, and its alignment", () => {
    const { insns } = factsOf(`
      ; prog: raw mem=64
      *(u64 *)(r10 - 8) = 1
      r0 = *(u32 *)(r1 + 12)
      r2 = r10
      r2 += -20
      *(u32 *)(r2 + 0) = 1
      exit`);
    expect(insns[0]).toMatchObject({ pointer: POINTER.stack, alignment: 8 });
    expect(insns[1]).toMatchObject({ pointer: POINTER.memory, alignment: 1 });
    expect(insns[4]).toMatchObject({ pointer: POINTER.stack, alignment: 4 });
    expect(insns[5]).toMatchObject({ pointer: 0, alignment: 1 });
  });

  it("take all paths together", () => {
    const { insns } = factsOf(`
      ; prog: raw mem=64
      r3 = *(u64 *)(r1 + 0)
      r2 = r10
      r2 += -16
      if r3 == 0 goto use
      r2 = r1
    use:
      *(u8 *)(r2 + 3) = 1
      r0 = 0
      exit`);
    expect(insns[5]).toMatchObject({ pointer: POINTER.stack | POINTER.memory, alignment: 1 });
  });

  it("say where in the context a load is", () => {
    const { insns } = factsOf(`
      ; prog: xdp
      r0 = *(u32 *)(r1 + 12)
      exit`);
    expect(insns[0]).toMatchObject({ pointer: POINTER.ctx, ctxOffset: 12 });
  });

  it("name the map of a call, and its constant arguments", () => {
    const { insns } = factsOf(`
      ; prog: tracepoint
      ; map: first hash key=8 value=8 max=16
      ; map: second hash key=8 value=8 max=16
      *(u64 *)(r10 - 8) = 1
      r1 = map[second] ll
      r2 = r10
      r2 += -8
      r3 = r2
      r4 = 1
      call bpf_map_update_elem
      r0 = 0
      exit`);
    expect(insns[7]).toMatchObject({ map: 1, constants: [null, null, null, 1n, null] });
  });

  it("give no constant where a pruned path had another", () => {
    const { insns } = factsOf(`
      ; prog: tracepoint
      ; map: first hash key=8 value=8 max=16
      r6 = 0
      r7 = *(u64 *)(r1 + 8)
      if r7 == 0 goto meet
      r6 = 1
    meet:
      *(u64 *)(r10 - 8) = 1
      r1 = map[first] ll
      r2 = r10
      r2 += -8
      r3 = r2
      r4 = r6
      call bpf_map_update_elem
      r0 = 0
      exit`);
    const call = insns.find((facts) => facts?.map === 0);
    expect(call?.constants[3]).toBeNull();
  });

  it("say which way a decided branch goes, and what nothing reaches", () => {
    const { insns } = factsOf(`
      ; prog: raw mem=8
      r0 = 5
      if r0 > 3 goto out
      r0 = 6
    out:
      r2 = *(u64 *)(r1 + 0)
      if r2 == 1 goto end
      r0 = 7
    end:
      exit`);
    expect(insns[1]).toMatchObject({ branch: "taken" });
    expect(insns[2]).toBeNull();
    expect(insns[4]).toMatchObject({ branch: "both" });
  });

  it("list the callbacks of a call, and every function's stack", () => {
    const { insns, stackBytes } = factsOf(`
      ; prog: tracepoint
      *(u64 *)(r10 - 24) = 0
      r1 = 3
      r2 = func body ll
      r3 = r10
      r3 += -24
      r4 = 0
      call bpf_loop
      r0 = 0
      exit
    body:
      *(u32 *)(r10 - 4) = 1
      r0 = 0
      exit`);
    const call = insns.find((facts) => (facts?.callbacks.length ?? 0) > 0);
    expect(call?.callbacks).toEqual([10]);
    expect(stackBytes).toEqual([24, 8]);
  });
});

describe("outcomes", () => {
  const outcome = (text: string) => verify(assembleProgram(text).program, { logLevel: 1 });

  it("a refusal carries errno, place and log", () => {
    const result = outcome("; prog: tracepoint\nr2 = 1\nr0 = r3\nexit\n");
    if (result.verdict !== "rejected") throw new Error(result.verdict);
    expect(result.error).toMatchObject({ code: "REJECTED", errno: "EACCES", message: "R3 !read_ok" });
    expect(result.error.where).toMatchObject({ insnIndex: 1 });
    expect(result.log).toContain("1: (bf) r0 = r3\nR3 !read_ok\nprocessed 2 insns");
  });

  it("what cannot be judged is neither accepted nor refused", () => {
    const helper = outcome("; prog: tracepoint license=GPL\ncall 158\nr0 = 0\nexit\n");
    expect(helper).toMatchObject({
      verdict: "unsupported",
      error: { feature: "struct task_struct without BTF of a kernel that has it" },
    });
    const type = outcome("; prog: struct_ops\nr0 = 0\nexit\n");
    expect(type.verdict).toBe("unsupported");
  });

  it("an accepted program's log holds the statistics, at level 2 every path", () => {
    const text = "; prog: tracepoint\nr0 = 0\nexit\n";
    expect(outcome(text).log).toMatch(/^processed 2 insns/);
    expect(verify(assembleProgram(text).program, { logLevel: 2 }).log).toContain(
      "0: (b7) r0 = 0                        ; R0=0",
    );
  });
});
