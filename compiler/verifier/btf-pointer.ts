/**
 * Pointers with kernel types: what a load through one yields, and which of the pointers that it finds can be trusted to be
 * alive. Not here: bytes of types (btf-walk.ts), arguments of hooks (btf-ctx.ts). Kernel: check_ptr_to_btf_access().
 */

import { safeField } from "../../spec/kernel-types.ts";
import { MAP_STRUCT, type MapSpec } from "../../spec/map-types.ts";
import { isInRcuSection, isRcuProtected, isTrusted, kernelStruct, type TypeRef } from "./btf-match.ts";
import { type Found, type StructPointer, walkStruct } from "./btf-walk.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";
import { isGpl } from "./license.ts";
import type { Access } from "./memory.ts";
import { checkObjectAccess } from "./objects.ts";
import { FLAG, pointerReg, REG, type RegState, UNKNOWN } from "./register.ts";
import { constantOf } from "./scalar.ts";
import { maskText } from "./scalar-text.ts";
import { checkStructWrite, writesOf } from "./struct-write.ts";

/** `off` includes the register's fixed offset. Returns what is loaded. */
export function checkBtfAccess(env: Env, access: Access, reg: RegState, off: number): RegState {
  const btf = reg.btf!;
  const name = btf.nameOf(reg.btfType);
  const isKernels = btf !== env.program.btf;
  if (isKernels && !isGpl(env.program)) {
    reject(env, "EINVAL", `Cannot access kernel 'struct ${name}' from non-GPL compatible program`);
  }
  const constant = constantOf(reg.value);
  const who = `R${access.address} is ptr_${name}`;
  if (off < 0) reject(env, "EACCES", `${who} invalid negative access: off=${off}`);
  if (constant === null) {
    reject(env, "EACCES", `${who} invalid variable offset: off=${off}, var_off=${maskText(reg.value)}`);
  }
  const at = off + Number(BigInt.asIntN(32, constant));
  if (at < 0) reject(env, "EACCES", `${who} invalid negative access: off=${at}`);
  if (reg.type & FLAG.USER) reject(env, "EACCES", `${who} access user memory: off=${at}`);
  if (reg.type & FLAG.PERCPU) reject(env, "EACCES", `${who} access percpu memory: off=${at}`);
  const isOwn = (reg.type & FLAG.ALLOC) !== 0;
  if (access.write && !isOwn) {
    const writes = writesOf(env);
    if (writes === null || reg.type & FLAG.UNTRUSTED) return reject(env, "EACCES", "only read is supported");
    checkStructWrite(env, writes, { btf, type: reg.btfType }, at, access.size);
    return UNKNOWN;
  }
  if (isOwn) checkObjectAccess(env, reg, at, access.size);
  const found = walkStruct(env, btf, reg.btfType, at, access.size, { flexibleArrays: !isOwn });
  // Pointers to structs in an object of the program's own are numbers to it.
  if (isOwn && found.kind === "struct pointer") return UNKNOWN;
  return loadedPointer(env, { btf, type: reg.btfType }, found, (pointer) => trustIn(env, reg, name, pointer));
}

/** A load from the struct that the kernel keeps a map in. Kernel: check_ptr_to_map_access(). */
export function checkMapFields(env: Env, { address, write, size }: Access, map: MapSpec, off: number): RegState {
  const name = MAP_STRUCT[map.type];
  if (off < 0) reject(env, "EACCES", `R${address} is ${name} invalid negative access: off=${off}`);
  if (write) reject(env, "EACCES", `only read from ${name} is supported`);
  const holder = requireStruct(env, name);
  const found = walkStruct(env, holder.btf, holder.type, off, size);
  return loadedPointer(env, holder, found, flagsOfField);
}

/** What a load from a struct of type `holder` yields; `flagsOf`: how far a pointer to a struct can be trusted. */
export function loadedPointer(
  env: Env,
  holder: TypeRef,
  found: Found,
  flagsOf: (pointer: StructPointer) => number,
): RegState {
  switch (found.kind) {
    case "scalar":
      return UNKNOWN;
    case "other pointer":
      return pointerReg(REG.MEM | FLAG.RDONLY | FLAG.UNTRUSTED);
    case "struct pointer":
      return btfPointer(env, holder.btf, found.type, flagsOf(found));
  }
}

/** A pointer to type `type` of `btf`; one that may be null gets an id. */
export function btfPointer(env: Env, btf: NonNullable<RegState["btf"]>, type: number, flags: number): RegState {
  const pointer = pointerReg(REG.BTF | flags);
  pointer.btf = btf;
  pointer.btfType = type;
  if (flags & FLAG.MAYBE_NULL) pointer.id = env.newId();
  return pointer;
}

/** A struct that only the types of a kernel tell of. */
export function requireStruct(env: Env, name: string): TypeRef {
  return kernelStruct(env, name) ?? unsupported(`struct ${name} without BTF of a kernel that has it`);
}

/** A pointer to a struct of the kernel, by name. */
export function structPointer(env: Env, name: string, flags: number): RegState {
  const { btf, type } = requireStruct(env, name);
  return btfPointer(env, btf, type, flags);
}

const TAG_FLAGS = { user: FLAG.USER, percpu: FLAG.PERCPU, rcu: FLAG.RCU } as const;

/** What a pointer's own field says of it. */
export const flagsOfField = ({ viaUnion, tag }: StructPointer): number =>
  (viaUnion ? FLAG.UNTRUSTED : 0) | (tag === null ? 0 : TAG_FLAGS[tag]);

function trustIn(env: Env, reg: RegState, struct: string, pointer: StructPointer): number {
  const own = flagsOfField(pointer);
  if (reg.type & FLAG.UNTRUSTED) return FLAG.UNTRUSTED;
  // Pointers of old: nobody knows whether they are alive, and helpers take them all the same.
  if (!isTrusted(reg) && !isRcuProtected(reg)) return own & ~FLAG.RCU;
  const safe = safeField(struct, pointer.field, reg.btf!.nameOf(pointer.type));
  const orNull = safe?.mayBeNull ? FLAG.MAYBE_NULL : 0;
  if (safe?.life === "trusted") return own | FLAG.TRUSTED | orNull;
  if (!isInRcuSection(env)) return FLAG.UNTRUSTED;
  if (safe?.life === "rcu") return safe.mayBeNull ? (own & ~FLAG.UNTRUSTED) | FLAG.RCU | orNull : own | FLAG.RCU;
  return pointer.tag === "rcu" ? own | FLAG.MAYBE_NULL : own;
}
