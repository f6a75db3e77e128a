/** What random programs ran: programs by form of instruction, and by what they have in them. */
import type { Insn } from "../../compiler/asm/index.ts";
import * as isa from "../../spec/isa.ts";
import { FORMS, formOf } from "./forms.ts";

export class Coverage {
  programs = 0;
  /** instructions that ran, repetitions included */
  steps = 0;
  /** programs in which an instruction of the form ran */
  readonly #forms = new Map<string, number>(FORMS.map((form) => [form, 0]));
  readonly #traits = new Map<string, number>();

  /** `ran`: how often each slot ran. */
  add(insns: readonly Insn[], ran: Uint32Array, misalign: number): void {
    this.programs++;
    const forms = new Set<string>();
    const traits = new Set<string>();
    insns.forEach((insn, index) => {
      const times = ran[index]!;
      if (times === 0) return;
      this.steps += times;
      forms.add(formOf(insns, index));
      for (const trait of traitsOf(insn, misalign)) traits.add(trait);
    });
    for (const form of forms) this.#forms.set(form, (this.#forms.get(form) ?? 0) + 1);
    if (traits.size > 0) traits.add("any of these");
    for (const trait of traits) this.#traits.set(trait, (this.#traits.get(trait) ?? 0) + 1);
  }

  /** Forms that ran in fewer programs than one in a hundred. */
  rare(): { form: string; programs: number }[] {
    return [...this.#forms]
      .map(([form, programs]) => ({ form, programs }))
      .filter(({ programs }) => programs * 100 < this.programs)
      .sort((a, b) => a.programs - b.programs);
  }
  /** Forms that ran though FORMS does not list them. */
  unlisted(): string[] {
    return [...this.#forms.keys()].filter((form) => !FORMS.includes(form));
  }
  /** Share of the programs, 0 … 1. */
  share(trait: string): number {
    return (this.#traits.get(trait) ?? 0) / this.programs;
  }

  /** A table for people: every form, the rarest first. */
  report(): string {
    const percent = (count: number) => `${((100 * count) / this.programs).toFixed(1)} %`;
    const forms = [...this.#forms].sort(([, a], [, b]) => a - b);
    return [
      `programs ${this.programs}, instructions run ${this.steps}, forms ${forms.length}`,
      ...[...this.#traits].map(([trait, count]) => `${String(count).padStart(8)}  ${percent(count)}  with ${trait}`),
      ...forms.map(([form, count]) => `${String(count).padStart(8)}  ${form}`),
    ].join("\n");
  }
}

function traitsOf(insn: Insn, misalign: number): string[] {
  const group = insn.opcode & 7;
  const operation = insn.opcode & 0xf0;
  if (group === isa.CLASS.JMP || group === isa.CLASS.JMP32) {
    if (group === isa.CLASS.JMP && operation === isa.JMP.CALL) return ["calls"];
    return backwards(insn) ? ["loops"] : [];
  }
  if (group === isa.CLASS.STX && (insn.opcode & 0xe0) === isa.MODE.ATOMIC)
    return misalign === 0 ? ["atomics"] : ["atomics", "misaligned atomics"];
  const isAccess = group === isa.CLASS.LDX || group === isa.CLASS.ST || group === isa.CLASS.STX;
  // Loading and leaving the registers is in every program and proves little.
  const base = group === isa.CLASS.LDX ? insn.src : insn.dst;
  return isAccess && base === 1 ? ["variable or computed addresses"] : [];
}

const backwards = (insn: Insn): boolean =>
  insn.opcode === (isa.CLASS.JMP32 | isa.JMP.JA) ? insn.imm < 0 : insn.off < 0;
