/** Which programs a row of the helper table speaks of. Kernel: get_func_proto() of each program type, `allowed` of single helpers. */
import type { HelperAudience, HelperSpec } from "../../spec/helpers.ts";
import { iteratorByName } from "../../spec/iterators.ts";
import { lsmHook } from "../../spec/lsm-hooks.ts";
import { ATTACH_TYPES } from "../../spec/sections.ts";
import { hasSafePath } from "../../spec/traced-functions.ts";
import type { Env } from "./env.ts";

export function isAudience(env: Env, audience: HelperAudience): boolean {
  if (audience === "all") return true;
  const { type } = env.program;
  return audience.some((who) => who === type || who === `${type}/${env.attachType}`);
}

/** Whether the target, and the hook, give the helper to programs. */
export function hasHelper({ hook, program, attachType }: Env, { name: helper, notAttachedAs }: HelperSpec): boolean {
  if (program.withheldHelpers?.includes(helper)) return false;
  if (notAttachedAs?.includes(attachType ?? ATTACH_TYPES[0])) return false;
  if (hook === null) return true;
  if (hook.structOps?.noHelpers) return false;
  if (helper !== "bpf_setsockopt" && helper !== "bpf_getsockopt") return true;
  switch (hook.kind) {
    case "iterator":
      return iteratorByName(hook.name.slice("bpf_iter_".length))?.socketOptions === true;
    case "lsm":
      return lsmHook(hook.name)?.socketOptions === true;
    case "member":
      // A congestion control that goes may not set up anything new.
      return hook.name !== "release";
    default:
      return true;
  }
}

const TRACED: ReadonlySet<string> = new Set(["bpf_d_path", "bpf_sk_storage_get", "bpf_sk_storage_delete"]);

/** Whether the helper works at this hook. */
export function worksAt({ hook, attachType, program }: Env, helper: string): boolean {
  // System calls have the helpers of tracing programs, without the hooks that these work at.
  if (program.type === "syscall") return !TRACED.has(helper);
  if (hook === null) return true;
  switch (helper) {
    case "bpf_d_path":
      if (hook.kind === "lsm") return lsmHook(hook.name)?.sleepable === true;
      return hook.kind === "iterator" || (hook.kind === "function" && hasSafePath(hook.name));
    case "bpf_ima_inode_hash":
    case "bpf_ima_file_hash":
      return lsmHook(hook.name)?.sleepable === true;
    case "bpf_sk_storage_get":
    case "bpf_sk_storage_delete":
      if (hook.kind !== "function") return true;
      return attachType !== "modify_return" && !hook.name.startsWith("bpf_sk_storage");
    default:
      return true;
  }
}
