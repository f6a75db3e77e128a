/**
 * The functions of the code sections: programs and, in .text, subprograms. Their instructions stay in the section's one
 * decoded array; what relocation changes is kept beside it. Source: libbpf, bpf_object__add_programs().
 */
import { type BpfError, ObjectError } from "../../base/index.ts";
import { INSN_BYTES } from "../../spec/isa.ts";
import { decodeInsns } from "../asm/codec.ts";
import type { Insn } from "../asm/instruction.ts";
import type { MissingRelocation } from "../program.ts";
import { type Elf, type ElfSection, type ElfSymbol, SYMBOL_BIND, SYMBOL_TYPE, SYMBOL_VISIBILITY } from "./elf.ts";
import type { Layout } from "./layout.ts";

/** What an instruction refers to. */
export type Relocation =
  /** 64-bit load of a map's address */
  | { readonly kind: "map"; readonly map: number }
  /** 64-bit load of an address in the value of a data map; the instruction's immediate is added */
  | { readonly kind: "data"; readonly map: number; readonly offsetBytes: number }
  /** call of a subprogram; the instruction's immediate counts */
  | { readonly kind: "call"; readonly offsetBytes: number }
  /** 64-bit load of a subprogram's address; the instruction's immediate counts */
  | { readonly kind: "subprogram"; readonly offsetBytes: number }
  /** 64-bit load or call of what the target provides */
  | { readonly kind: "extern"; readonly extern: number };

export interface ObjectFunction {
  readonly name: string;
  readonly section: ElfSection;
  /** instruction slots of the whole section */
  readonly code: readonly Insn[];
  /** first slot in `code` */
  readonly start: number;
  readonly count: number;
  readonly isSubprogram: boolean;
  /** other objects could call it */
  readonly isGlobal: boolean;
  /** … but its symbol is hidden, so the verifier is to treat it as static */
  readonly isHidden: boolean;
  /** by slot in the function */
  readonly relocations: Map<number, Relocation>;
  /** by slot in the function: what CO-RE made of the instruction */
  readonly patches: Map<number, Insn>;
  /** by slot in the function: instructions that CO-RE poisoned, and why */
  readonly missing: Map<number, MissingRelocation>;
  /** why no program can contain it */
  failure: BpfError | null;
}

/** Functions in order of section and offset. */
export class FunctionTable {
  readonly all: readonly ObjectFunction[];
  readonly #bySection = new Map<number, ObjectFunction[]>();

  constructor(functions: readonly ObjectFunction[]) {
    this.all = functions;
    for (const fn of functions) {
      const section = this.#bySection.get(fn.section.index);
      if (section === undefined) this.#bySection.set(fn.section.index, [fn]);
      else section.push(fn);
    }
  }

  /** The function that contains a slot of a section: the last that begins at or before it. */
  find(section: ElfSection | null, slot: number): ObjectFunction | null {
    const functions = section === null ? undefined : this.#bySection.get(section.index);
    if (functions === undefined) return null;
    let low = 0;
    let high = functions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (functions[middle]!.start <= slot) low = middle + 1;
      else high = middle;
    }
    const fn = functions[low - 1];
    return fn !== undefined && slot < fn.start + fn.count ? fn : null;
  }
}

/** The instruction at a slot of the function, as CO-RE left it. */
export const insnAt = (fn: ObjectFunction, slot: number): Insn => fn.patches.get(slot) ?? fn.code[fn.start + slot]!;

export function readFunctions(layout: Layout): FunctionTable {
  const symbols = new Map<number, ElfSymbol[]>();
  for (const symbol of layout.elf.symbols) {
    if (symbol.type !== SYMBOL_TYPE.FUNC) continue;
    const ofSection = symbols.get(symbol.section);
    if (ofSection === undefined) symbols.set(symbol.section, [symbol]);
    else ofSection.push(symbol);
  }
  const functions: ObjectFunction[] = [];
  for (const section of layout.code) {
    const ofSection = symbols.get(section.index);
    if (ofSection === undefined) continue;
    const code = decodeInsns(section.data.subarray(0, section.size - (section.size % INSN_BYTES)));
    for (const symbol of ofSection) functions.push(functionOf(layout, section, code, symbol));
  }
  // Stable: aliases keep the order of their symbols.
  functions.sort((a, b) => a.section.index - b.section.index || a.start - b.start);
  return new FunctionTable(functions);
}

function functionOf(layout: Layout, section: ElfSection, code: readonly Insn[], symbol: ElfSymbol): ObjectFunction {
  const name = layout.elf.symbolName(symbol);
  requireInside(layout.elf, section, symbol);
  const isSubprogram = section === layout.text;
  const isGlobal = symbol.bind !== SYMBOL_BIND.LOCAL;
  return {
    name,
    section,
    code,
    start: symbol.value / INSN_BYTES,
    count: symbol.size / INSN_BYTES,
    isSubprogram,
    isGlobal,
    isHidden: symbol.visibility === SYMBOL_VISIBILITY.HIDDEN || symbol.visibility === SYMBOL_VISIBILITY.INTERNAL,
    relocations: new Map(),
    patches: new Map(),
    missing: new Map(),
    failure:
      isSubprogram || isGlobal
        ? null
        : new ObjectError("SYMBOL_MALFORMED", `static function ${name} in program section ${section.name}`, {
            where: { section: section.name, program: name },
            hint: "programs must be global, static subprograms belong in .text (no SEC)",
          }),
  };
}

function requireInside(elf: Elf, section: ElfSection, symbol: ElfSymbol): void {
  const { value, size } = symbol;
  if (size > 0 && value % INSN_BYTES === 0 && size % INSN_BYTES === 0 && value + size <= section.size) return;
  throw new ObjectError(
    "SYMBOL_MALFORMED",
    `function ${elf.symbolName(symbol)} of ${size} bytes at ${value} does not fit section ${section.name}`,
    { where: { section: section.name, offsetBytes: value } },
  );
}
