/** All rules, in the order in which they are asked: the first that has something to say explains the rejection. */
import type { Account, Scene } from "../scene.ts";
import { ARITHMETIC_RULES } from "./arithmetic.ts";
import { BOUNDS_RULES } from "./bounds.ts";
import { CALL_RULES } from "./calls.ts";
import { CONTEXT_RULES } from "./context.ts";
import { CONTROL_RULES } from "./control.ts";
import { EXIT_RULES } from "./exits.ts";
import { FORM_RULES } from "./form.ts";
import { accountOfOther } from "./other.ts";
import { PHRASE_RULES } from "./phrased.ts";
import { POINTER_RULES } from "./pointers.ts";

const RULES = [
  ...POINTER_RULES,
  ...BOUNDS_RULES,
  ...CALL_RULES,
  ...CONTEXT_RULES,
  ...CONTROL_RULES,
  ...ARITHMETIC_RULES,
  ...FORM_RULES,
  ...EXIT_RULES,
  ...PHRASE_RULES,
];

export function accountOf(scene: Scene): Account {
  for (const { message, explain } of RULES) {
    const match = message.exec(scene.message);
    const account = match === null ? null : explain(scene, match);
    if (account !== null) return account;
  }
  return accountOfOther(scene);
}
