/**
 * What the compared programs exercise: kinds of helper arguments and types of pointers, each in programs that the kernel
 * accepts (all that some path did) and in programs that it refuses (what was at hand where it stopped).
 */

import type { Insn } from "../../compiler/asm/index.ts";
import type { VerifyOptions } from "../../compiler/verifier/index.ts";
import { typeName } from "../../compiler/verifier/register.ts";
import { helperById } from "../../spec/helpers.ts";
import { CLASS, JMP, PSEUDO_CALL } from "../../spec/isa.ts";

type Found = Parameters<NonNullable<VerifyOptions["inspect"]>>[0];
type Tally = Map<string, { accepted: number; refused: number }>;

export class Coverage {
  readonly #arguments: Tally = new Map();
  readonly #pointers: Tally = new Map();

  add(found: Found, isAccepted: boolean): void {
    const slots = isAccepted ? found.insns.keys() : [found.insnIndex].values();
    const kinds = new Set<string>();
    for (const slot of slots) {
      const insn = found.insns[slot];
      if (insn && (!isAccepted || found.facts.seen[slot])) for (const kind of argumentKinds(insn)) kinds.add(kind);
    }
    const types = new Set<number>();
    if (isAccepted) collectTypes(found, types);
    else if (found.state) for (const { type } of found.state.registers) types.add(type);
    for (const kind of kinds) count(this.#arguments, kind, isAccepted);
    for (const name of new Set([...types].map(typeName))) if (name !== "?") count(this.#pointers, name, isAccepted);
  }

  print(): void {
    printTally("helper arguments", this.#arguments);
    printTally("types of registers", this.#pointers);
  }
}

function argumentKinds(insn: Insn): string[] {
  if (insn.opcode !== (CLASS.JMP | JMP.CALL) || insn.src !== PSEUDO_CALL.HELPER) return [];
  return (helperById(insn.imm)?.args ?? []).map((arg) => (arg.is === "dynptr" ? `dynptr ${arg.dynptr}` : arg.is));
}

/** Types that registers have at the points where states are compared, and that memory is accessed through. */
function collectTypes(found: Found, types: Set<number>): void {
  for (const type of found.pointerTypes) types.add(type);
  for (const checkpoints of found.explored.values()) {
    for (const { state } of checkpoints) {
      for (const frame of state.frames) for (const { type } of frame.registers) types.add(type);
    }
  }
}

function count(tally: Tally, name: string, isAccepted: boolean): void {
  const known = tally.get(name) ?? { accepted: 0, refused: 0 };
  known[isAccepted ? "accepted" : "refused"]++;
  tally.set(name, known);
}

function printTally(title: string, tally: Tally): void {
  console.log(`${title}, in programs accepted and refused:`);
  for (const [name, { accepted, refused }] of [...tally].sort(([a], [b]) => a.localeCompare(b))) {
    console.log(`  ${name}: ${accepted}, ${refused}`);
  }
}
