/** The engines of this checkout. A part that is not built yet is null, and cases that need it are skipped by name. */
import { existsSync } from "node:fs";
import type { Program, UncheckedProgram, VerifiedProgram } from "../../../compiler/program.ts";
import type { CompiledObject } from "../../../spec/artifact.ts";
import * as isa from "../../../spec/isa.ts";
import { interpret } from "../../reference/interpret.ts";
import type { Engines, RunEngine, RunResult, Verdict } from "./engines.ts";
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

interface VerifierModule {
  verify(program: Program, options: { logLevel: number }): Verdict;
}
interface LoweringModule {
  lowerObject(
    object: {
      name: string;
      license: string;
      maps: Program["maps"];
      types: Record<string, never>;
      programs: readonly (VerifiedProgram | UncheckedProgram)[];
    },
    options: { optimize: number },
  ): Promise<CompiledObject>;
}
interface RuntimeModule {
  createRuntime(options: { cpus: number }): {
    link(compiled: CompiledObject): Promise<{
      programs: ReadonlyMap<string, { testRun(input: object): { r0: bigint; dataOut: Uint8Array | null } }>;
    }>;
    close(): Promise<void>;
  };
}

const HERE = new URL("../../../", import.meta.url);
async function part<T>(path: string, member: string): Promise<T | null> {
  const url = new URL(path, HERE);
  if (!existsSync(url)) return null;
  const module: Record<string, unknown> = await import(/* @vite-ignore */ url.href);
  return member in module ? (module as T) : null;
}

const verifier = await part<VerifierModule>("compiler/verifier/index.ts", "verify");
const lowering = await part<LoweringModule>("compiler/lowering/index.ts", "lowerObject");
const runtime = await part<RuntimeModule>("runtime/index.ts", "createRuntime");

/** What is missing, so that a case can say why it is skipped. */
export const MISSING: ReadonlySet<"verifier" | "lowering" | "runtime"> = new Set([
  ...(verifier === null ? (["verifier"] as const) : []),
  ...(lowering === null ? (["lowering"] as const) : []),
  ...(runtime === null ? (["runtime"] as const) : []),
]);

const lower = (program: VerifiedProgram | UncheckedProgram): Promise<CompiledObject> =>
  lowering!.lowerObject(
    { name: "filetest", license: program.license, maps: program.maps, types: {}, programs: [program] },
    { optimize: 0 },
  );

const WASM: RunEngine = {
  name: "compiled code",
  takes: () => true,
  run: async (program, input): Promise<RunResult> => {
    const compiled = await lower(program);
    const host = runtime!.createRuntime({ cpus: 1 });
    try {
      const linked = await host.link(compiled);
      const outcome = linked.programs.get(program.name)!.testRun(testInput(program, input));
      return { r0: outcome.r0, bytes: outcome.dataOut };
    } finally {
      await host.close();
    }
  },
};

function testInput(program: Program, input: RunInput): object {
  if (program.type === "raw") return { dataIn: input.memory ?? new Uint8Array(program.memoryBytes) };
  return {
    ...(input.data !== null && { dataIn: input.data }),
    ...(input.context !== null && { ctxIn: input.context }),
  };
}

export const ENGINES: Engines = {
  verify: (program, options) => verifier!.verify(program, options),
  runs: lowering === null || runtime === null ? [REFERENCE] : [REFERENCE, WASM],
  wat: async (program) => {
    const { default: wabt } = await import("wabt");
    const module = (await wabt()).readWasm((await lower(program)).wasm, { readDebugNames: true });
    return module.toText({ foldExprs: true, inlineExport: false });
  },
};
