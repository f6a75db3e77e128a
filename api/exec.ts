/**
 * Raw bytecode on raw memory: `bpfjit exec`. r1 points to the memory, r2 is its length; without memory both are 0.
 * Programs that are given together are compiled into one module.
 */
import { BpfError, BugError, ObjectError } from "../base/index.ts";
import { decodeInsns, rawProgram, type UncheckedProgram, type VerifiedProgram } from "../compiler/front.ts";
import { createRuntime, type Runtime } from "../runtime/index.ts";
import { loadCompiler } from "./compiler.ts";

export interface ExecRequest {
  /** encoded instructions, 8 bytes a slot */
  readonly insns: Uint8Array;
  readonly memory: Uint8Array;
  /** false: not verified, every access is checked at run time */
  readonly verify: boolean;
}

export type ExecOutcome =
  | { readonly ok: true; readonly r0: bigint; readonly memory: Uint8Array }
  | { readonly ok: false; readonly error: Error };

export interface Executor extends AsyncDisposable {
  /** An outcome for each request, in their order; a program that fails does not touch the others. */
  run(requests: readonly ExecRequest[]): Promise<ExecOutcome[]>;
  close(): Promise<void>;
}

export async function createExecutor(): Promise<Executor> {
  const { lowerObject, verify } = await loadCompiler();
  const runtime = createRuntime({ cpus: 1 });
  return {
    run: (requests) => runTogether({ runtime, lowerObject, verify }, requests),
    close: async () => runtime.close(),
    [Symbol.asyncDispose]: async () => runtime.close(),
  };
}

type Runnable = VerifiedProgram | UncheckedProgram;
type Engine = { readonly runtime: Runtime } & Awaited<ReturnType<typeof loadCompiler>>;

async function runTogether(engine: Engine, requests: readonly ExecRequest[]): Promise<ExecOutcome[]> {
  const prepared = requests.map((request, index) => attempt(() => prepare(engine, request, `p${index}`)));
  const runnable = prepared.flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
  try {
    const outcomes = await compileAndRun(engine, runnable, requests);
    return prepared.map((outcome) => (outcome.ok ? outcomes.get(outcome.value.name)! : outcome));
  } catch (error) {
    // One of them does not compile: find out which, so that the others still run.
    if (requests.length === 1) return [failure(error)];
    const outcomes: ExecOutcome[] = [];
    for (const request of requests) outcomes.push(...(await runTogether(engine, [request])));
    return outcomes;
  }
}

function prepare({ verify }: Engine, request: ExecRequest, name: string): Runnable {
  const insns = decodeInsns(request.insns);
  if (insns.length === 0) throw new ObjectError("INSN_MALFORMED", "the program is empty");
  const program = { ...rawProgram(insns, request.memory.length), name };
  if (!request.verify) return { ...program, type: "raw", unchecked: true };
  const result = verify(program);
  if (result.verdict !== "accepted") throw result.error;
  return result.program;
}

async function compileAndRun(
  { runtime, lowerObject }: Engine,
  programs: readonly Runnable[],
  requests: readonly ExecRequest[],
): Promise<Map<string, ExecOutcome>> {
  const outcomes = new Map<string, ExecOutcome>();
  if (programs.length === 0) return outcomes;
  const compiled = await lowerObject({ name: "exec", license: "GPL", maps: [], types: {}, programs }, { optimize: 0 });
  await using linked = await runtime.link(compiled);
  for (const program of programs) {
    const request = requests[Number(program.name.slice(1))]!;
    const loaded = linked.programs[program.name];
    if (loaded === undefined) throw new BugError(`program ${program.name} was lost on the way`);
    const outcome = attempt(() => loaded.testRun({ dataIn: request.memory }));
    outcomes.set(
      program.name,
      outcome.ok ? { ok: true, r0: outcome.value.r0, memory: outcome.value.dataOut! } : outcome,
    );
  }
  return outcomes;
}

function attempt<T>(work: () => T): { ok: true; value: T } | { ok: false; error: Error } {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    return failure(error);
  }
}

/** Anything but an error of ours is a bug: it is this request's outcome, and the others still get theirs. */
function failure(cause: unknown): { ok: false; error: Error } {
  if (cause instanceof BpfError) return { ok: false, error: cause };
  const text = cause instanceof Error ? cause.message : "the compiler gave up";
  return { ok: false, error: new BugError(`the program could not be compiled or run: ${text}`, { cause }) };
}
