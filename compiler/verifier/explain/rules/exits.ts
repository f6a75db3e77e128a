/** What must hold where a function ends: references given back, a result that is allowed, a result at all. */

import { helperById } from "../../../../spec/helpers.ts";
import { CLASS, JMP, PSEUDO_CALL } from "../../../../spec/isa.ts";
import { calleeOf } from "../../../../spec/kfuncs.ts";
import { assignmentIn, quoted } from "../names.ts";
import type { Account, Rule, Scene, Step } from "../scene.ts";
import { between, lineText, registerOf, stepAt, trailOfRegister } from "../scene.ts";
import { fatefulBranch, originSteps, rangeSteps } from "../steps.ts";
import { isOrigin } from "../trail.ts";
import { calleeName, holdsWords, plural, rangeOf, rangeWords } from "../words.ts";

export const EXIT_RULES: readonly Rule[] = [
  { message: /^(.+) would lead to reference leak$/, explain: leak },
  {
    message:
      /^At (program exit|callback return|subprogram exit|async callback return) the register R(\d) has .*should have been in \[(-?\d+), (-?\d+)\]$/,
    explain: (scene, [, , r, min, max]) => badResult(scene, Number(r), BigInt(min!), BigInt(max!)),
  },
  {
    message: /^(?:At program exit the register R0 is not a known value|R0 not a scalar value)/,
    explain: (scene) => pointerResult(scene),
  },
  { message: /^At subprogram exit the register R0 is not a scalar value/, explain: (scene) => pointerResult(scene) },
  { message: /^R(\d+) !read_ok$/, explain: (scene, [, r]) => unset(scene, Number(r)) },
];

const isExit = (scene: Scene): boolean => scene.env.insns[scene.insnIndex]!.opcode === (CLASS.JMP | JMP.EXIT);

function leak(scene: Scene): Account {
  const reference = scene.path.at(-1)!.references[0]!;
  const at = scene.path.findLastIndex(
    ({ insnIndex }, i) => insnIndex === reference.insnIndex && !holds(scene, i, reference.id),
  );
  const callee = calleeName(scene.env, reference.insnIndex) ?? "a call";
  const assigned = assignmentIn(lineText(scene, reference.insnIndex))?.name;
  const steps: Step[] =
    at < 0 ? [] : [stepAt(scene, at, "origin", `${callee}() hands out ${thingWords(callee)} that must be given back`)];
  const branch = fatefulBranch(scene, Math.max(at, 0) + 1, (insnIndex) => givesBack(scene, insnIndex));
  if (branch !== null) steps.push({ ...branch, text: `${branch.text}, past every call that would give it back` });
  const what = assigned === undefined ? `what ${callee}() returned` : quoted(assigned);
  const how = scene.message.startsWith("tail_call") ? "this tail call leaves the program" : "the program ends here";
  return {
    kind: "reference-leak",
    headline: `${what} is not given back on this path`,
    steps,
    fault: `${how}, while ${plural(scene.path.at(-1)!.references.length, "reference")} ${scene.path.at(-1)!.references.length === 1 ? "is" : "are"} still held`,
    limits: [
      {
        what: "references held at the end",
        allowed: between(0, 0),
        found: between(scene.path.at(-1)!.references.length, scene.path.at(-1)!.references.length),
      },
    ],
  };
}

const holds = (scene: Scene, at: number, id: number): boolean =>
  scene.path[at]!.references.some((reference) => reference.id === id);

function thingWords(callee: string): string {
  if (callee.includes("ringbuf") || callee.includes("perf_reserve")) return "a record";
  return callee.includes("sk") ? "a socket" : "a reference";
}

/** A call that gives something back. */
function givesBack(scene: Scene, insnIndex: number): boolean {
  const insn = scene.env.insns[insnIndex]!;
  if (insn.opcode !== (CLASS.JMP | JMP.CALL) || insn.src === PSEUDO_CALL.SUBPROG) return false;
  const callee = insn.src === PSEUDO_CALL.HELPER ? helperById(insn.imm) : calleeOf(insn);
  if (callee !== undefined) return callee.args.some((arg) => "release" in arg && arg.release === true);
  return /release|put|drop|destroy|unlock|discard|submit/.test(calleeName(scene.env, insnIndex) ?? "");
}

function badResult(scene: Scene, register: number, min: bigint, max: bigint): Account {
  const reg = registerOf(scene, register);
  const trail = trailOfRegister(scene, register);
  const { program, env } = scene;
  const frame = scene.path.at(-1)!.frames.at(-1)!;
  const isCallback = frame.inCallback;
  const who = isCallback
    ? "a callback of this helper"
    : `a program of type ${program.type}${env.attachType === null ? "" : ` (attach type ${env.attachType})`}`;
  const allowed = min === max ? `exactly ${min}` : `${min} … ${max}`;
  return {
    kind: "return-value",
    headline: `${who} must return ${allowed}, but this path returns ${rangeWords(reg.value)}`,
    steps: rangeSteps(scene, trail),
    fault: `the function ends with this result`,
    limits: [{ what: "return value", allowed: between(min, max), found: rangeOf(reg.value) }],
  };
}

function pointerResult(scene: Scene): Account {
  const reg = registerOf(scene, 0);
  return {
    kind: "return-value",
    headline: `the function returns ${holdsWords(reg)} where it must return a number`,
    steps: originSteps(scene, trailOfRegister(scene, 0)),
    fault: "the function ends with this result",
    limits: [{ what: "return value", allowed: ["a number"], found: [holdsWords(reg)] }],
  };
}

function unset(scene: Scene, register: number): Account {
  const trail = trailOfRegister(scene, register);
  const origin = trail.find(isOrigin);
  const ends = register === 0 && isExit(scene);
  const from = origin === undefined ? 0 : Math.max(origin.at, 0);
  const branch = fatefulBranch(
    scene,
    from,
    (insnIndex) => insnIndex !== scene.insnIndex && writes(scene, insnIndex, register),
  );
  const steps: Step[] = origin?.kind === "clobbered" ? originSteps(scene, trail) : [];
  if (branch !== null) steps.push({ ...branch, text: `${branch.text}, past everything that would set it` });
  return {
    kind: "uninitialised-register",
    headline: ends
      ? "the function ends without a return value on this path"
      : `a value is used that nothing has set on this path (register r${register})`,
    steps,
    fault: ends ? "the result would be read from r0, which was never set" : `r${register} is read here`,
  };
}

/** By the instruction's own fields: a call sets r0. */
function writes(scene: Scene, insnIndex: number, register: number): boolean {
  const insn = scene.env.insns[insnIndex]!;
  switch (insn.opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64:
    case CLASS.LDX:
      return insn.dst === register;
    case CLASS.LD:
      return insn.dst === register && insn.opcode !== 0;
    case CLASS.JMP:
      return register === 0 && insn.opcode === (CLASS.JMP | JMP.CALL);
    default:
      return false;
  }
}
