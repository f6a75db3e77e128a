/**
 * What a program attaches to, where that is known from the kernel's BTF: whether it may, and which function's arguments its
 * context holds. A file a kind: traced functions and tracepoints here, security hooks in hook-lsm.ts, structures of
 * functions in hook-struct-ops.ts. Kernel: check_attach_btf_id(), bpf_check_attach_target().
 */
import { iteratorByName } from "../../spec/iterators.ts";
import { deniesTracing, mayModifyReturn, mayTraceSleeping, neverReturns } from "../../spec/traced-functions.ts";
import { TRACEPOINT_TYPE_PREFIX, tracepointPrototype } from "../object/btf/raw-tracepoints.ts";
import type { AttachBtf } from "../program.ts";
import type { Env } from "./env.ts";
import { Rejection, reject } from "./failure.ts";
import { requireLsmHook } from "./hook-lsm.ts";
import { type Hook, requireCallable, requireFunction } from "./hook-prototype.ts";
import { requireMember } from "./hook-struct-ops.ts";
import { FLAG, REG } from "./register.ts";

const ITERATOR_PREFIX = "bpf_iter_";

/** Null for programs that attach to nothing in BTF. Rejects what the kernel attaches no such program to. */
export function requireHook(env: Env): Hook | null {
  switch (env.program.type) {
    case "tracing":
      return requireTraced(env, requireTarget(env));
    case "lsm":
      return requireLsmHook(env, requireTarget(env));
    case "struct_ops":
      return requireMember(env);
    default:
      return null;
  }
}

function requireTarget(env: Env): AttachBtf {
  return env.program.attachBtf ?? reject(env, "EINVAL", "Tracing programs must provide btf_id");
}

function requireTraced(env: Env, target: AttachBtf): Hook {
  switch (env.program.attachType) {
    case "trace_raw_tp":
      return requireTracepoint(env, target);
    case "trace_iter":
      return requireIterator(env, target);
    case "trace_fentry":
    case "trace_fexit":
    case "modify_return":
      return requireTracedFunction(env, target);
    default:
      throw new Rejection("EINVAL", `tracing programs cannot attach as ${env.program.attachType}`);
  }
}

const NOTHING_KNOWN: ReadonlyMap<number, number> = new Map();

function requireTracepoint(env: Env, { btf, id, name }: AttachBtf): Hook {
  if (btf.kindOf(id) !== "typedef") reject(env, "EINVAL", `attach_btf_id ${id} is not a typedef`);
  if (!name.startsWith(TRACEPOINT_TYPE_PREFIX)) {
    reject(env, "EINVAL", `attach_btf_id ${id} points to wrong type name ${name}`);
  }
  const shown = name.slice(TRACEPOINT_TYPE_PREFIX.length);
  const proto = tracepointPrototype(btf, id, shown);
  if (proto === null) throw new Rejection("EINVAL", `${name} is no tracepoint`);
  // What a typed raw tracepoint is given first is the kernel's own.
  const parameters = proto.parameters.slice(1);
  const { returns } = proto;
  return { kind: "tracepoint", btf, name: shown, parameters, returns, isTrusted: true, known: NOTHING_KNOWN };
}

const ITERATOR_TYPES = {
  trusted: REG.BTF | FLAG.TRUSTED | FLAG.MAYBE_NULL,
  object: REG.BTF | FLAG.MAYBE_NULL,
  buffer: REG.BUF | FLAG.MAYBE_NULL,
  readOnlyBuffer: REG.BUF | FLAG.RDONLY | FLAG.MAYBE_NULL,
} as const;

/** Kernel: bpf_iter_prog_supported() */
function requireIterator(env: Env, target: AttachBtf): Hook {
  const { parameters, returns } = requireFunction(env, target);
  const { btf, name } = target;
  requireCallable(env, target);
  const iterator = name.startsWith(ITERATOR_PREFIX) ? iteratorByName(name.slice(ITERATOR_PREFIX.length)) : undefined;
  // The kernel says nothing here.
  if (iterator === undefined) throw new Rejection("EINVAL", `${name} is no iterator`);
  const known = new Map(iterator.arguments.map(({ index, is }) => [index, ITERATOR_TYPES[is]]));
  return { kind: "iterator", btf, name, parameters, returns, isTrusted: true, known };
}

function requireTracedFunction(env: Env, target: AttachBtf): Hook {
  const { attachType, sleepable } = env.program;
  const { parameters, returns } = requireFunction(env, target);
  const { btf, name } = target;
  requireCallable(env, target);
  if (sleepable) {
    if (!mayTraceSleeping(name)) reject(env, "EINVAL", `${name} is not sleepable`);
  } else if (attachType === "modify_return" && !mayModifyReturn(name)) {
    reject(env, "EINVAL", `${name}() is not modifiable`);
  }
  if (deniesTracing(name)) {
    reject(env, "EINVAL", `Attaching tracing programs to function '${name}' is rejected.`);
  }
  if (attachType !== "trace_fentry" && neverReturns(name)) {
    reject(env, "EINVAL", `Attaching fexit/fmod_ret to __noreturn function '${name}' is rejected.`);
  }
  const result = attachType === "trace_fentry" ? {} : { result: { range: null } };
  return { kind: "function", btf, name, parameters, returns, isTrusted: false, known: NOTHING_KNOWN, ...result };
}
