/** What bpfjit judges but does not run: refused by name before any code is made. */
import { describe, expect, test } from "vitest";
import { UnsupportedError } from "../../base/index.ts";
import { assembleProgram } from "../../compiler/asm/index.ts";
import { checkProgram } from "../../compiler/lowering/lower.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { targetBtf } from "../filetests/runner/target.ts";

function refusal(text: string): UnsupportedError {
  const result = verify(assembleProgram(text, { targetBtf: targetBtf() }).program);
  if (result.verdict !== "accepted") throw new Error(result.verdict);
  try {
    checkProgram(result.program);
  } catch (error) {
    if (error instanceof UnsupportedError) return error;
    throw error;
  }
  throw new Error("it is run");
}

describe("accepted, but not run", () => {
  test("a type without a runtime", () => {
    const error = refusal("; prog: cgroup_sysctl license=GPL\nr0 = 1\nexit\n");
    expect(error).toMatchObject({ code: "UNSUPPORTED_PROGRAM_TYPE", feature: "program type cgroup_sysctl" });
  });

  test.each(["kprobe", "uprobe"])("a program for the entry and the return of a function: %s", (probe) => {
    const attach = `trace_${probe}_session`;
    const error = refusal(`; prog: kprobe attach=${attach} license=GPL\nr0 = 0\nexit\n`);
    expect(error).toMatchObject({ code: "UNSUPPORTED_PROGRAM_TYPE" });
    expect(error.message).toContain(attach);
  });

  test("a helper without an implementation", () => {
    const error = refusal("; prog: xdp license=GPL\ncall 188\nr0 = 2\nexit\n");
    expect(error).toMatchObject({ code: "UNSUPPORTED_HELPER", feature: "bpf_xdp_get_buff_len" });
    expect(error.where).toMatchObject({ insnIndex: 0 });
  });

  test("fields of a map", () => {
    const map = "; map: counts array key=4 value=8 max=4";
    const error = refusal(`; prog: xdp license=GPL\n${map}\nr1 = map[counts] ll\nr0 = *(u32 *)(r1 + 76)\nexit\n`);
    expect(error).toMatchObject({ code: "UNSUPPORTED_FEATURE", feature: "fields of a map" });
    expect(error.where).toMatchObject({ insnIndex: 2 });
  });

  test("the address of a kernel function", () => {
    const id = targetBtf().findByName("vfs_read", "func");
    const error = refusal(`; prog: xdp license=GPL\nr1 = btf[${id}] ll\nr0 = 1\nexit\n`);
    expect(error).toMatchObject({ code: "UNSUPPORTED_FEATURE", feature: "address of a kernel variable" });
  });
});
