/**
 * What the compared programs exercise: kinds of helper arguments and types of pointers, each in programs that the kernel
 * accepts (all that some path did) and in programs that it refuses (what was at hand where it stopped).
 */
import type { Insn } from "../../compiler/asm/index.ts";
import type { VerifyOptions } from "../../compiler/verifier/index.ts";
import { typeName } from "../../compiler/verifier/register.ts";
import { helperById } from "../../spec/helpers.ts";
import { CLASS, JMP, PSEUDO_CALL } from "../../spec/isa.ts";

type Recorder = NonNullable<VerifyOptions["recorder"]>;
type Env = Parameters<Recorder["visit"]>[0];
type Tally = Map<string, { accepted: number; refused: number }>;

/** Of one program: what its instructions were given, on any path. */
export class Watch implements Recorder {
  readonly #kinds = new Set<string>();
  readonly #types = new Set<number>();
  #last: Env | null = null;

  visit(env: Env): void {
    this.#last = env;
    for (const { type } of env.state.registers) this.#types.add(type);
    for (const kind of argumentKinds(env.insns[env.insnIndex]!)) this.#kinds.add(kind);
  }
  parted(): void {}
  resumed(): void {}

  ofAll(): { readonly kinds: Iterable<string>; readonly types: Iterable<number> } {
    return { kinds: this.#kinds, types: this.#types };
  }
  /** Of the instruction that the program was refused at. */
  ofLast(): { readonly kinds: Iterable<string>; readonly types: Iterable<number> } {
    const insn = this.#last?.insns[this.#last.insnIndex];
    return {
      kinds: new Set(insn === undefined ? [] : argumentKinds(insn)),
      types: this.#last?.state?.registers.map(({ type }) => type) ?? [],
    };
  }
}

export class Coverage {
  readonly #arguments: Tally = new Map();
  readonly #pointers: Tally = new Map();

  add(watch: Watch, isAccepted: boolean): void {
    const { kinds, types } = isAccepted ? watch.ofAll() : watch.ofLast();
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
