/**
 * What the kernel looks at before it looks at instructions: the expected attach type, and whether the program may sleep.
 * Kernel: bpf_prog_load_check_attach(), check_attach_btf_id().
 */
import type { Env } from "./env.ts";
import { Rejection, reject } from "./failure.ts";

export function checkAttachType({ program, type, attachType }: Env): void {
  if (type.attachTypes === undefined || (attachType !== null && type.attachTypes.includes(attachType))) return;
  const what = program.attachType === null ? "needs an expected attach type" : `cannot attach as ${attachType}`;
  // The kernel's log stays empty here.
  throw new Rejection("EINVAL", `a program of type ${type.name} ${what}`);
}

/** Where tracing programs may sleep, if what they attach to may. */
const SLEEPING: ReadonlySet<string> = new Set(["trace_fentry", "trace_fexit", "modify_return", "trace_iter"]);

/** Kernel: can_be_sleepable() */
export function checkSleepable(env: Env): void {
  const { program, type } = env;
  if (type.sleepable === "only" && !program.sleepable) reject(env, "EINVAL", "Syscall programs can only be sleepable");
  const maySleep = program.type === "tracing" ? SLEEPING.has(program.attachType ?? "") : type.sleepable !== false;
  if (!program.sleepable || maySleep) return;
  reject(env, "EINVAL", "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable");
}
