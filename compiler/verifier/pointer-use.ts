/**
 * The kernel rewrites accesses of contexts, sockets and objects with kernel types, so that one instruction cannot access
 * both such an object and something else, whichever path leads there. Kernel: save_aux_ptr_type().
 */
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { baseType, FLAG, REG } from "./register.ts";

/** Types whose accesses are rewritten. Kernel: reg_type_mismatch_ok(). */
const REWRITTEN: ReadonlySet<number> = new Set([
  REG.CTX,
  REG.SOCKET,
  REG.SOCK_COMMON,
  REG.TCP_SOCK,
  REG.XDP_SOCK,
  REG.BTF,
  REG.ARENA,
]);
const isRewritten = (type: number): boolean => REWRITTEN.has(baseType(type));
const isMemory = (type: number): boolean => baseType(type) === REG.MEM;
const isMemoryOrObject = (type: number): boolean => isMemory(type) || baseType(type) === REG.BTF;

/** Notes that the current instruction accesses memory through a pointer of `type`; plain loads are the laxest. */
export function notePointerUse(env: Env, type: number, isLoad: boolean): void {
  const known = env.pointerTypes[env.insnIndex]!;
  if (known === REG.NOT_INIT) env.pointerTypes[env.insnIndex] = type;
  else if (type !== known && (isRewritten(type) || isRewritten(known))) {
    if (!isLoad || !isMemoryOrObject(type) || !isMemoryOrObject(known)) {
      reject(env, "EINVAL", "same insn cannot be used with different pointers");
    }
    const base = isMemory(type) || isMemory(known) ? REG.MEM : REG.BTF;
    env.pointerTypes[env.insnIndex] = base | ((type | known) & (FLAG.UNTRUSTED | FLAG.RDONLY));
  }
}
