/**
 * The context: which of its bytes may be read or written, and what a load yields. The layout and the rules per field are
 * those of spec/ctx.ts. Kernel: check_ctx_access(), and is_valid_access() of each program type.
 */
import type { CtxField } from "../../spec/ctx.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { Access } from "./memory.ts";
import { FLAG, pointerReg, REG, type RegState, typeName, UNKNOWN } from "./register.ts";
import { isConstant } from "./scalar.ts";
import { maskText } from "./scalar-text.ts";

/** `off` includes the fixed part of the register's offset. Returns what is loaded, null where nothing is. */
export function checkCtxAccess(env: Env, access: Access, reg: RegState, off: number): RegState | null {
  requireUnmodified(env, access.address, reg);
  const field = fieldOf(env, access, off);
  if (field === null) reject(env, "EACCES", `invalid bpf_context access off=${off} size=${access.size}`);
  env.facts.ctxOffset(env.insnIndex, off);
  if (access.write || access.register < 0) return null;
  return field === "plain" ? UNKNOWN : loaded(env, field);
}

/** The pointer must be the one that the program was given. Kernel: check_ptr_off_reg(). */
export function requireUnmodified(env: Env, number: number, reg: RegState): void {
  const name = typeName(reg.type);
  if (reg.off < 0) reject(env, "EACCES", `negative offset ${name} ptr R${number} off=${reg.off} disallowed`);
  if (reg.off > 0) reject(env, "EACCES", `dereference of modified ${name} ptr R${number} off=${reg.off} disallowed`);
  if (!isConstant(reg.value) || reg.value.umax !== 0n) {
    reject(env, "EACCES", `variable ${name} access var_off=${maskText(reg.value)} disallowed`);
  }
}

/** The field that the access may touch, "plain" in the open part, null where it may not. */
function fieldOf(env: Env, access: Access, off: number): CtxField | "plain" | null {
  const { size, write } = access;
  if (off < 0 || off % size !== 0) return null;
  const { open } = env.ctx;
  if (open && off >= open.from && off < open.to) return write && !open.write ? null : "plain";
  const field = env.ctx.fields.find((known) => off >= known.offset && off < known.offset + known.size);
  if (!field || (write && !field.write)) return null;
  if (field.attachTypes && !field.attachTypes.includes(env.program.attachType ?? "")) return null;
  if (field.kind !== "scalar") return size === field.size && off === field.offset && !access.signed ? field : null;
  if (field.anySize) return reachesAnySize(env, off + size) ? field : null;
  if (size === field.size && off === field.offset) return field;
  return !write && field.narrow && off + size <= field.offset + field.size ? field : null;
}

const reachesAnySize = (env: Env, end: number): boolean =>
  env.ctx.fields.some((field) => field.anySize && end > field.offset && end <= field.offset + field.size);

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
    case "socketOrNull": {
      const socket = pointerReg(REG.SOCK_COMMON | FLAG.MAYBE_NULL);
      socket.id = env.newId();
      return socket;
    }
    case "scalar":
    case "pointer":
      return UNKNOWN;
  }
}
