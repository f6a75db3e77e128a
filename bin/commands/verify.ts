/** `bpfjit verify OBJ…`: the verdict of every program. One that fails hides no other, one object neither. */
import { type ProgramVerdict, verifyObject } from "../../api/index.ts";
import { BpfError, UsageError } from "../../base/index.ts";
import { packageVersion } from "../about.ts";
import { out } from "../colors.ts";
import { EXIT, type ExitCode, exitCodeOf, worstExit } from "../exit.ts";
import { paintExplanation } from "../explanation.ts";
import { parseCount, readInputFile } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { printError, printJson, printLine } from "../output.ts";
import { type SarifInput, sarifLog } from "../sarif.ts";
import { readTarget, type TargetArguments } from "../target.ts";

interface VerifyOptions extends CommonOptions, TargetArguments {
  readonly prog?: readonly string[];
  readonly logLevel: string;
  readonly sarif?: boolean;
}

export async function verify(objects: readonly string[], options: VerifyOptions): Promise<void> {
  const logLevel = parseCount(options.logLevel, "--log-level", 0, 7);
  if (options.sarif && options.json) throw new UsageError("USAGE", "--sarif and --json exclude each other");
  const target = readTarget(options);
  const codes: ExitCode[] = [];
  const seen = new Set<string>();
  const told: SarifInput[] = [];
  for (const path of objects) {
    try {
      const verdicts = await verifyObject(readInputFile(path), {
        name: path,
        logLevel,
        ...(options.prog && { programs: options.prog }),
        ...target,
      });
      for (const verdict of verdicts) {
        seen.add(verdict.program);
        codes.push(EXIT_OF[verdict.verdict]);
        if (options.sarif) told.push({ object: path, verdict });
        else if (options.json) printJson(toJson(path, verdict));
        else printVerdict(path, verdict);
      }
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      codes.push(exitCodeOf(error));
      if (options.sarif && exitCodeOf(error) === EXIT.rejected) told.push({ object: path, error });
      else if (options.json && exitCodeOf(error) === EXIT.rejected) printJson(unloadableObject(path, error));
      else printError(error, { debug: options.debug ?? false, object: path });
    }
  }
  const missing = options.prog?.find((name) => !seen.has(name));
  if (missing !== undefined && codes.every((code) => code === EXIT.done)) {
    const where = objects.length === 1 ? `${objects[0]} has` : "the objects have";
    throw new UsageError("USAGE", `${where} no program ${missing}`, { hint: "bpfjit inspect lists the programs" });
  }
  if (options.sarif) printJson(sarifLog(told, packageVersion()));
  process.exitCode = worstExit(codes);
}

const EXIT_OF: Record<ProgramVerdict["verdict"], ExitCode> = {
  accepted: EXIT.done,
  rejected: EXIT.rejected,
  unloadable: EXIT.rejected,
  unsupported: EXIT.unsupported,
};

/** The contract of design section 9. */
function toJson(object: string, verdict: ProgramVerdict): Record<string, unknown> {
  return {
    object,
    program: verdict.program,
    section: verdict.section,
    type: verdict.type,
    attachType: verdict.attachType,
    verdict: verdict.verdict,
    errno: verdict.errno,
    insns: verdict.insns,
    processed: verdict.processed,
    message: verdict.message,
    source: verdict.source,
    insnIndex: verdict.insnIndex,
    explanation: verdict.explanation,
    log: verdict.log === "" ? undefined : verdict.log,
  };
}

function unloadableObject(object: string, error: BpfError): Record<string, unknown> {
  return {
    object,
    program: null,
    section: error.where.section ?? null,
    type: null,
    attachType: null,
    verdict: "unloadable",
    errno: error.errno,
    insns: 0,
    processed: 0,
    message: error.message,
    source: null,
  };
}

function printVerdict(object: string, verdict: ProgramVerdict): void {
  const paint = verdict.verdict === "accepted" ? out.green : verdict.verdict === "unsupported" ? out.yellow : out.red;
  printLine(
    `${paint(verdict.verdict.padEnd(11))} ${object}: ${verdict.program} (${verdict.section}) ${out.dim(`${verdict.insns} insns, ${verdict.processed} processed`)}`,
  );
  printFailure(verdict);
  if (verdict.log !== "") printLine(verdict.log.trimEnd());
}

function printFailure({ explanation, message, errno, source }: ProgramVerdict): void {
  if (explanation !== null) {
    printLine(paintExplanation(explanation, process.stdout.columns, out));
    return;
  }
  if (message !== null) printLine(`  ${errno === null ? "" : `${errno}: `}${message}`);
  if (source !== null) printLine(`  at ${source.file}:${source.line}\n  ${out.dim("|")} ${source.text.trim()}`);
}
