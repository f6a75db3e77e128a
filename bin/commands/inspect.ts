/** `bpfjit inspect OBJ`: what is in an object, and what it became. Without a view option: an overview. */
import { withTracepoints } from "../../api/index.ts";
import { BpfError, UsageError } from "../../base/index.ts";
import {
  explainLowering,
  isWideImmediate,
  type Program,
  type ProgramOutcome,
  printInsn,
  readObject,
  sourceLineAt,
  verify,
} from "../../compiler/index.ts";
import type { MapSpec } from "../../spec/index.ts";
import { out } from "../colors.ts";
import { type ExitCode, exitCodeOf, worstExit } from "../exit.ts";
import { parseCount, readInputFile } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { printError, printJson, printLine } from "../output.ts";
import { readTarget, type TargetArguments } from "../target.ts";
import { describeType } from "../types.ts";

interface InspectOptions extends CommonOptions, Omit<TargetArguments, "btf"> {
  readonly prog?: string;
  readonly insns?: boolean;
  readonly cfg?: boolean;
  readonly wat?: boolean;
  readonly maps?: boolean;
  readonly btf?: boolean;
  readonly btfFile?: string;
  readonly opt: string;
}

export async function inspect(path: string, options: InspectOptions): Promise<void> {
  const optimize = parseCount(options.opt, "--opt", 0, 3) as 0 | 1 | 2 | 3;
  const { btfFile, btf: _, ...target } = options;
  const object = readObject(readInputFile(path), {
    name: path,
    ...withTracepoints(readTarget({ ...target, ...(btfFile && { btf: btfFile }) })),
  });
  const outcomes = object.programs.filter((outcome) => options.prog === undefined || nameOf(outcome) === options.prog);
  if (options.prog !== undefined && outcomes.length === 0) {
    throw new UsageError("USAGE", `${path} has no program ${options.prog}`, {
      hint: `it has ${object.programs.map(nameOf).join(", ")}`,
    });
  }
  const views = options.insns || options.cfg || options.wat || options.maps || options.btf;
  if (options.json) {
    printJson({
      object: path,
      license: object.license,
      maps: object.maps.map(mapJson),
      programs: outcomes.map(programJson),
    });
    if (!views) return;
  } else if (!views) {
    printOverview(path, object.license, object.maps, outcomes);
    return;
  }
  if (options.maps)
    for (const map of object.maps) options.json ? printJson({ map: mapJson(map) }) : printLine(mapLine(map));
  if (options.btf) {
    for (const [name, type] of Object.entries(object.types))
      options.json ? printJson({ type: name, definition: type }) : printLine(describeType(type));
  }
  const codes: ExitCode[] = [];
  for (const outcome of outcomes) {
    try {
      if (options.insns && outcome.program !== undefined) showInsns(outcome.program, options);
      if (!outcome.ok) throw outcome.error;
      if (options.cfg || options.wat) await showLowering(outcome.program, options, optimize);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      codes.push(exitCodeOf(error));
      printError(error, { debug: options.debug ?? false });
    }
  }
  process.exitCode = worstExit(codes);
}

const nameOf = (outcome: ProgramOutcome): string => (outcome.ok ? outcome.program.name : outcome.name);

function printOverview(
  path: string,
  license: string,
  maps: readonly MapSpec[],
  outcomes: readonly ProgramOutcome[],
): void {
  printLine(`${out.bold(path)}, license ${license}`);
  printLine(`\n${maps.length} maps`);
  for (const map of maps) printLine(`  ${mapLine(map)}`);
  printLine(`\n${outcomes.length} programs`);
  for (const outcome of outcomes) {
    if (outcome.ok) {
      const { program } = outcome;
      const subprograms = program.functions.length === 1 ? "" : `, ${program.functions.length - 1} subprograms`;
      printLine(
        `  ${program.name}  ${out.dim(`${program.section}: ${program.type}, ${program.insns.length} insns${subprograms}`)}`,
      );
    } else printLine(`  ${outcome.name}  ${out.dim(outcome.section)} ${out.red(outcome.error.message)}`);
  }
}

function mapLine(map: MapSpec): string {
  const sizes = `key ${map.keySize} B, value ${map.valueSize} B, ${map.maxEntries} entries`;
  return `${map.name}  ${out.dim(`${map.type}, ${sizes}${map.flags === 0 ? "" : `, flags 0x${map.flags.toString(16)}`}${map.frozen ? ", frozen" : ""}`)}`;
}

function mapJson(map: MapSpec): Record<string, unknown> {
  const { name, type, keySize, valueSize, maxEntries, flags, frozen } = map;
  return { name, type, keySize, valueSize, maxEntries, flags, frozen };
}

function programJson(outcome: ProgramOutcome): Record<string, unknown> {
  if (!outcome.ok)
    return {
      name: outcome.name,
      section: outcome.section,
      type: outcome.type,
      error: outcome.error.code,
      message: outcome.error.message,
    };
  const { name, section, type, attachType, insns, functions } = outcome.program;
  return { name, section, type, attachType, insns: insns.length, functions: functions.map((item) => item.name) };
}

/** Instructions with the C lines they come from, as bpftool and llvm-objdump -S show them. */
function showInsns(program: Program, options: InspectOptions): void {
  if (!options.json) printLine(out.bold(`${program.name} (${program.section})`));
  let lastLine: unknown = null;
  for (let index = 0; index < program.insns.length; index++) {
    const text = printInsn(program.insns, index, { maps: program.maps.map((map) => map.name) });
    const line = sourceLineAt(program, index);
    const start = program.functions.find((item) => item.insnIndex === index);
    if (options.json) {
      printJson({
        program: program.name,
        insnIndex: index,
        text,
        source: line && { file: line.file, line: line.line, text: line.text },
        missing: program.missing?.get(index)?.text,
      });
    } else {
      if (start !== undefined && index > 0) printLine(out.bold(`${start.name}:`));
      if (line !== null && line !== lastLine)
        printLine(out.dim(`; ${line.text.trim()}  ${out.italic(`${line.file}:${line.line}`)}`));
      const missing = program.missing?.get(index);
      printLine(
        `${String(index).padStart(5)}: ${text}${missing === undefined ? "" : out.yellow(`  ; ${missing.text}`)}`,
      );
    }
    lastLine = line;
    if (isWideImmediate(program.insns[index]!)) index++;
  }
}

async function showLowering(program: Program, options: InspectOptions, optimize: 0 | 1 | 2 | 3): Promise<void> {
  const result = verify(program);
  if (result.verdict !== "accepted") throw result.error;
  const { cfg, wat } = await explainLowering(result.program, { optimize });
  if (options.json) {
    printJson({ program: program.name, ...(options.cfg && { cfg }), ...(options.wat && { wat }) });
    return;
  }
  if (options.cfg) printLine(cfg.trimEnd());
  if (options.wat) printLine(wat.trimEnd());
}
