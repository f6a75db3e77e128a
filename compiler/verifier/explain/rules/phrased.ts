/** The rules of phrases.ts: the words, where the register came from that the message names, and what is still held. */
import type { FaultKind } from "../../../../spec/faults.ts";
import type { Account, Rule, Scene, Step } from "../scene.ts";
import { registerOf, stepAt, trailOfRegister } from "../scene.ts";
import { originSteps } from "../steps.ts";
import { calleeName, holdsWords } from "../words.ts";
import { PHRASES } from "./phrases.ts";

export const PHRASE_RULES: readonly Rule[] = PHRASES.map(({ kind, message, says }) => ({
  message,
  explain: (scene, match) => account(scene, kind, words(scene, match, says)),
}));

function words(scene: Scene, match: RegExpExecArray, says: string): string {
  return says.replace(/\$(\d|&)/g, (_all, which: string) =>
    which === "&" ? scene.message : (match[Number(which)] ?? ""),
  );
}

/** With where the register came from that the message names, and where what is still held was taken. */
function account(scene: Scene, kind: FaultKind, headline: string): Account {
  const register = /\bR(\d+)\b/.exec(scene.message)?.[1];
  const isKnown = register !== undefined && scene.path.length > 0;
  const callee = calleeName(scene.env, scene.insnIndex);
  const held = isKnown ? `, where r${register} is ${holdsWords(registerOf(scene, Number(register)))}` : "";
  return {
    kind,
    headline,
    steps: [
      ...(isKnown ? originSteps(scene, trailOfRegister(scene, Number(register))) : []),
      ...(kind === "protected-section" ? sectionSteps(scene) : []),
    ],
    fault: callee === null ? `this is refused${held}` : `${callee}() is called here${held}`,
  };
}

/** Where the sections began that the path is in. */
function sectionSteps(scene: Scene): Step[] {
  const held = scene.path.at(-1)?.references.filter(({ kind }) => kind !== "pointer") ?? [];
  return held.flatMap(({ insnIndex }) => {
    const at = scene.path.findLastIndex((visit) => visit.insnIndex === insnIndex);
    const callee = calleeName(scene.env, insnIndex) ?? "this";
    return at < 0 ? [] : [stepAt(scene, at, "call", `${callee}() begins the section that the program is still in`)];
  });
}
