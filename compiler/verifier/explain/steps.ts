/** Steps that many explanations share: where a value came from, where its range became what it is. */
import { CLASS, JMP, SRC } from "../../../spec/isa.ts";
import { successors } from "../liveness.ts";
import { baseType, FLAG, mayBeNull, REG, type RegState } from "../register.ts";
import { constantOf, isUnknown, sameScalar, U32_MAX } from "../scalar.ts";
import { nameOfOrigin, quoted } from "./names.ts";
import type { Scene, Step } from "./scene.ts";
import { stepAt } from "./scene.ts";
import { isOrigin, type TrailEvent, trailOf } from "./trail.ts";
import { calleeName, holdsWords, rangeWords } from "./words.ts";

/** The step that a trail ends with: where the value was made. Empty where the trail does not reach so far. */
export function originSteps(scene: Scene, trail: readonly TrailEvent[]): Step[] {
  const origin = trail.find(isOrigin);
  if (origin === undefined || origin.at < 0) return [];
  return [stepAt(scene, origin.at, "origin", originWords(scene, origin))];
}

export function originWords(scene: Scene, origin: TrailEvent): string {
  const { after } = origin;
  switch (origin.kind) {
    case "result":
      return resultWords(scene, origin);
    case "loaded":
      return loadWords(scene, origin);
    case "constant":
      return after.type === REG.SCALAR ? `it is set to ${rangeWords(after.value)}` : `${holdsWords(after)} is loaded`;
    case "argument":
      return `the function is given ${holdsWords(after)}`;
    case "clobbered":
      return `the call of ${calleeName(scene.env, scene.path[origin.at]!.insnIndex) ?? "a function"}() leaves nothing in r1 … r5`;
    default:
      return "nothing was written to it before this point";
  }
}

function resultWords(scene: Scene, { at, after }: TrailEvent): string {
  const name = `${calleeName(scene.env, scene.path[at]!.insnIndex)}()`;
  if (after.type === REG.SCALAR) return `${name} returns ${numbersWords(after)}`;
  if (!mayBeNull(after.type)) return `${name} returns ${holdsWords(after)}`;
  const reg = { ...after, type: after.type & ~FLAG.MAYBE_NULL };
  return `${name} returns ${holdsWords(reg)}, or NULL${whenNull(after)}`;
}

function whenNull(reg: RegState): string {
  if (baseType(reg.type) === REG.MAP_VALUE) return " if the map has no such key";
  return reg.type & (FLAG.RINGBUF | FLAG.PERF) ? " if the buffer is full" : "";
}

/** "a number: 0 … 255" */
const numbersWords = (reg: RegState): string =>
  isUnknown(reg.value) ? "a number that can be anything" : `a number: ${rangeWords(reg.value)}`;

function loadWords(scene: Scene, { at, after }: TrailEvent): string {
  const { insnIndex, frames } = scene.path[at]!;
  const insn = scene.env.insns[insnIndex]!;
  const isLoad = (insn.opcode & 7) === CLASS.LDX;
  const address = frames.at(-1)!.registers[isLoad ? insn.src : insn.dst];
  const from = isLoad && address !== undefined ? sourceWords(address) : "from memory";
  if (after.type === REG.SCALAR) return `a number is read ${from}: it can be ${rangeWords(after.value)}`;
  return `${holdsWords(after)} is read ${from}`;
}

function sourceWords(address: RegState): string {
  switch (baseType(address.type)) {
    case REG.CTX:
      return "from the context";
    case REG.STACK:
      return "from the stack";
    case REG.PACKET:
    case REG.PACKET_META:
      return "from the packet";
    case REG.MAP_VALUE:
      return `from ${address.map!.name.includes(".") ? "a global variable" : `map \`${address.map!.name}\``}`;
    default:
      return "from memory";
  }
}

/** Where a number came from, and the last comparisons and operations that made its range what it is. */
export function rangeSteps(scene: Scene, trail: readonly TrailEvent[]): Step[] {
  const origin = trail.find(isOrigin);
  if (origin === undefined || origin.at < 0) return narrowingSteps(scene, trail, "the number");
  const name = nameOfOrigin(scene, origin);
  const subject = name === null ? "the number" : quoted(name);
  const text =
    origin.kind === "constant" ? `the number is set to ${rangeWords(origin.after.value)}` : originWords(scene, origin);
  const named = name === null ? text : text.replace(/^a number /, `${subject} `);
  return [stepAt(scene, origin.at, "origin", named), ...narrowingSteps(scene, trail, subject)];
}

const MOST_NARROWINGS = 2;

function narrowingSteps(scene: Scene, trail: readonly TrailEvent[], subject: string): Step[] {
  const steps: Step[] = [];
  for (const event of trail) {
    if (steps.length === MOST_NARROWINGS) break;
    const { before, after, kind, at } = event;
    if (before === null || before.type !== REG.SCALAR || after.type !== REG.SCALAR) continue;
    if (sameScalar(before.value, after.value)) continue;
    const range = rangeWords(after.value);
    if (kind === "compared") {
      steps.push(stepAt(scene, at, "check", `on this path ${subject} is ${range} after this comparison`));
    } else if (kind === "copied") {
      const bits = after.value.umax === BigInt(U32_MAX) ? "only the low 32 bits" : "only a part of the bits";
      const why = before.value.smin < 0n ? "; a negative number becomes a large one" : "";
      steps.push(stepAt(scene, at, "change", `${bits} of ${subject} are used from here on: ${range}${why}`));
    } else if (kind === "computed" && isNarrower(after, before)) {
      steps.push(stepAt(scene, at, "change", `this limits ${subject} to ${range}`));
    }
  }
  return steps;
}

const isNarrower = (after: RegState, before: RegState): boolean =>
  after.value.umax - after.value.umin < before.value.umax - before.value.umin;

export interface Offset {
  /** the addition */
  readonly moved: TrailEvent;
  /** of the number that was added */
  readonly trail: readonly TrailEvent[];
}

/** The number from a register that was added to a pointer last; null where only constants of the code were. */
export function offsetOf(scene: Scene, trail: readonly TrailEvent[]): Offset | null {
  for (const moved of trail) {
    const { kind, before, after, at, from } = moved;
    if (kind !== "computed" || before === null || before.type === REG.SCALAR || after.type === REG.SCALAR) continue;
    const visit = scene.path[at]!;
    const insn = scene.env.insns[visit.insnIndex]!;
    if ((insn.opcode & SRC.X) === 0) continue;
    const register = from !== null && "register" in from && from.register === insn.dst ? insn.src : insn.dst;
    const place = { frame: visit.frames.length - 1, register };
    return { moved, trail: trailOf(scene.env.insns, scene.path, at, place) };
  }
  return null;
}

/** Where the offset of a pointer came from and where it was added. */
export function offsetSteps(scene: Scene, trail: readonly TrailEvent[]): Step[] {
  const offset = offsetOf(scene, trail);
  if (offset === null) return [];
  const { before, after, at } = offset.moved;
  const variable = constantOf(after.value) === null;
  const added = variable ? rangeWords(after.value) : String(after.off - before!.off);
  return [...rangeSteps(scene, offset.trail), stepAt(scene, at, "change", `${added} is added to the pointer`)];
}

/**
 * The last conditional jump on the path, from visit `from` on, whose other way could still have come to an instruction that
 * `isWanted`, while the way that was taken cannot: where the path went wrong. Null where there is none.
 */
export function fatefulBranch(scene: Scene, from: number, isWanted: (insnIndex: number) => boolean): Step | null {
  const { path, env } = scene;
  const frames = path.at(-1)?.frames.length ?? 0;
  const reaching = reachersOf(scene, isWanted);
  for (let at = path.length - 2; at >= from; at--) {
    const { insnIndex } = path[at]!;
    if (path[at]!.frames.length !== frames || path[at + 1]!.frames.length !== frames) continue;
    const insn = env.insns[insnIndex]!;
    if (!isConditional(insn.opcode)) continue;
    const taken = path[at + 1]!.insnIndex;
    const other = taken === insnIndex + 1 ? insnIndex + 1 + insn.off : insnIndex + 1;
    if (!reaching.has(other) || reaching.has(taken)) continue;
    return stepAt(scene, at, "check", `on this path execution goes on ${whereWords(scene, taken)}`);
  }
  return null;
}

export function whereWords(scene: Scene, insnIndex: number): string {
  const line = scene.program.lines.findLast((known) => known.insnIndex <= insnIndex);
  return line === undefined || line.line === 0 ? `at instruction ${insnIndex}` : `in line ${line.line}`;
}

export function isConditional(opcode: number): boolean {
  const kind = opcode & 7;
  const operation = opcode & 0xf0;
  if (kind !== CLASS.JMP && kind !== CLASS.JMP32) return false;
  return operation !== JMP.JA && operation !== JMP.CALL && operation !== JMP.EXIT && operation !== JMP.JCOND;
}

/** Instructions from which one that `isWanted` can be reached inside of its function, by the program's shape alone. */
function reachersOf(scene: Scene, isWanted: (insnIndex: number) => boolean): Set<number> {
  const { insns } = scene.env;
  const sources = new Map<number, number[]>();
  const queue: number[] = [];
  for (let slot = 0; slot < insns.length; slot++) {
    for (const next of successors(insns, slot)) {
      const known = sources.get(next);
      if (known) known.push(slot);
      else sources.set(next, [slot]);
    }
    if (isWanted(slot)) queue.push(slot);
  }
  const found = new Set(queue);
  for (let slot = queue.pop(); slot !== undefined; slot = queue.pop()) {
    for (const source of sources.get(slot) ?? []) {
      if (found.has(source)) continue;
      found.add(source);
      queue.push(source);
    }
  }
  return found;
}
