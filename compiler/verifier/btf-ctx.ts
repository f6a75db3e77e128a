/**
 * Contexts that are a function's arguments, as its BTF tells them: numbers, and pointers with kernel types. For programs
 * with a hook (hook.ts). Kernel: bpf_tracing_btf_ctx_access(), btf_ctx_access().
 */
import { doubtfulArguments } from "../../spec/raw-tracepoints.ts";
import { kernelStruct } from "./btf-match.ts";
import { btfPointer } from "./btf-pointer.ts";
import { pointerTag } from "./btf-walk.ts";
import type { Env } from "./env.ts";
import { unsupported } from "./failure.ts";
import type { Hook } from "./hook-prototype.ts";
import type { Access } from "./memory.ts";
import { baseType, FLAG, pointerReg, REG, type RegState, scalarReg, UNKNOWN } from "./register.ts";
import { draftOf, settle } from "./scalar-bounds.ts";
import type { ReturnRange } from "./state.ts";

/** The kernel's MAX_BPF_FUNC_ARGS. */
const MOST_ARGUMENTS = 12;
const WORD = 8;

/** What a load from the context yields; null where it may not be. */
export function argumentAt(env: Env, hook: Hook, access: Access, off: number): RegState | null {
  const { size, write } = access;
  if (off < 0 || off >= WORD * MOST_ARGUMENTS || off % size !== 0) return null;
  if (write) {
    // The kernel looks at where such a store goes, not at what it stores.
    if (hook.kind === "lsm") unsupported("stores to the arguments of security hooks");
    return null;
  }
  const { btf, name, parameters } = hook;
  if (off % WORD !== 0) return refuse(env, `func '${name}' offset ${off} is not multiple of 8`);
  const index = argumentIndex(hook, off);
  const isResult = index === parameters.length && hook.result !== undefined;
  const type = isResult ? hook.returns : parameters[index]?.type;
  if (type === undefined) return refuse(env, `func '${name}' doesn't have ${index + 1}-th argument`);
  const target = btf.resolve(type);
  switch (target.kind) {
    case "int":
    case "enum":
    case "enum64":
    case "struct":
    case "union":
      return isResult ? resultOf(hook.result!.range) : UNKNOWN;
    case "ptr":
      if (size !== WORD) return refuse(env, `func '${name}' size ${size} must be 8`);
      return pointerArgument(env, hook, index, target.type);
    default: {
      const kind = target.kind === "void" ? "UNKN" : target.kind.toUpperCase();
      const what = `has type ${kind}. Only pointer access is allowed`;
      return refuse(env, `func '${name}' arg${index} '${target.name}' ${what}`);
    }
  }
}

/** Structs by value take as many words as they need. Kernel: btf_ctx_arg_idx() */
function argumentIndex({ btf, parameters, returns }: Hook, off: number): number {
  let end = 0;
  for (const [index, type] of [...parameters.map((parameter) => parameter.type), returns].entries()) {
    end += Math.ceil((btf.sizeOf(type) ?? 0) / WORD) * WORD;
    if (off < end) return index;
  }
  return parameters.length + 1;
}

/** What the function returned, where the kernel knows what it may be. */
function resultOf(range: ReturnRange | null): RegState {
  if (range === null) return UNKNOWN;
  const draft = draftOf(UNKNOWN.value);
  draft.smin = BigInt(range.min);
  draft.smax = BigInt(range.max);
  draft.s32min = range.min;
  draft.s32max = range.max;
  return scalarReg(settle(draft));
}

function refuse(env: Env, line: string): null {
  env.log.line(line);
  return null;
}

/** A pointer to type `type`. */
function pointerArgument(env: Env, hook: Hook, index: number, type: number): RegState | null {
  const { btf, name, parameters } = hook;
  const known = hook.known.get(index);
  if (known !== undefined && baseType(known) === REG.BUF) return bufferPointer(env, known);
  const target = btf.resolve(type);
  if (target.kind === "void" || target.kind === "int") return UNKNOWN;
  const id = btf.skipModifiers(type);
  if (known !== undefined) return promoted(env, hook, btfPointer(env, btf, id, known & ~REG.BTF));
  if (target.kind !== "struct" && target.kind !== "union") {
    return refuse(env, `func '${name}' arg${index} type ${target.kind.toUpperCase()} is not a struct`);
  }
  const doubtful = hook.kind === "tracepoint" ? doubtfulArguments(name) : undefined;
  env.log.line(`func '${name}' arg${index} has btf_id ${id} type ${target.kind.toUpperCase()} '${target.name}'`);
  if (doubtful?.maybeError.includes(index)) {
    env.log.line(`marking pointer arg${index} as scalar as it may encode error`);
    return UNKNOWN;
  }
  const isNullable = parameters[index]?.name.endsWith("__nullable") === true;
  // Modules' tracepoints are in no list of the kernel's.
  const isUnknown = hook.kind === "tracepoint" && !doubtful && env.program.attachBtf?.module !== null;
  const mayBeNull = isNullable || isUnknown || doubtful?.maybeNull.includes(index) === true;
  const tag = pointerTag(btf, type);
  const memory = tag === "user" ? FLAG.USER : tag === "percpu" ? FLAG.PERCPU : 0;
  const flags = (hook.isTrusted ? FLAG.TRUSTED : 0) | (mayBeNull ? FLAG.MAYBE_NULL : 0) | memory;
  return promoted(env, hook, btfPointer(env, btf, id, flags));
}

function bufferPointer(env: Env, type: number): RegState {
  const buffer = pointerReg(type);
  if (type & FLAG.MAYBE_NULL) buffer.id = env.newId();
  return buffer;
}

/** What the structure of functions knows better than the function: every sock is a tcp_sock to a congestion control. */
function promoted(env: Env, { structOps }: Hook, pointer: RegState): RegState {
  const promotes = structOps?.promotes ?? null;
  if (promotes === null || pointer.btf!.nameOf(pointer.btfType) !== promotes.from) return pointer;
  const to = kernelStruct(env, promotes.to);
  return to === null ? pointer : btfPointer(env, to.btf, to.type, pointer.type & ~REG.BTF);
}
