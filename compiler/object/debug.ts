/**
 * Function and line information of a linked program: the records of each of its parts, moved to where the part came to lie.
 * Source: libbpf, reloc_prog_func_and_line_info(); the order that is asked for is the kernel's, check_btf_line().
 */
import { ObjectError } from "../../base/index.ts";
import { INSN_BYTES } from "../../spec/isa.ts";
import type { ProgramFunction, SourceLine } from "../program.ts";
import type { Btf } from "./btf/btf.ts";
import type { BtfExt, FunctionInfo, LineInfo } from "./btf/ext.ts";
import type { ObjectFunction } from "./functions.ts";
import type { LinkedPart } from "./link.ts";

export class DebugInfo {
  readonly #btf: Btf | null;
  readonly #ext: BtfExt | null;
  readonly #sorted = new Map<readonly { offsetBytes: number }[], readonly { offsetBytes: number }[]>();

  constructor(btf: Btf | null, ext: BtfExt | null) {
    this.#btf = btf;
    this.#ext = ext;
  }

  /** Without records for the program's own function, all functions go by their symbols, and none counts as global. */
  functionsOf(parts: readonly LinkedPart[]): ProgramFunction[] {
    const described = this.#recordsOf(parts, this.#ext?.functions, "function");
    if (described === null)
      return parts.map(({ fn, start }, index) => ({
        insnIndex: start,
        name: fn.name,
        linkage: index === 0 ? "global" : "static",
      }));
    return parts.map(({ fn, start }, index) => {
      const info = described[index]![0] as FunctionInfo;
      const type = this.#btf!.typeById(info.type);
      if (type.kind !== "func") throw malformed(fn, `function information says type ${info.type}, a ${type.kind}`);
      return {
        insnIndex: start,
        name: type.name,
        linkage: type.linkage === "global" && !(fn.isGlobal && fn.isHidden) ? "global" : "static",
        type: info.type,
      };
    });
  }

  linesOf(parts: readonly LinkedPart[]): SourceLine[] {
    const described = this.#recordsOf(parts, this.#ext?.lines, "line");
    if (described === null) return [];
    const lines: SourceLine[] = [];
    parts.forEach(({ fn, start }, index) => {
      let before = -1;
      for (const record of described[index] as readonly LineInfo[]) {
        const slot = Math.floor(record.offsetBytes / INSN_BYTES) - fn.start;
        if (slot <= before) throw malformed(fn, `two lines for instruction ${slot}`);
        before = slot;
        const text = this.#btf!.string(record.textOffset);
        lines.push({
          insnIndex: start + slot,
          file: this.#btf!.string(record.fileOffset),
          line: record.line,
          column: record.column,
          text: text.trim(),
          indent: text.length - text.trimStart().length,
        });
      }
    });
    return lines;
  }

  /** Records of each part; null where the first has none, an error where only a later one has none. */
  #recordsOf<T extends { readonly offsetBytes: number }>(
    parts: readonly LinkedPart[],
    bySection: ReadonlyMap<string, readonly T[]> | undefined,
    what: string,
  ): (readonly T[])[] | null {
    const all: (readonly T[])[] = [];
    for (const { fn } of parts) {
      const records = this.#within(fn, bySection?.get(fn.section.name) ?? []);
      if (records.length === 0) {
        if (all.length === 0) return null;
        throw malformed(fn, `no ${what} information for subprogram ${fn.name}`);
      }
      all.push(records);
    }
    return all;
  }

  #within<T extends { readonly offsetBytes: number }>(fn: ObjectFunction, records: readonly T[]): readonly T[] {
    let sorted = this.#sorted.get(records) as readonly T[] | undefined;
    if (sorted === undefined) {
      sorted = records.toSorted((a, b) => a.offsetBytes - b.offsetBytes);
      this.#sorted.set(records, sorted);
    }
    const first = (bytes: number): number => {
      let low = 0;
      let high = sorted.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle]!.offsetBytes < bytes) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    return sorted.slice(first(fn.start * INSN_BYTES), first((fn.start + fn.count) * INSN_BYTES));
  }
}

const malformed = (fn: ObjectFunction, message: string): ObjectError =>
  new ObjectError("BTF_MALFORMED", message, {
    where: { section: ".BTF.ext", program: fn.name, offsetBytes: fn.start * INSN_BYTES },
  });
