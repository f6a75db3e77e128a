/** What is said where no other rule fits: the kernel's message, and where the register came from that it names. */
import type { Account, Scene } from "../scene.ts";
import { registerOf, trailOfRegister } from "../scene.ts";
import { originSteps } from "../steps.ts";
import { holdsWords } from "../words.ts";

export function accountOfOther(scene: Scene): Account {
  const register = /\bR(\d+)\b/.exec(scene.message)?.[1];
  const isKnown = register !== undefined && scene.path.length > 0;
  return {
    kind: "other",
    headline: `the kernel's verifier refuses this: ${scene.message === "" ? scene.errno : scene.message}`,
    steps: isKnown ? originSteps(scene, trailOfRegister(scene, Number(register))) : [],
    fault: isKnown
      ? `register r${register} holds ${holdsWords(registerOf(scene, Number(register)))}`
      : "this instruction is refused",
  };
}
