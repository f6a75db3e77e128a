/** What explanations are made of: the program, the path that failed, and the steps that rules pick out of it. */
import type { CodePlace, ExplanationLimit, ExplanationStep, LimitValue, StepRole } from "../../../base/explanation.ts";
import type { ErrnoName } from "../../../spec/errno.ts";
import type { FaultKind } from "../../../spec/faults.ts";
import { isWideImmediate } from "../../asm/instruction.ts";
import { type Program, sourceLineAt } from "../../program.ts";
import { insnText } from "../disassembly.ts";
import type { Env } from "../env.ts";
import { NOT_INIT, type RegState } from "../register.ts";
import type { Visit } from "./path.ts";
import { type TrailEvent, trailOf } from "./trail.ts";

/** A rejection, and the second run that came to it. */
export interface Scene {
  readonly program: Program;
  /** as the second run left it */
  readonly env: Env;
  readonly errno: ErrnoName;
  readonly message: string;
  /** lines that the log has of the rejection, the message last */
  readonly lines: readonly string[];
  readonly insnIndex: number;
  /** empty where nothing was explored */
  readonly path: readonly Visit[];
  /** times that each instruction was processed, where that is what matters */
  readonly counts: Uint32Array | null;
}

/** What a rule says of a rejection. */
export interface Account {
  readonly kind: FaultKind;
  readonly headline: string;
  /** but for the fault itself, in any order */
  readonly steps: readonly Step[];
  /** what happens at the instruction that is refused */
  readonly fault: string;
  readonly limits?: readonly ExplanationLimit[];
  /** where the fault is better shown than where the verifier stopped */
  readonly insnIndex?: number;
}

/** A step at a visit of the path, or at an instruction that no path is known to. */
export interface Step {
  readonly at: number;
  readonly insnIndex: number;
  readonly role: StepRole;
  readonly text: string;
}

/** One kind of message, and what to say of it; null: not this one after all, the next rule is asked. */
export interface Rule {
  readonly message: RegExp;
  readonly explain: (scene: Scene, match: RegExpExecArray) => Account | null;
}

/** The registers of the function that failed, before the instruction that did. */
export function registersOf(scene: Scene): readonly RegState[] {
  return scene.path.at(-1)?.frames.at(-1)?.registers ?? [];
}
export const registerOf = (scene: Scene, number: number): RegState => registersOf(scene)[number] ?? NOT_INIT;

/** Where the value came from that a register of the failing function has; newest first. */
export function trailOfRegister(scene: Scene, register: number, end = scene.path.length - 1): TrailEvent[] {
  const visit = scene.path[end];
  if (visit === undefined) return [];
  return trailOf(scene.env.insns, scene.path, end, { frame: visit.frames.length - 1, register });
}

export function stepAt(scene: Scene, at: number, role: StepRole, text: string): Step {
  const insnIndex = at < 0 ? scene.path[0]!.insnIndex : scene.path[at]!.insnIndex;
  return { at, insnIndex, role, text };
}
/** A step at an instruction that stands beside the path. */
export const stepBeside = (insnIndex: number, role: StepRole, text: string): Step => ({
  at: -1,
  insnIndex,
  role,
  text,
});

export function placeOf(scene: Scene, insnIndex: number): CodePlace {
  const { program, env } = scene;
  const line = sourceLineAt(program, insnIndex);
  const name = env.subprograms.length > 0 ? env.subprogramOf(insnIndex).name : program.name;
  return {
    function: name === "" ? program.name : name,
    insnIndex,
    insn: isPrintable(env, insnIndex) ? insnText(env, insnIndex) : "",
    source:
      line === null || line.line === 0
        ? null
        : { file: line.file, line: line.line, column: line.column, text: line.text, indent: line.indent ?? 0 },
  };
}

/** It exists, and is not the first half of an immediate whose second half is missing. */
const isPrintable = ({ insns }: Env, insnIndex: number): boolean =>
  insns[insnIndex] !== undefined && (!isWideImmediate(insns[insnIndex]) || insns[insnIndex + 1] !== undefined);

/** The text of the C line, empty without line information. */
export const lineText = (scene: Scene, insnIndex: number): string => sourceLineAt(scene.program, insnIndex)?.text ?? "";

export const between = (min: bigint | number, max: bigint | number): LimitValue => ({
  min: BigInt(min),
  max: BigInt(max),
});

/** The chain that is told: in order, one step an instruction and text, the fault last. */
export function chainOf(scene: Scene, account: Account): ExplanationStep[] {
  const seen = new Set<string>();
  const steps = [...account.steps].sort((a, b) => a.at - b.at);
  const told = steps.filter(({ insnIndex, text }) => {
    const key = `${insnIndex} ${text}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
  return [
    ...told.map(({ role, insnIndex, text }) => ({ role, place: placeOf(scene, insnIndex), text })),
    { role: "fault", place: placeOf(scene, account.insnIndex ?? scene.insnIndex), text: account.fault },
  ];
}
