/** What the target's configuration takes away from programs. Kernel: the #ifdef and security_locked_down() of get_func_proto(). */

import type { Lockdown } from "../../spec/helpers/row.ts";
import { HELPERS } from "../../spec/helpers.ts";
import { CLASS, JMP } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import { configVersion } from "./target.ts";

/** CONFIG_LOCK_DOWN_KERNEL_FORCE_…; a kernel can be locked down without, by its command line or later. */
const FORCED: readonly (readonly [string, readonly Lockdown[]])[] = [
  ["CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY", ["integrity"]],
  ["CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY", ["integrity", "confidentiality"]],
];

/**
 * Helpers that a kernel with this configuration does not have, or does not give, by id. None where `text` is no whole
 * configuration file, which begins with the version of its kernel, but some settings.
 */
export function withheldHelpers(text: string, config: ReadonlyMap<string, string>): ReadonlyMap<number, string> {
  if (configVersion(text) === null) return new Map();
  const refused = new Set(FORCED.flatMap(([setting, reach]) => (config.get(setting) === "y" ? reach : [])));
  const withheld = HELPERS.filter(
    ({ needs, lockdown }) =>
      (needs !== undefined && config.get(needs) !== "y") || (lockdown !== undefined && refused.has(lockdown)),
  );
  return new Map(withheld.map(({ id, name }) => [id, name]));
}

/** Names of those that the program calls. */
export function withheldFrom(insns: readonly Insn[], withheld: ReadonlyMap<number, string>): readonly string[] {
  if (withheld.size === 0) return [];
  const called = new Set(insns.filter(isHelperCall).map(({ imm }) => imm));
  return [...withheld].filter(([id]) => called.has(id)).map(([, name]) => name);
}

const isHelperCall = ({ opcode, src }: Insn): boolean => opcode === (CLASS.JMP | JMP.CALL) && src === 0;
