/**
 * One program: its function, the subprograms it reaches in the order libbpf appends them (depth first, at their first call),
 * calls and addresses set to where they came to lie, references to maps and externs patched in.
 * Source: libbpf, bpf_object__reloc_code() and bpf_object__relocate_data().
 */
import { ObjectError, UnsupportedError } from "../../base/index.ts";
import { INSN_BYTES, PSEUDO_CALL, PSEUDO_LD } from "../../spec/isa.ts";
import { OWN_KFUNC } from "../../spec/kfuncs.ts";
import { type Insn, isWideImmediate } from "../asm/instruction.ts";
import type { MissingRelocation } from "../program.ts";
import type { ElfSection } from "./elf.ts";
import type { ExternTable } from "./externs.ts";
import { type FunctionTable, insnAt, type ObjectFunction, type Relocation } from "./functions.ts";
import { CALL_OPCODE } from "./relocations.ts";

export interface LinkContext {
  readonly functions: FunctionTable;
  readonly text: ElfSection | null;
  readonly externs: ExternTable;
  /** index of the configuration map */
  readonly configMap: number | null;
  /** slots that may still be made for the whole object */
  budget: { slots: number };
}

export interface LinkedPart {
  readonly fn: ObjectFunction;
  /** first slot in the program */
  readonly start: number;
}

export interface Linked {
  readonly insns: readonly Insn[];
  /** the program's own function first */
  readonly parts: readonly LinkedPart[];
  /** by slot: calls of weak kernel functions that the target does not have */
  readonly missing: ReadonlyMap<number, MissingRelocation>;
}

/** `exceptionCallback` is appended last, unless something calls it before. */
export function linkProgram(
  main: ObjectFunction,
  context: LinkContext,
  exceptionCallback: ObjectFunction | null,
): Linked {
  const linker = new Linker(context);
  linker.append(main);
  if (exceptionCallback !== null && !linker.starts.has(exceptionCallback)) linker.append(exceptionCallback);
  linker.patchData();
  return { insns: linker.insns, parts: linker.parts, missing: linker.missing };
}

class Linker {
  readonly insns: Insn[] = [];
  readonly parts: LinkedPart[] = [];
  readonly starts = new Map<ObjectFunction, number>();
  readonly missing = new Map<number, MissingRelocation>();
  readonly #context: LinkContext;

  constructor(context: LinkContext) {
    this.#context = context;
  }

  /** Depth first, with a stack of its own: hostile chains of calls are longer than JavaScript's. */
  append(root: ObjectFunction): void {
    const stack = [{ fn: root, start: this.#place(root), slot: 0 }];
    while (stack.length > 0) {
      const frame = stack[stack.length - 1]!;
      const { fn, start } = frame;
      if (frame.slot >= fn.count) {
        stack.pop();
        continue;
      }
      const slot = frame.slot++;
      const insn = this.insns[start + slot]!;
      const relocation = fn.relocations.get(slot);
      if (!refersToCode(insn, relocation)) continue;
      const callee = this.#calleeOf(fn, slot, insn, relocation);
      let calleeStart = this.starts.get(callee);
      if (calleeStart === undefined) {
        calleeStart = this.#place(callee);
        stack.push({ fn: callee, start: calleeStart, slot: 0 });
      }
      this.insns[start + slot] = {
        ...insn,
        src: insn.opcode === CALL_OPCODE ? insn.src : PSEUDO_LD.FUNC,
        imm: calleeStart - (start + slot) - 1,
      };
    }
  }

  #place(fn: ObjectFunction): number {
    if (fn.failure !== null) throw fn.failure;
    const { budget } = this.#context;
    budget.slots -= fn.count;
    if (budget.slots < 0)
      throw new UnsupportedError(
        "UNSUPPORTED_FEATURE",
        "object size",
        "the object unfolds into more instructions than bpfjit keeps",
        { where: { section: fn.section.name, program: fn.name } },
      );
    const start = this.insns.length;
    for (let slot = 0; slot < fn.count; slot++) this.insns.push(insnAt(fn, slot));
    this.starts.set(fn, start);
    this.parts.push({ fn, start });
    return start;
  }

  #calleeOf(fn: ObjectFunction, slot: number, insn: Insn, relocation: Relocation | undefined): ObjectFunction {
    let target: number;
    if (relocation?.kind === "call") target = relocation.offsetBytes / INSN_BYTES + insn.imm + 1;
    else if (relocation?.kind === "subprogram") target = (relocation.offsetBytes + insn.imm) / INSN_BYTES;
    else if (relocation !== undefined || isWideImmediate(insn))
      throw unresolved(fn, slot, "is not relocated to a function");
    // A call of a static function of the same section is complete without relocation.
    else target = fn.start + slot + insn.imm + 1;
    const callee = this.#context.functions.find(this.#context.text, target);
    if (callee === null) throw unresolved(fn, slot, "leads to no function of .text");
    return callee;
  }

  patchData(): void {
    for (const { fn, start } of this.parts) {
      for (const [slot, relocation] of fn.relocations) this.#patch(fn, slot, start + slot, relocation);
    }
  }

  #patch(fn: ObjectFunction, slot: number, at: number, relocation: Relocation): void {
    const insn = this.insns[at]!;
    const setLoad = (src: number, imm: number, high: number) => {
      this.insns[at] = { ...insn, src, imm };
      this.insns[at + 1] = { ...this.insns[at + 1]!, imm: high };
    };
    switch (relocation.kind) {
      case "call":
      case "subprogram":
        return;
      case "map":
        this.insns[at] = { ...insn, src: PSEUDO_LD.MAP_FD, imm: relocation.map };
        return;
      case "data":
        setLoad(PSEUDO_LD.MAP_VALUE, relocation.map, (insn.imm + relocation.offsetBytes) | 0);
        return;
      case "extern": {
        const resolution = this.#context.externs.resolve(relocation.extern);
        if (insn.opcode === CALL_OPCODE) {
          if (resolution.kind === "btf")
            this.insns[at] = { ...insn, src: PSEUDO_CALL.KFUNC, imm: resolution.id, off: resolution.module };
          else if (resolution.kind === "own")
            this.insns[at] = { ...insn, src: PSEUDO_CALL.KFUNC, imm: resolution.number, off: OWN_KFUNC };
          else if (resolution.kind === "missing") {
            this.insns[at] = { opcode: CALL_OPCODE, dst: 0, src: 0, off: 0, imm: resolution.number };
            const { name } = this.#context.externs.all[relocation.extern]!;
            const text = `the target has no kernel function ${name}`;
            this.missing.set(at, { kind: "kfunc", type: name, member: null, text });
          } else throw unresolved(fn, slot, "calls a variable");
          return;
        }
        switch (resolution.kind) {
          case "config":
            setLoad(PSEUDO_LD.MAP_VALUE, this.#context.configMap!, resolution.offsetBytes);
            return;
          case "btf":
            setLoad(PSEUDO_LD.BTF_ID, resolution.id, resolution.module);
            return;
          case "own":
            // its address is only compared with null: bpf_ksym_exists()
            setLoad(0, 1, 0);
            return;
          case "address":
            setLoad(
              insn.src,
              Number(BigInt.asIntN(32, resolution.address)),
              Number(BigInt.asIntN(32, resolution.address >> 32n)),
            );
            return;
          case "missing":
            // The address of a weak function that is not there is null.
            setLoad(insn.src, 0, 0);
            return;
        }
      }
    }
  }
}

function refersToCode(insn: Insn, relocation: Relocation | undefined): boolean {
  if (relocation?.kind === "extern") return false;
  if (insn.opcode === CALL_OPCODE) return insn.src === PSEUDO_CALL.SUBPROG && insn.dst === 0 && insn.off === 0;
  return isWideImmediate(insn) && (relocation?.kind === "subprogram" || insn.src === PSEUDO_LD.FUNC);
}

const unresolved = (fn: ObjectFunction, slot: number, message: string): ObjectError =>
  new ObjectError("RELOCATION_UNRESOLVED", `instruction ${slot} of ${fn.name} ${message}`, {
    where: { section: fn.section.name, program: fn.name, offsetBytes: (fn.start + slot) * INSN_BYTES },
  });
