/** A `.bpf` file → its cases: the assembly of each, with line numbers kept, and the expectations in its comments. */

import { assembleProgram } from "../../../compiler/asm/index.ts";
import type { Program } from "../../../compiler/program.ts";
import { withBtf } from "../../verdict/btf.ts";
import { DirectiveError, directiveParts, type Expectation, parseExpectation } from "./expectation.ts";
import { targetBtf } from "./target.ts";

export type TestKind = "verify" | "run" | "lower";

export interface Directive {
  readonly expectation: Expectation;
  /** as it stands in the file, for rewriting */
  readonly text: string;
  /** 1-based */
  readonly line: number;
  /** slot of the instruction on the same line; null where it stands alone */
  readonly insnIndex: number | null;
}

export interface TestCase {
  readonly name: string;
  readonly kind: TestKind;
  /** of its `; test:` */
  readonly line: number;
  readonly program: Program;
  readonly directives: readonly Directive[];
  /** text line by slot */
  readonly lines: readonly number[];
  /** `; kernel: REASON`: the running kernel is known to answer otherwise */
  readonly kernelDiffers: string | null;
}

const TEST = /^\s*;\s*test:\s*(\S+)\s*(.*)$/;

/**
 * Every `; test: KIND [NAME]` begins a case; what stands before the first (maps, program type) belongs to all, a `; prog:`
 * of its own replaces the shared one. Throws BpfError (ASM_SYNTAX) or DirectiveError, both with the line.
 */
export function readCases(text: string, file: string): TestCase[] {
  const rows = text.split("\n");
  const starts = rows.flatMap((row, index) => (TEST.test(row) ? [index] : []));
  if (starts.length === 0) throw new DirectiveError(`${file}: no \`; test:\` line`);
  const cases: TestCase[] = [];
  starts.forEach((start, position) => {
    const end = starts[position + 1] ?? rows.length;
    const [, kind, name] = TEST.exec(rows[start]!)!;
    if (kind !== "verify" && kind !== "run" && kind !== "lower")
      throw new DirectiveError(`${file}:${start + 1}: no kind of test ${kind}`);
    const own = rows.slice(start, end);
    const hasProgram = own.some((row) => /^\s*;\s*prog:/.test(row));
    const visible = rows.map((row, index) => {
      if (index >= start && index < end) return row;
      return index < starts[0]! && !(hasProgram && /^\s*;\s*prog:/.test(row)) ? row : "";
    });
    cases.push(readCase(visible, { name: name!.trim() || `case ${position + 1}`, kind, line: start + 1, file }));
  });
  const names = new Set(cases.map((one) => one.name));
  if (names.size !== cases.length) throw new DirectiveError(`${file}: two cases have the same name`);
  return cases;
}

function readCase(
  rows: readonly string[],
  head: { readonly name: string; readonly kind: TestKind; readonly line: number; readonly file: string },
): TestCase {
  const { program: bare, assembly } = assembleProgram(rows.join("\n"), { file: head.file, targetBtf: targetBtf() });
  // As of a program with debug information, without which the kernel refuses callbacks.
  const program = bare.functions.length > 1 && !bare.btf ? withBtf(bare) : bare;
  const directives: Directive[] = [];
  for (const comment of assembly.comments)
    for (const text of directiveParts(comment.text)) {
      try {
        directives.push({
          expectation: parseExpectation(text),
          text,
          line: comment.line,
          insnIndex: comment.insnIndex,
        });
      } catch (error) {
        if (error instanceof DirectiveError) error.message = `${head.file}:${comment.line}: ${error.message}`;
        throw error;
      }
    }
  const differs = assembly.comments.find((comment) => comment.text.startsWith("kernel:"));
  const kernelDiffers = differs?.text.slice("kernel:".length).trim() ?? null;
  return {
    name: head.name,
    kind: head.kind,
    line: head.line,
    program,
    directives,
    lines: assembly.lines,
    kernelDiffers,
  };
}
