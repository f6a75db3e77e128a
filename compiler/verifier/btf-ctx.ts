/**
 * Contexts that are a function's arguments, as its BTF tells them: numbers, and pointers with kernel types. For programs of
 * tracing: typed raw tracepoints, functions' entry and exit. Kernel: bpf_tracing_btf_ctx_access(), btf_ctx_access().
 */
import { doubtfulArguments } from "../../spec/raw-tracepoints.ts";
import type { Btf } from "../object/btf/btf.ts";
import type { BtfParameter, BtfType } from "../object/btf/types.ts";
import type { AttachBtf } from "../program.ts";
import { btfPointer } from "./btf-pointer.ts";
import { pointerTag } from "./btf-walk.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";
import type { Access } from "./memory.ts";
import { FLAG, type RegState, UNKNOWN } from "./register.ts";

const TRACEPOINT_PREFIX = "btf_trace_";
const CALLER_PREFIX = "__bpf_trace_";
/** The kernel's MAX_BPF_FUNC_ARGS. */
const MOST_ARGUMENTS = 12;
const WORD = 8;

export interface Hook {
  readonly btf: Btf;
  /** `sched_switch`, `vfs_read` */
  readonly name: string;
  readonly parameters: readonly BtfParameter[];
  /** id of the type; 0: void */
  readonly returns: number;
  readonly isTracepoint: boolean;
}

/** The prototype that the program attaches to. */
export function hookOf({ btf, id, name }: AttachBtf): Hook | null {
  const isTracepoint = name.startsWith(TRACEPOINT_PREFIX);
  const proto = isTracepoint ? tracepointPrototype(btf, id, name) : prototypeOf(btf, id, "func");
  if (proto === null) return null;
  // What a typed raw tracepoint is given first is the kernel's own.
  const parameters = isTracepoint ? proto.parameters.slice(1) : proto.parameters;
  const shown = isTracepoint ? name.slice(TRACEPOINT_PREFIX.length) : name;
  return { btf, name: shown, parameters, returns: proto.returns, isTracepoint };
}

type Prototype = BtfType & { readonly kind: "func_proto" };

/** The function that calls the programs names its parameters, the tracepoint's typedef does not. */
function tracepointPrototype(btf: Btf, id: number, name: string): Prototype | null {
  const caller = btf.findByName(CALLER_PREFIX + name.slice(TRACEPOINT_PREFIX.length), "func");
  return (caller === null ? null : prototypeOf(btf, caller, "func")) ?? prototypeOf(btf, id, "ptr");
}

function prototypeOf(btf: Btf, id: number, kind: "func" | "ptr"): Prototype | null {
  const type = btf.resolve(id);
  const proto = type.kind === kind ? btf.resolve(type.type) : null;
  return proto?.kind === "func_proto" ? proto : null;
}

/** What a load from the context yields; null where it may not be. */
export function argumentAt(env: Env, hook: Hook, access: Access, off: number): RegState | null {
  const { size, write } = access;
  if (off < 0 || off >= WORD * MOST_ARGUMENTS || write || off % size !== 0) return null;
  const { btf, name, parameters } = hook;
  if (off % WORD !== 0) return refuse(env, `func '${name}' offset ${off} is not multiple of 8`);
  const index = off / WORD;
  if (parameters.some(({ type }) => (btf.sizeOf(type) ?? 0) > WORD)) unsupported("arguments that are wide structs");
  const isResult = index === parameters.length && env.program.attachType === "trace_fexit";
  const type = isResult ? hook.returns : parameters[index]?.type;
  if (type === undefined) return refuse(env, `func '${name}' doesn't have ${index + 1}-th argument`);
  const target = btf.resolve(type);
  switch (target.kind) {
    case "int":
    case "enum":
    case "enum64":
    case "struct":
    case "union":
      return UNKNOWN;
    case "ptr":
      if (size !== WORD) return refuse(env, `func '${name}' size ${size} must be 8`);
      return pointerArgument(env, hook, index, target.type);
    default: {
      const what = `has type ${target.kind.toUpperCase()}. Only pointer access is allowed`;
      return refuse(env, `func '${name}' arg${index} '${parameters[index]?.name ?? ""}' ${what}`);
    }
  }
}

function refuse(env: Env, line: string): null {
  env.log.line(line);
  return null;
}

function pointerArgument(env: Env, hook: Hook, index: number, type: number): RegState | null {
  const { btf, name, parameters, isTracepoint } = hook;
  const target = btf.resolve(type);
  if (target.kind === "void" || target.kind === "int") return UNKNOWN;
  if (target.kind !== "struct" && target.kind !== "union") {
    return refuse(env, `func '${name}' arg${index} type ${target.kind.toUpperCase()} is not a struct`);
  }
  const tag = pointerTag(btf, type);
  const isNullable = parameters[index]?.name.endsWith("__nullable") === true;
  const doubtful = isTracepoint ? doubtfulArguments(name) : undefined;
  const id = btf.skipModifiers(type);
  env.log.line(`func '${name}' arg${index} has btf_id ${id} type ${target.kind.toUpperCase()} '${target.name}'`);
  if (doubtful?.maybeError.includes(index)) return UNKNOWN;
  // Modules' tracepoints are in no list of the kernel's.
  const isUnknown = isTracepoint && doubtful === undefined && env.program.attachBtf?.module !== null;
  const mayBeNull = isNullable || isUnknown || doubtful?.maybeNull.includes(index) === true;
  const memory = tag === "user" ? FLAG.USER : tag === "percpu" ? FLAG.PERCPU : 0;
  return btfPointer(env, btf, id, (isTracepoint ? FLAG.TRUSTED : 0) | (mayBeNull ? FLAG.MAYBE_NULL : 0) | memory);
}

/** The hook of a program of type tracing. What cannot be judged is refused by name. */
export function requireHook(env: Env): Hook {
  const { program } = env;
  if (program.attachBtf === undefined) reject(env, "EINVAL", "Tracing programs must provide btf_id");
  const isJudged = ["trace_raw_tp", "trace_fentry", "trace_fexit"].includes(program.attachType ?? "");
  if (!isJudged) unsupported(`tracing programs of attach type ${program.attachType}`);
  // Only some functions may be traced by programs that sleep: no table lists them.
  if (program.sleepable) unsupported("sleepable tracing programs");
  const hook = hookOf(program.attachBtf);
  if (hook === null) reject(env, "EINVAL", `attach_btf_id ${program.attachBtf.id} is not a function`);
  return hook;
}
