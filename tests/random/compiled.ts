/** Compiled code in this process, as `bpfjit exec` runs it. A file of its own: it brings the whole compiler with it. */
import { createExecutor } from "../../api/exec.ts";
import { toHex } from "../../base/index.ts";
import { execProgram, type RandomEngine, type RandomOutcome } from "./engines.ts";

export function compiledEngine(): RandomEngine {
  const executor = createExecutor();
  return {
    name: "compiled",
    run: async (programs) => {
      const outcomes = await (await executor).run(programs.map(execProgram));
      return programs.map((program, index): RandomOutcome => {
        const outcome = outcomes[index]!;
        if (!outcome.ok) return { problem: `${outcome.error.name}: ${outcome.error.message}` };
        return { r0: outcome.r0, memory: toHex(outcome.memory).slice(2 * program.misalign) };
      });
    },
    [Symbol.asyncDispose]: async () => (await executor).close(),
  };
}
