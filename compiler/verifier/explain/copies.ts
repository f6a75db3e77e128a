/**
 * Comparisons that bounded a copy of a value and not the value itself: compilers check one register and use another, or read
 * a variable from memory again after the check. This is where a range was lost that the C code seems to have.
 */
import { CLASS, SRC } from "../../../spec/isa.ts";
import { REG, type RegState } from "../register.ts";
import { sameScalar } from "../scalar.ts";
import type { Visit } from "./path.ts";
import type { Scene, Step } from "./scene.ts";
import { stepAt } from "./scene.ts";
import { isConditional } from "./steps.ts";
import { isOrigin, type TrailEvent, trailOf } from "./trail.ts";
import { rangeWords } from "./words.ts";

/** Jumps that are looked at, from the fault back: each costs a walk along the path. */
const MOST_JUMPS = 64;

/** At most one step: the last such comparison before visit `end`. */
export function copySteps(scene: Scene, trail: readonly TrailEvent[], end: number): Step[] {
  const origin = trail.find(isOrigin);
  if (origin === undefined || origin.at < 0) return [];
  const own = new Set(trail.map(({ at }) => at));
  let jumps = 0;
  for (let at = end - 1; at >= 0 && jumps < MOST_JUMPS; at--) {
    const { insnIndex } = scene.path[at]!;
    if (!isConditional(scene.env.insns[insnIndex]!.opcode)) continue;
    jumps++;
    if (own.has(at)) return [];
    const step = copyStep(scene, origin, at);
    if (step !== null) return [step];
  }
  return [];
}

function copyStep(scene: Scene, origin: TrailEvent, at: number): Step | null {
  const { insns } = scene.env;
  const visit = scene.path[at]!;
  const insn = insns[visit.insnIndex]!;
  const frame = visit.frames.length - 1;
  const operands = insn.opcode & SRC.X ? [insn.dst, insn.src] : [insn.dst];
  for (const register of operands) {
    const before = visit.frames[frame]!.registers[register]!;
    const after = scene.path[at + 1]!.frames[frame]?.registers[register];
    if (after === undefined || before.type !== REG.SCALAR || after.type !== REG.SCALAR) continue;
    if (sameScalar(before.value, after.value)) continue;
    const compared = trailOf(insns, scene.path, at, { frame, register }).find(isOrigin);
    if (compared === undefined || compared.at < 0) continue;
    const range = rangeWords(after.value);
    if (compared.at === origin.at && compared.kind === origin.kind) {
      const text = `this comparison limits a copy of it to ${range}, not the value that is used`;
      return stepAt(scene, at, "check", text);
    }
    if (isSameLoad(scene, compared, origin)) {
      return stepAt(
        scene,
        at,
        "check",
        `this comparison limits what was read before to ${range}: it is read again below`,
      );
    }
  }
  return null;
}

/** Both read the same bytes of memory. */
function isSameLoad(scene: Scene, first: TrailEvent, second: TrailEvent): boolean {
  if (first.kind !== "loaded" || second.kind !== "loaded" || first.at >= second.at) return false;
  const a = scene.path[first.at]!;
  const b = scene.path[second.at]!;
  const one = scene.env.insns[a.insnIndex]!;
  const other = scene.env.insns[b.insnIndex]!;
  if ((one.opcode & 7) !== CLASS.LDX || one.opcode !== other.opcode) return false;
  const from = addressOf(a, one.src);
  const to = addressOf(b, other.src);
  return (
    from.type === to.type &&
    from.map === to.map &&
    from.off + one.off === to.off + other.off &&
    sameScalar(from.value, to.value)
  );
}

const addressOf = (visit: Visit, register: number): RegState => visit.frames.at(-1)!.registers[register]!;
