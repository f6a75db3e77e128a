/**
 * The context: which of its bytes may be read or written, and what a load yields. The layout and the rules per field are
 * those of spec/ctx.ts. Kernel: check_ctx_access(), and is_valid_access() of each program type.
 */
import type { CtxField, CtxSpec } from "../../spec/ctx.ts";
import type { AttachTypeName } from "../../spec/sections.ts";
import { argumentAt } from "./btf-ctx.ts";
import { structPointer } from "./btf-pointer.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { Access } from "./memory.ts";
import { FLAG, pointerReg, REG, type RegState, typeName, UNKNOWN } from "./register.ts";
import { isConstant } from "./scalar.ts";
import { maskText } from "./scalar-text.ts";

/** `off` includes the fixed part of the register's offset. Returns what is loaded, null where nothing is. */
export function checkCtxAccess(env: Env, access: Access, reg: RegState, off: number): RegState | null {
  requireUnmodified(env, access.address, reg);
  if (env.hook !== null) {
    const argument = argumentAt(env, env.hook, access, off);
    if (argument === null) reject(env, "EACCES", `invalid bpf_context access off=${off} size=${access.size}`);
    env.facts.ctxOffset(env.insnIndex, off);
    return access.register < 0 ? null : argument;
  }
  const field = fieldOf(env, access, off);
  if (field === null) reject(env, "EACCES", `invalid bpf_context access off=${off} size=${access.size}`);
  env.facts.ctxOffset(env.insnIndex, off);
  if (access.write || access.register < 0) return null;
  return field === "plain" ? UNKNOWN : loaded(env, field);
}

/** The pointer must be the one that the program was given. Kernel: check_ptr_off_reg(). */
export function requireUnmodified(env: Env, number: number, reg: RegState): void {
  const name = typeName(reg.type);
  if (reg.off > 0) reject(env, "EACCES", `dereference of modified ${name} ptr R${number} off=${reg.off} disallowed`);
  requireNearPointer(env, number, reg);
}

/** It may point at a known distance behind. Kernel: __check_ptr_off_reg() with fixed_off_ok. */
export function requireNearPointer(env: Env, number: number, reg: RegState): void {
  const name = typeName(reg.type);
  if (reg.off < 0) reject(env, "EACCES", `negative offset ${name} ptr R${number} off=${reg.off} disallowed`);
  if (!isConstant(reg.value) || reg.value.umax !== 0n) {
    reject(env, "EACCES", `variable ${name} access var_off=${maskText(reg.value)} disallowed`);
  }
}

/** The field that the access may touch, "plain" in the open part, null where it may not. */
function fieldOf(env: Env, access: Access, off: number): CtxField | "plain" | null {
  const { size, write } = access;
  const { open } = env.ctx;
  if (off < 0 || off % size !== 0) return null;
  if (open && off >= open.from && off < open.to) {
    return (write && !open.write) || (open.size !== undefined && size !== open.size) ? null : "plain";
  }
  const field = env.ctx.fields.find((known) => off >= known.offset && off < known.offset + known.size);
  if (!field || (write && !field.write) || !isFor(env, field.attachTypes)) return null;
  if (write && !isFor(env, field.writeTypes)) return null;
  return fits(env, field, access, off) ? field : null;
}

const isFor = (env: Env, attachTypes: readonly AttachTypeName[] | undefined): boolean =>
  attachTypes === undefined || (env.attachType !== null && attachTypes.includes(env.attachType));

/** Whether size and place of the access are those that the field allows. */
export function fits(env: { readonly ctx: CtxSpec }, field: CtxField, access: Access, off: number): boolean {
  const { size, write } = access;
  const start = off === field.offset;
  if (field.kind !== "scalar") return size === field.size && start && !access.signed;
  if (field.anySize) return reachesAnySize(env.ctx, off + size);
  if (start && (size === field.size || (size === field.wide && off % size === 0))) return true;
  if (write || field.narrow === false || off + size > field.offset + field.size) return false;
  return field.narrow === "start" ? start : size >= (field.narrowest ?? 1);
}

const reachesAnySize = (ctx: CtxSpec, end: number): boolean =>
  ctx.fields.some((field) => field.anySize && end > field.offset && end <= field.offset + field.size);

function loaded(env: Env, field: CtxField): RegState {
  switch (field.kind) {
    case "packet":
      return pointerReg(REG.PACKET);
    case "packetMeta":
      return pointerReg(REG.PACKET_META);
    case "packetEnd":
      return pointerReg(REG.PACKET_END);
    case "flowKeys":
      return pointerReg(REG.FLOW_KEYS);
    case "socket":
      return pointerReg(REG.SOCKET);
    case "socketOrNull":
      return orNull(env, REG.SOCKET);
    case "sockCommonOrNull":
      return orNull(env, REG.SOCK_COMMON);
    case "tpBuffer":
      return pointerReg(REG.TP_BUFFER);
    case "btf":
      return structPointer(env, field.name, FLAG.TRUSTED);
    case "scalar":
    case "pointer":
      return UNKNOWN;
  }
}

function orNull(env: Env, type: number): RegState {
  const pointer = pointerReg(type | FLAG.MAYBE_NULL);
  pointer.id = env.newId();
  return pointer;
}
