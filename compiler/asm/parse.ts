/**
 * Text assembly → slots: lines, labels and comments. One statement's grammar is in statement.ts.
 *
 *     loop:                       ; a label, alone or before a statement
 *       r1 += 1                   ; a comment ends the line; `//` and, at the start of a line, `#` begin one too
 *       if r1 < 10 goto loop
 *       call add                  ; a label that is called begins a subprogram
 *       exit
 *     .globl add                  ; makes the subprogram global: verified on its own
 *
 * Labels are of the whole text. Directives in comments are program.ts's and the file tests' business.
 */
import type { Insn } from "./instruction.ts";
import { Cursor, type SourceText, syntaxError, type Token, tokens } from "./scan.ts";
import { type Names, parseStatement, type Reference, type Statement } from "./statement.ts";

export interface Assembly {
  readonly insns: readonly Insn[];
  /** slot index by label */
  readonly labels: ReadonlyMap<string, number>;
  /** 1-based line of the text, by slot */
  readonly lines: readonly number[];
  readonly comments: readonly AsmComment[];
  /** slots where a subprogram begins (called or taken the address of), ascending */
  readonly functions: readonly AsmFunction[];
}

export interface AsmFunction {
  readonly name: string;
  readonly insnIndex: number;
  readonly linkage: "static" | "global";
}

export interface AsmComment {
  readonly line: number;
  /** without the mark, trimmed */
  readonly text: string;
  /** first slot of the instruction on the same line; null where the comment stands alone */
  readonly insnIndex: number | null;
}

export interface ParseOptions {
  /** names that `map[…]` may use, in the order of the program's maps */
  readonly maps?: readonly string[];
  /** BTF id of a kernel function in the target; absent: calls of them by name are errors */
  readonly kernelFunction?: Names["kernelFunction"];
  /** BTF id of a variable of the target's kernel, for `btf[…]`; absent: only numbers stand there */
  readonly kernelVariable?: Names["kernelVariable"];
  /** BTF id of a struct that the text declares, for `type[…]` */
  readonly struct?: Names["struct"];
  /** for messages */
  readonly file?: string;
}

interface Placed {
  readonly statement: Statement;
  readonly source: SourceText;
  readonly index: number;
}

/** Throws ASM_SYNTAX with file and line. Every jump is in range of its field; whether it hits an instruction is not asked. */
export function parseAssembly(text: string, options: ParseOptions = {}): Assembly {
  const labels = new Map<string, number>();
  const labelSources = new Map<string, SourceText>();
  const globals = new Map<string, SourceText>();
  const comments: AsmComment[] = [];
  const placed: Placed[] = [];
  const names: Names = {
    maps: options.maps ?? [],
    kernelFunction: options.kernelFunction ?? (() => null),
    kernelVariable: options.kernelVariable ?? (() => null),
    struct: options.struct ?? (() => null),
  };
  let slots = 0;
  text.split(/\r\n|\n|\r/).forEach((raw, lineIndex) => {
    const source: SourceText = { line: lineIndex + 1, text: raw, file: options.file };
    const { code, comment } = splitComment(raw);
    let rest = tokens(source, code);
    for (; isLabel(rest); rest = rest.slice(2)) {
      const name = rest[0]!.text;
      if (labels.has(name)) throw syntaxError(source, `label ${name} is defined twice`);
      labels.set(name, slots);
      labelSources.set(name, source);
    }
    let insnIndex: number | null = null;
    if (rest[0]?.text === ".globl" || rest[0]?.text === ".global") {
      const cursor = new Cursor(source, rest.slice(1));
      globals.set(cursor.word("a label"), source);
      cursor.end();
    } else if (rest.length > 0) {
      const statement = parseStatement(new Cursor(source, rest), names);
      insnIndex = slots;
      placed.push({ statement, source, index: slots });
      slots += statement.insns.length;
    }
    if (comment !== null) comments.push({ line: source.line, text: comment, insnIndex });
  });

  const insns: Insn[] = [];
  const lines: number[] = [];
  const entries = new Map<number, string>();
  for (const { statement, source, index } of placed) {
    insns.push(...resolve(statement, source, index, labels));
    for (const _ of statement.insns) lines.push(source.line);
    const reference = statement.reference;
    if (reference?.entry !== true) continue;
    const target = reference.label === null ? index + 1 + reference.distance! : labels.get(reference.label)!;
    if (!entries.has(target)) entries.set(target, reference.label ?? `sub_${target}`);
  }
  for (const [name, source] of globals) {
    const index = labels.get(name);
    if (index === undefined) throw syntaxError(source, `no label ${name}`);
    entries.set(index, name);
  }
  const functions = [...entries]
    .sort(([a], [b]) => a - b)
    .map(([insnIndex, name]): AsmFunction => ({ name, insnIndex, linkage: globals.has(name) ? "global" : "static" }));
  return { insns, labels, lines, comments, functions };
}

function splitComment(raw: string): { code: string; comment: string | null } {
  if (/^\s*#/.test(raw)) return { code: "", comment: raw.trim().slice(1).trim() };
  const at = raw.search(/;|\/\//);
  if (at < 0) return { code: raw, comment: null };
  return { code: raw.slice(0, at), comment: raw.slice(at + (raw[at] === ";" ? 1 : 2)).trim() };
}

function isLabel(found: readonly Token[]): boolean {
  const [name, colon] = found;
  return name?.kind === "word" && colon?.kind === "symbol" && colon.text === ":";
}

/** Puts the distance to the label where the statement keeps it. */
function resolve(
  statement: Statement,
  source: SourceText,
  index: number,
  labels: ReadonlyMap<string, number>,
): readonly Insn[] {
  const reference: Reference | null = statement.reference;
  if (reference === null || reference.label === null) return statement.insns;
  const target = labels.get(reference.label);
  if (target === undefined) throw syntaxError(source, `no label ${reference.label}`);
  const distance = target - index - 1;
  if (reference.field === "off" && (distance < -0x8000 || distance > 0x7fff))
    throw syntaxError(
      source,
      `label ${reference.label} is ${distance} slots away, too far for a 16-bit offset`,
      "use gotol",
    );
  const first = { ...statement.insns[0]!, [reference.field]: distance };
  return [first, ...statement.insns.slice(1)];
}
