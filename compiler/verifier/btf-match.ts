/**
 * Whether a pointer with a kernel type may stand for another: the same type, or the first member of it, of that one and so
 * on (a sock for its sock_common). Shared by helpers and kernel functions.
 * Kernel: btf_struct_ids_match(), btf_types_are_same(), btf_type_ids_nocast_alias().
 */
import type { Btf } from "../object/btf/btf.ts";
import { placeIn, stepInto } from "./btf-walk.ts";
import type { Env } from "./env.ts";
import { baseType, FLAG, REG, type RegState } from "./register.ts";

/** A type, and the BTF that its id counts in: the kernel's, a module's or the program's own. */
export interface TypeRef {
  readonly btf: Btf;
  readonly type: number;
}

export interface MatchOptions {
  /** the types themselves must be the same: no first members */
  readonly strict: boolean;
  /** elements of an array without a length count as inside; not so for objects that the program allocated */
  readonly flexibleArrays: boolean;
}

/** Ids below a module's own count in the kernel's BTF, which it shares with all modules. */
export function isSameType(one: TypeRef, other: TypeRef): boolean {
  if (one.type !== other.type) return false;
  return one.btf === other.btf || ownerOf(one) === ownerOf(other);
}

function ownerOf({ btf, type }: TypeRef): Btf {
  let owner = btf;
  while (owner.base !== null && type < owner.firstId) owner = owner.base;
  return owner;
}

/** Whether what lies `off` bytes into `have` is a `wanted`. What ends the search is logged as the kernel logs it. */
export function matchesType(env: Env, have: TypeRef, off: number, wanted: TypeRef, options: MatchOptions): boolean {
  if (off === 0 && isSameType(have, wanted)) return true;
  if (options.strict) return false;
  let place = placeIn(have.btf, have.type, off, 1, options);
  for (;;) {
    const next = stepInto(have.btf, place);
    if (next.kind === "refused") env.log.line(next.message);
    if (next.kind !== "inside") return false;
    // Only a member that begins at the offset is an object of its own.
    if (next.off === 0 && isSameType({ btf: have.btf, type: next.type }, wanted)) return true;
    place = next;
  }
}

const NO_CAST_SUFFIX = "___init";

/** One is the other before it is initialised (nf_conn___init): never to be taken for each other. */
export function isNoCastAlias(one: TypeRef, other: TypeRef): boolean {
  const a = one.btf.nameOf(one.type);
  const b = other.btf.nameOf(other.type);
  return a === b + NO_CAST_SUFFIX || b === a + NO_CAST_SUFFIX;
}

/** The kernel types of pointers that have a type of their own. Kernel: reg2btf_ids */
const KERNEL_TYPES: Readonly<Record<number, string>> = {
  [REG.SOCKET]: "sock",
  [REG.SOCK_COMMON]: "sock_common",
  [REG.TCP_SOCK]: "tcp_sock",
  [REG.MAP_PTR]: "bpf_map",
};

/** The kernel type behind a register; null where it has none, or the target's BTF does not. */
export function kernelTypeOf(env: Env, reg: RegState): TypeRef | null {
  if (baseType(reg.type) === REG.BTF) return { btf: reg.btf!, type: reg.btfType };
  const name = KERNEL_TYPES[baseType(reg.type)];
  return name === undefined ? null : kernelStruct(env, name);
}

/** A struct of the kernel by its name; null where the program was prepared for no kernel, or one without it. */
export function kernelStruct(env: Env, name: string): TypeRef | null {
  const btf = env.program.targetBtf ?? null;
  const type = btf?.findByName(name, "struct") ?? null;
  return btf === null || type === null ? null : { btf, type };
}

const SAFE = FLAG.TRUSTED | FLAG.ALLOC | FLAG.NON_OWNING;
const BASE_BITS = 0xff;

/** Whether it points to something that is alive for sure. Kernel: is_trusted_reg(). */
export function isTrusted(reg: RegState): boolean {
  if (reg.refId !== 0) return true;
  const flags = reg.type & ~BASE_BITS;
  if ((flags & ~SAFE) !== 0) return false;
  return KERNEL_TYPES[baseType(reg.type)] !== undefined || flags !== 0;
}

/** Kernel: is_rcu_reg(). */
export const isRcuProtected = (reg: RegState): boolean => (reg.type & FLAG.RCU) !== 0;

/** Whether what RCU protects stays alive here: in a section, under a lock, in a program that cannot sleep. Kernel: in_rcu_cs() */
export const isInRcuSection = (env: Env): boolean => env.state.rcuLocks > 0 || env.state.locks > 0 || !maySleep(env);

/** Kernel: in_sleepable() */
export const maySleep = (env: Env): boolean => env.program.sleepable || env.state.sleepable;
