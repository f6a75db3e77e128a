/** The running kernel as oracle: loads programs and gives its verdict. Null where bpf() or a C compiler cannot be had. */
import { execFileSync } from "node:child_process";
import { toHex } from "../../../base/index.ts";
import { encodeInsns } from "../../../compiler/asm/index.ts";
import type { Program } from "../../../compiler/index.ts";
import type { Btf } from "../../../compiler/object/btf/btf.ts";
import { ATTACH_TYPES, errnoName, type MapSpec, mapTypeByName, programType } from "../../../spec/index.ts";
import { compileC } from "../../kernel/compile-c.ts";

export interface KernelVerdict {
  /** null: accepted */
  readonly errno: string | null;
  readonly log: string;
  /** last line that says why, as `lastMessage` finds it */
  readonly message: string | null;
}

let loader: string | null | undefined;

/** Path of the loader, compiled on first use. */
function loaderPath(source: string): string | null {
  if (loader !== undefined) return loader;
  const path = compileC(source);
  loader = path !== null && canLoad(path) ? path : null;
  return loader;
}

/** `exit` with r0 = 0, as a socket filter. */
function canLoad(path: string): boolean {
  const trivial = "type 1\ninsns b7000000000000009500000000000000\nload\n";
  return execFileSync(path, { input: trivial, encoding: "utf8" }).startsWith('{"errno":0,');
}

/** The log without traces: messages and statistics. */
const LOG_STATISTICS = 4;

/** Verdicts in the order of the programs; null where there is no kernel to ask. Raw programs cannot be asked for. */
export function kernelVerdicts(programs: readonly Program[], source: string, logLevel = 1): KernelVerdict[] | null {
  const path = loaderPath(source);
  if (path === null) return null;
  const verdicts = askLoader(path, programs, logLevel);
  if (logLevel === LOG_STATISTICS) return verdicts;
  // A trace that does not fit the buffer hides the verdict.
  const cut = programs.filter((_, index) => verdicts[index]!.errno === "ENOSPC");
  const again = askLoader(path, cut, LOG_STATISTICS);
  return verdicts.map((verdict) => (verdict.errno === "ENOSPC" ? again.shift()! : verdict));
}

function askLoader(path: string, programs: readonly Program[], logLevel: number): KernelVerdict[] {
  if (programs.length === 0) return [];
  const input = programs.map((program) => directives(program, logLevel)).join("");
  const output = execFileSync(path, { input, encoding: "utf8", maxBuffer: 1 << 28 });
  const lines = output.split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const { errno, log } = JSON.parse(line) as { errno: number; log: string };
    return { errno: errno === 0 ? null : (errnoName(errno) ?? String(errno)), log, message: lastMessage(log) };
  });
}

const SMALL_ARRAY = { type: "array", keySize: 4, valueSize: 4, maxEntries: 1, flags: 0 } as const;

function sizesOf({ type, keySize, valueSize, maxEntries, flags }: typeof SMALL_ARRAY | MapSpec): string {
  return [mapTypeByName(type)!.id, keySize, valueSize, maxEntries, flags].join(" ");
}

function directives(program: Program, logLevel: number): string {
  const lines = [`type ${programType(program.type).id}`, `license ${program.license}`, `log ${logLevel}`];
  // The member of a struct of functions stands where others have the attach type.
  const attach = program.attachBtf?.member ?? (program.attachType ? ATTACH_TYPES.indexOf(program.attachType) : 0);
  if (attach !== 0) lines.push(`attach ${attach}`);
  if (program.attachBtf) lines.push(`btf ${program.attachBtf.id}`);
  if (program.sleepable) lines.push("flags 16");
  const { btf } = program;
  const isDescribed = btf && isLoadable(program, btf);
  if (isDescribed) lines.push(`types ${toHex(btf.bytes)}`);
  for (const map of program.maps) {
    const describe = ({ btf: types }: MapSpec): void => {
      if (isDescribed && types) lines.push(`described ${types.key} ${types.value}`);
    };
    if (map.type === "array_of_maps" || map.type === "hash_of_maps") {
      if (map.inner !== null) describe(map.inner);
      lines.push(`inner ${sizesOf(map.inner ?? SMALL_ARRAY)}`);
    }
    describe(map);
    if (map.extra !== 0n) lines.push(`extra ${map.extra}`);
    const words = [sizesOf(map), map.name.replace(/\W/g, "_")];
    if (map.frozen) words.push("frozen");
    if (map.initial) words.push(toHex(map.initial));
    lines.push(`map ${words.join(" ")}`);
  }
  if (isDescribed) {
    for (const { insnIndex, type } of program.functions) lines.push(`func ${insnIndex} ${type}`);
  } else if (program.functions.length > 1) {
    for (const known of program.functions) {
      lines.push(
        `fn ${known.insnIndex} ${known.name.replace(/\W/g, "_")} ${known.linkage} ${known.linkage === "global" && known.insnIndex ? 5 : 0}`,
      );
    }
  }
  lines.push(`insns ${toHex(encodeInsns(program.insns))}`, "load", "");
  return lines.join("\n");
}

/** As it is: of a text program. The sections of data in an object's BTF have no sizes yet. */
function isLoadable({ functions }: Program, btf: Btf): boolean {
  for (const _ of btf.idsOf("datasec")) return false;
  return functions.every(({ type }) => type !== undefined);
}

const NOISE =
  /^(processed \d|verification time|stack depth|mark_precise|func#|$|;|\d+: |from \d+ to|R\d+=|frame\d+:|\s)/;

/** The line of the log that says why a program was refused: the last that is no trace of instructions or states. */
export function lastMessage(log: string): string | null {
  const lines = log.split("\n").map((line) => line.trimEnd());
  const last = lines.findLast((line) => !NOISE.test(line) && !/^(cur|old) state:/.test(line));
  return last ?? null;
}
