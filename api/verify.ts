/** The verdict of every program of an object, each on its own: what `bpfjit verify` prints. */
import { type BpfError, type Explanation, UnsupportedError, VerifierError } from "../base/index.ts";
import { type BpfObject, type Program, readObject, sourceLineAt } from "../compiler/front.ts";
import type { VerifierResult } from "../compiler/index.ts";
import type { AttachTypeName, ErrnoName, ProgramTypeName } from "../spec/index.ts";
import { loadCompiler } from "./compiler.ts";
import { describeMissing } from "./missing.ts";
import { type TargetOptions, type TracepointOptions, withTracepoints } from "./target.ts";

export interface VerifyOptions extends TargetOptions, TracepointOptions {
  /** shown in messages */
  readonly name?: string;
  /** only these programs */
  readonly programs?: readonly string[];
  /** bits as in BPF_PROG_LOAD: 1 the log, 2 every state, 4 statistics */
  readonly logLevel?: number;
  /** program types by name of program or section, for sections that libbpf does not know */
  readonly types?: Readonly<Record<string, ProgramTypeName>>;
}

export interface ProgramVerdict {
  readonly program: string;
  readonly section: string;
  readonly type: ProgramTypeName | null;
  readonly attachType: AttachTypeName | null;
  /**
   * rejected: the kernel refuses it too; unsupported: the kernel may take it, bpfjit cannot judge or run it yet;
   * unloadable: it fails before the verifier
   */
  readonly verdict: "accepted" | "rejected" | "unsupported" | "unloadable";
  readonly errno: ErrnoName | null;
  /** instruction slots after subprograms were appended */
  readonly insns: number;
  /** instructions that the verifier walked */
  readonly processed: number;
  readonly message: string | null;
  readonly insnIndex: number | null;
  readonly source: { readonly file: string; readonly line: number; readonly text: string } | null;
  /** of rejected programs: why, in words and numbers */
  readonly explanation: Explanation | null;
  readonly log: string;
}

/**
 * Needs no set-up: maps that user space sizes count as sized, programs that are not loaded by default are judged too.
 * Throws ObjectError where nothing of the object can be read; a program's own failure is its verdict.
 */
export async function verifyObject(bytes: Uint8Array, options: VerifyOptions = {}): Promise<ProgramVerdict[]> {
  const { programs: _, logLevel = 0, ...reading } = withTracepoints(options);
  const object: BpfObject = readObject(bytes, { ...reading, purpose: "judge" });
  const { verify } = await loadCompiler();
  const verdicts: ProgramVerdict[] = [];
  for (const outcome of object.programs) {
    const name = outcome.ok ? outcome.program.name : outcome.name;
    if (options.programs !== undefined && !options.programs.includes(name)) continue;
    if (outcome.ok) verdicts.push(verdictOf(outcome.program, verify(outcome.program, { logLevel }), logLevel));
    else {
      verdicts.push({
        ...NOTHING_PROCESSED,
        program: outcome.name,
        section: outcome.section,
        type: outcome.type,
        attachType: null,
        verdict: "unloadable",
        insns: outcome.insns,
        ...describeFailure(outcome.error, null),
      });
    }
  }
  return verdicts;
}

const NOTHING_PROCESSED = { processed: 0, log: "" } as const;
const NO_FAILURE = { errno: null, message: null, insnIndex: null, source: null, explanation: null } as const;

function verdictOf(program: Program, result: VerifierResult, logLevel: number): ProgramVerdict {
  const shared = {
    program: program.name,
    section: program.section,
    type: program.type,
    attachType: program.attachType,
    insns: program.insns.length,
    processed: result.processedInsns,
    log: logLevel === 0 ? "" : result.log,
  };
  if (result.verdict === "accepted") return { ...shared, verdict: "accepted", ...NO_FAILURE };
  return { ...shared, verdict: result.verdict, ...describeFailure(describeMissing(result.error, program), program) };
}

function describeFailure(error: BpfError, program: Program | null): Pick<ProgramVerdict, keyof typeof NO_FAILURE> {
  const insnIndex = error.where.insnIndex ?? null;
  const line = program !== null && insnIndex !== null ? sourceLineAt(program, insnIndex) : null;
  return {
    // the kernel's errno, and of what bpfjit cannot judge that is not known
    errno: error instanceof UnsupportedError ? null : error.errno,
    message: error.message,
    insnIndex,
    source: line === null ? null : { file: line.file, line: line.line, text: line.text },
    explanation: error instanceof VerifierError ? error.explanation : null,
  };
}
