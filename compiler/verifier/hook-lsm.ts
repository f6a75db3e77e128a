/** Hooks of security modules: which take programs, what these may return. Kernel: bpf_lsm_verify_prog(), bpf_lsm_get_retval_range(). */
import { lsmHook } from "../../spec/lsm-hooks.ts";
import type { AttachBtf } from "../program.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { type Hook, requireCallable, requireFunction } from "./hook-prototype.ts";
import { isGpl } from "./license.ts";
import type { ReturnRange } from "./state.ts";

const MOST_ERRNO = 4095;
const TRUTH: ReturnRange = { min: 0, max: 1 };
const ERROR: ReturnRange = { min: -MOST_ERRNO, max: 0 };
/** A hook that returns nothing: the program only says that it goes on. */
const NO_EFFECT: ReturnRange = { min: 1, max: 1 };

export function requireLsmHook(env: Env, target: AttachBtf): Hook {
  const { parameters, returns } = requireFunction(env, target);
  const { btf, id, name } = target;
  requireCallable(env, target);
  const spec = lsmHook(name);
  if (env.program.sleepable && spec?.sleepable !== true) reject(env, "EINVAL", `${name} is not sleepable`);
  if (!isGpl(env.program)) reject(env, "EINVAL", "LSM programs must have a GPL compatible license");
  if (spec?.disabled) reject(env, "EINVAL", `attach_btf_id ${id} points to disabled hook ${name}`);
  if (spec === null) return reject(env, "EINVAL", `attach_btf_id ${id} points to wrong type name ${name}`);
  const range = returns === 0 ? null : spec.truth ? TRUTH : ERROR;
  const isCgroup = env.program.attachType === "lsm_cgroup";
  return {
    kind: "lsm",
    btf,
    name,
    parameters,
    returns,
    isTrusted: spec.trusted,
    known: new Map(),
    result: { range: isCgroup ? null : range },
    mayReturn: isCgroup ? (returns === 0 ? NO_EFFECT : TRUTH) : range,
  };
}
