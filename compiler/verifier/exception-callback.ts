/**
 * The function that exceptions end in: the main function names it by a tag. Kernel: bpf_find_exception_callback_insn_off().
 */
import type { Btf } from "../object/btf/btf.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";

const TAG = "exception_callback:";

/** First slot of the callback, null where there is none. */
export function findExceptionCallback(env: Env): number | null {
  const { btf, functions } = env.program;
  const main = functions[0]?.type;
  if (!btf || main === undefined) return null;
  const [name, ...others] = callbackNames(btf, main);
  if (name === undefined) return null;
  if (others.length > 0) reject(env, "EEXIST", "multiple exception callback tags for main subprog");
  const id = btf.findByName(name, "func");
  if (id === null) reject(env, "ENOENT", `exception callback '${name}' could not be found in BTF`);
  const func = btf.typeById(id);
  if (func.kind !== "func" || func.linkage !== "global") {
    reject(env, "EINVAL", `exception callback '${name}' must have global linkage`);
  }
  const found = functions.findLast(({ type }) => type === id);
  if (found === undefined) reject(env, "EINVAL", "exception callback type id not found in func_info");
  if (found.insnIndex === 0) reject(env, "EINVAL", "invalid exception callback insn_off in func_info: 0");
  return found.insnIndex;
}

function callbackNames(btf: Btf, main: number): string[] {
  const names: string[] = [];
  for (const id of btf.idsOf("decl_tag")) {
    const tag = btf.typeById(id);
    if (tag.kind !== "decl_tag" || tag.type !== main || tag.component >= 0 || !tag.name.startsWith(TAG)) continue;
    names.push(tag.name.slice(TAG.length));
  }
  return names;
}
