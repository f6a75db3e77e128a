/** What oracle.c prints about an object, and the differences between that and what readObject() made of it. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { toHex } from "../../base/index.ts";
import { encodeInsns } from "../../compiler/asm/codec.ts";
import type { BpfObject, ProgramOutcome } from "../../compiler/object/index.ts";
import type { Program } from "../../compiler/program.ts";
import { ATTACH_TYPES, type MapSpec, mapTypeByName, programType } from "../../spec/index.ts";

export const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}.bpf.o`, import.meta.url));
export const fixtureBytes = (name: string): Uint8Array => readFileSync(fixture(name));

/** Path of a built oracle.c; without it recorded answers are compared. */
export const ORACLE = process.env.BPFJIT_LIBBPF_ORACLE ?? null;

interface MapLine {
  readonly map: string;
  readonly [field: string]: string | number | boolean;
}

interface ProgramLine {
  readonly program: string;
  readonly section: string;
  readonly type: number;
  readonly attachType: number;
  readonly autoload: boolean;
  loaded?: LoadLine;
  loadError?: number;
}

interface LoadLine {
  readonly load: string;
  readonly insns: string;
  readonly functions: readonly (readonly [insnIndex: number, type: number])[];
  readonly lines: readonly (readonly [insnIndex: number, line: number, column: number])[];
}

export interface Answer {
  /** libbpf refuses the whole object */
  error: number | null;
  readonly maps: MapLine[];
  readonly programs: ProgramLine[];
}

export function askOracle(object: string, targetBtf?: string): Answer {
  const args = targetBtf === undefined ? [object] : [object, targetBtf];
  return parseAnswer(execFileSync(ORACLE!, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
}

export const recordedAnswer = (name: string): Answer =>
  parseAnswer(readFileSync(new URL(`recorded/${name}.jsonl`, import.meta.url), "utf8"));

function parseAnswer(text: string): Answer {
  const answer: Answer = { error: null, maps: [], programs: [] };
  for (const line of text.trim().split("\n")) {
    const value = JSON.parse(line);
    if (value.error !== undefined) answer.error = value.error;
    else if (value.map !== undefined) answer.maps.push(value);
    else if (value.program !== undefined) answer.programs.push(value);
    else if (value.load !== undefined) answer.programs.at(-1)!.loaded = value;
    else answer.programs.at(-1)!.loadError = value.loadError;
  }
  return answer;
}

/** Empty where everything is as libbpf has it. */
export function differences(object: BpfObject, answer: Answer): string[] {
  const found: string[] = [];
  const compare = (what: string, mine: unknown, theirs: unknown) => {
    if (JSON.stringify(mine) !== JSON.stringify(theirs))
      found.push(`${what}: ${JSON.stringify(mine)} instead of ${JSON.stringify(theirs)}`);
  };
  compare("maps", object.maps.map(describeMap), answer.maps.map(withoutKconfig));
  compare(
    "programs",
    object.programs.map(nameOf),
    answer.programs.map(({ program }) => program),
  );
  for (const [index, theirs] of answer.programs.entries()) {
    const mine = object.programs[index];
    if (mine === undefined) continue;
    // The oracle, too, goes on without what a program attaches to.
    const program = mine.program ?? null;
    if (program === null || theirs.loaded === undefined) {
      compare(`${theirs.program} loads`, program !== null, theirs.loaded !== undefined);
      continue;
    }
    compareProgram(program, theirs, theirs.loaded, compare);
  }
  return found;
}

const nameOf = (outcome: ProgramOutcome): string => (outcome.ok ? outcome.program.name : outcome.name);

function compareProgram(
  mine: Program,
  theirs: ProgramLine,
  loaded: LoadLine,
  compare: (what: string, mine: unknown, theirs: unknown) => void,
): void {
  const { name } = mine;
  compare(`${name} type`, programType(mine.type).id, theirs.type);
  // libbpf chooses the attach type of usdt programs when it attaches them.
  if (!mine.section.startsWith("usdt"))
    compare(
      `${name} attach type`,
      mine.attachType === null ? 0 : ATTACH_TYPES.indexOf(mine.attachType),
      theirs.attachType,
    );
  compare(`${name} autoload`, mine.autoload, theirs.autoload);
  const bytes = toHex(encodeInsns(mine.insns));
  for (let at = 0; at < Math.max(bytes.length, loaded.insns.length); at += 16)
    if (bytes.slice(at, at + 16) !== loaded.insns.slice(at, at + 16)) {
      compare(`${name} instruction ${at / 16}`, bytes.slice(at, at + 16), loaded.insns.slice(at, at + 16));
      break;
    }
  const functions = mine.functions.filter(({ type }) => type !== undefined);
  compare(
    `${name} functions`,
    functions.map(({ insnIndex, type }) => [insnIndex, type]),
    loaded.functions,
  );
  compare(
    `${name} lines`,
    mine.lines.map(({ insnIndex, line, column }) => [insnIndex, line, column]),
    loaded.lines,
  );
}

function describeMap(spec: MapSpec): MapLine {
  return withoutKconfig({
    map: spec.name,
    type: mapTypeByName(spec.type)!.id,
    key: spec.keySize,
    value: spec.valueSize,
    entries: spec.maxEntries,
    flags: spec.flags,
    extra: spec.extra.toString(),
    numa: spec.numaNode ?? 0,
    pinned: spec.pinned,
    inner: spec.inner !== null,
    // Of struct_ops libbpf shows what it makes of it.
    initial: spec.initial === null || spec.type === "struct_ops" ? "" : toHex(spec.initial),
  });
}

/** libbpf fills the configuration in when it loads, which is after it was asked. */
const withoutKconfig = (line: MapLine): MapLine => (line.map.endsWith(".kconfig") ? { ...line, initial: "" } : line);
