/** The engines of this checkout: verifier, reference interpreter, compiled code in a runtime of its own. */
import { explainLowering, lowerObject } from "../../../compiler/lowering/index.ts";
import type { Program } from "../../../compiler/program.ts";
import { verify } from "../../../compiler/verifier/index.ts";
import { createRuntime, type TestRunInput } from "../../../runtime/index.ts";
import * as isa from "../../../spec/isa.ts";
import { interpret } from "../../reference/interpret.ts";
import type { Engines, RunEngine, RunResult } from "./engines.ts";
import type { RunInput } from "./expectation.ts";

/** Raw programs without helpers and maps, verified or not: memory faults come out the same. */
export const REFERENCE: RunEngine = {
  name: "reference interpreter",
  takes: (program) => program.type === "raw" && program.insns.every((insn, index) => isPlain(program, insn, index)),
  run: async (program, input) => {
    const { r0, memory } = interpret(program.insns, input.memory ?? new Uint8Array(program.memoryBytes));
    return { r0, bytes: memory };
  },
};

function isPlain(program: Program, insn: Program["insns"][number], index: number): boolean {
  if (insn.opcode === (isa.CLASS.LD | isa.MODE.IMM | isa.SIZE.DW)) return insn.src === 0;
  if (insn.opcode === 0) return program.insns[index - 1]?.opcode === 0x18;
  return insn.opcode !== (isa.CLASS.JMP | isa.JMP.CALL) || insn.src === isa.PSEUDO_CALL.SUBPROG;
}

/** Not optimised by binaryen: what fails here is ours, and there are many programs to run. */
const COMPILED: RunEngine = {
  name: "compiled code",
  takes: () => true,
  run: async (program, input): Promise<RunResult> => {
    const object = { name: "filetest", license: program.license, maps: program.maps, types: {}, programs: [program] };
    const compiled = await lowerObject(object, { optimize: 0, validate: true });
    const runtime = createRuntime({ cpus: 1, memory: { maximumBytes: 1 << 28 } });
    try {
      const linked = await runtime.link(compiled);
      const outcome = linked.programs[program.name]!.testRun(testInput(program, input));
      return { r0: outcome.r0, bytes: outcome.dataOut };
    } finally {
      await runtime.close();
    }
  },
};

function testInput(program: Program, input: RunInput): TestRunInput {
  if (program.type === "raw") return { dataIn: input.memory ?? new Uint8Array(program.memoryBytes) };
  return { dataIn: input.data ?? undefined, ctxIn: input.context ?? undefined };
}

export const ENGINES: Engines = {
  verify: (program, options) => verify(program, options),
  runs: [REFERENCE, COMPILED],
  wat: async (program) => (await explainLowering(program, { optimize: 0 })).wat,
};
