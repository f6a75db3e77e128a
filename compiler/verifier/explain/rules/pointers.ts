/** Pointers that may be NULL, that are void by now, or that never were pointers. */

import { FLAG, isAnyPacketPointer, mayBeNull, REG } from "../../register.ts";
import { isZero } from "../../scalar.ts";
import { quoted, variableOf } from "../names.ts";
import type { Account, Rule, Scene, Step } from "../scene.ts";
import { lineText, registerOf, stepAt, trailOfRegister } from "../scene.ts";
import { originSteps } from "../steps.ts";
import { isOrigin, type TrailEvent } from "../trail.ts";
import { accessBytes, calleeName, holdsWords, ordinal } from "../words.ts";

export const POINTER_RULES: readonly Rule[] = [
  { message: /^R(\d+) invalid mem access '.*or_null.*'$/, explain: (scene, [, r]) => maybeNull(scene, Number(r)) },
  {
    message: /^R(\d+) pointer arithmetic on \S*or_null\S* prohibited, null-check it first$/,
    explain: (scene, [, r]) => maybeNull(scene, Number(r)),
  },
  {
    message: /^Possibly NULL pointer passed to (?:(\w+) )?arg#?(\d+)/,
    explain: (scene, [, what, arg]) => passedNull(scene, Number(arg) + (what === "helper" ? 0 : 1)),
  },
  { message: /^R(\d+) type=\S*or_null\S* expected=/, explain: (scene, [, r]) => maybeNull(scene, Number(r)) },
  {
    message: /^R(\d+) (?:invalid mem access 'scalar'|type=scalar expected=)/,
    explain: (scene, [, r]) => isVoid(scene, Number(r)),
  },
  { message: /^R(\d+) invalid mem access 'scalar'$/, explain: (scene, [, r]) => notPointer(scene, Number(r)) },
  {
    message: /^R(\d+) invalid mem access '(?:fp|map_ptr|pkt_end|func)'$/,
    explain: (scene, [, r]) => notReadable(scene, Number(r)),
  },
];

/** What the instruction at fault does through the pointer in `register`: "4 bytes are read through it". */
export function useWords(scene: Scene, register: number): string {
  const callee = calleeName(scene.env, scene.insnIndex);
  if (callee !== null) return `it is passed to ${callee}() as the ${ordinal(register)} argument`;
  const insn = scene.env.insns[scene.insnIndex]!;
  const kind = insn.opcode & 7;
  if (kind === 4 || kind === 7) return "an offset is added to it";
  const bytes = accessBytes(insn.opcode);
  return `${bytes === 1 ? "1 byte is" : `${bytes} bytes are`} ${kind === 1 ? "read" : "written"} through it`;
}

function maybeNull(scene: Scene, register: number): Account | null {
  const reg = registerOf(scene, register);
  if (!mayBeNull(reg.type)) return null;
  const trail = trailOfRegister(scene, register);
  const origin = trail.find(isOrigin);
  const name = variableOf(scene, trail);
  const called = origin?.kind === "result" ? calleeName(scene.env, scene.path[origin.at]!.insnIndex) : null;
  const what =
    name !== null
      ? quoted(name)
      : called !== null
        ? `the result of ${called}()`
        : holdsWords({ ...reg, type: reg.type & ~FLAG.MAYBE_NULL });
  return {
    kind: "missing-null-check",
    headline: `${what} may be NULL here, and no check on this path rules that out`,
    steps: originSteps(scene, trail),
    fault: `${useWords(scene, register)}, without a check for NULL in between`,
    limits: [{ what: "pointer", allowed: ["not NULL"], found: ["a pointer or NULL"] }],
  };
}

/** Helpers count their arguments from 1, kernel functions from 0. */
const passedNull = (scene: Scene, register: number): Account | null =>
  maybeNull(scene, register) ?? isVoid(scene, register);

/** A number by now that was a pointer: into a packet that may have moved, to what was released, or NULL. */
export function isVoid(scene: Scene, register: number): Account | null {
  const reg = registerOf(scene, register);
  if (reg.type !== REG.SCALAR) return null;
  const trail = trailOfRegister(scene, register);
  const at = trail.findIndex(
    ({ before, after }) => before !== null && before.type !== REG.SCALAR && after.type === REG.SCALAR,
  );
  const lost = trail[at];
  const name = variableOf(scene, trail);
  const use = useWords(scene, register);
  if (lost?.kind === "voided" && isAnyPacketPointer(lost.before!.type)) {
    const call = `${calleeName(scene.env, scene.path[lost.at]!.insnIndex) ?? "the function"}()`;
    return {
      kind: "stale-packet-pointer",
      headline: `${name === null ? "the pointer into the packet" : quoted(name)} was made before ${call}, which may move the packet`,
      steps: [
        ...originSteps(scene, trail.slice(at)),
        stepAt(scene, lost.at, "call", `${call} may move the packet: all pointers into it are void from here on`),
      ],
      fault: `${use}, though it leads nowhere any more`,
    };
  }
  if (lost?.kind === "voided" && lost.before!.refId !== 0) {
    const call = `${calleeName(scene.env, scene.path[lost.at]!.insnIndex) ?? "the function"}()`;
    return {
      kind: "use-after-release",
      headline: `${name === null ? holdsWords(lost.before!) : quoted(name)} is used after ${call} gave it back`,
      steps: [
        ...originSteps(scene, trail.slice(at)),
        stepAt(scene, lost.at, "call", `${call} gives it back: the pointer is void from here on`),
      ],
      fault: `${use}, though it may belong to somebody else by now`,
    };
  }
  return isZero(reg.value) ? isNull(scene, trail, lost, name, use) : null;
}

function isNull(
  scene: Scene,
  trail: readonly TrailEvent[],
  lost: TrailEvent | undefined,
  name: string | null,
  use: string,
): Account {
  const steps =
    lost?.kind === "compared"
      ? [
          ...originSteps(scene, trail),
          stepAt(scene, lost.at, "check", "on this path the comparison found that it is NULL"),
        ]
      : nullFound(scene);
  if (steps.length === 0) steps.push(...originSteps(scene, trail));
  return {
    kind: "null-pointer",
    headline: `${name === null ? "the pointer" : quoted(name)} is NULL on this path, and used all the same`,
    steps,
    fault: use,
    limits: [{ what: "pointer", allowed: ["not NULL"], found: ["NULL"] }],
  };
}

/** Compilers put the constant 0 where a comparison has found NULL: the last one that did, with its pointer's origin. */
function nullFound(scene: Scene): Step[] {
  const { path } = scene;
  for (let at = path.length - 2; at >= 0; at--) {
    const before = path[at]!.frames.at(-1)!.registers;
    const after = path[at + 1]!.frames.at(-1)!.registers;
    if (path[at]!.frames.length !== path[at + 1]!.frames.length) continue;
    const register = before.findIndex(
      (reg, r) => mayBeNull(reg.type) && after[r]!.type === REG.SCALAR && isZero(after[r]!.value),
    );
    const isJump =
      (scene.env.insns[path[at]!.insnIndex]!.opcode & 7) === 5 && calleeName(scene.env, path[at]!.insnIndex) === null;
    if (register < 0 || !isJump) continue;
    return [
      ...originSteps(scene, trailOfRegister(scene, register, at)),
      stepAt(scene, at, "check", "on this path the comparison found that the pointer is NULL"),
    ];
  }
  return [];
}

function notPointer(scene: Scene, register: number): Account {
  const trail = trailOfRegister(scene, register);
  const name = variableOf(scene, trail);
  const what = name === null ? "this address" : quoted(name);
  const lost = trail.find(
    ({ before, after }) => before !== null && before.type !== REG.SCALAR && after.type === REG.SCALAR,
  );
  const steps = originSteps(scene, trail);
  if (lost !== undefined && lost.kind !== "compared") {
    const text =
      lost.kind === "copied" ? "only a part of the pointer is copied: a number" : "this makes a number of the pointer";
    steps.push(stepAt(scene, lost.at, "change", text));
  }
  return {
    kind: "not-a-pointer",
    headline: `${what} is a number to the verifier, not a pointer that may be followed`,
    steps,
    fault: `${useWords(scene, register)}, which the verifier cannot check`,
    limits: [{ what: "address", allowed: ["a pointer whose target is known"], found: ["a number"] }],
  };
}

function notReadable(scene: Scene, register: number): Account {
  const reg = registerOf(scene, register);
  return {
    kind: "not-a-pointer",
    headline: `${holdsWords(reg)} cannot be read or written like memory: \`${lineText(scene, scene.insnIndex)}\``,
    steps: originSteps(scene, trailOfRegister(scene, register)),
    fault: useWords(scene, register),
  };
}
