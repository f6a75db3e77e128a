/**
 * Special fields of what a register points to: which there are, and what loads, stores and helpers may do to them.
 * Kernel: reg_btf_record(), the second half of check_map_access(), btf_struct_access().
 */
import { type SpecialField, type SpecialFieldKind, specialField } from "../../spec/special-fields.ts";
import type { Btf } from "../object/btf/btf.ts";
import { FieldsError, fieldsOfObject } from "../object/btf/fields.ts";
import { kernelTypes } from "../object/target.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { baseType, FLAG, REG, type RegState } from "./register.ts";
import { constantOf } from "./scalar.ts";

const NONE: readonly SpecialField[] = [];

/** An object of the program's own. Kernel: type_is_ptr_alloc_obj() */
export const isAllocated = (reg: RegState): boolean => baseType(reg.type) === REG.BTF && (reg.type & FLAG.ALLOC) !== 0;

/** Fields of the map value or allocated object that `reg` points into, ascending. */
export function fieldsBehind(env: Env, reg: RegState): readonly SpecialField[] {
  if (reg.type === REG.MAP_VALUE) return reg.map!.fields ?? NONE;
  return isAllocated(reg) ? (objectFields(env, reg.btf!, reg.btfType) ?? NONE) : NONE;
}

/** Fields of objects of a type of the program's; null where the kernel keeps no record of it. Kernel: btf_find_struct_meta() */
export function objectFields(env: Env, btf: Btf, type: number): readonly SpecialField[] | null {
  if (btf !== env.program.btf) return null;
  const known = env.objectFields.get(type);
  if (known !== undefined) return known;
  const { targetBtf = null, modules = [] } = env.program;
  const fields = orNull(() => fieldsOfObject(btf, type, kernelTypes({ btf: targetBtf, modules })));
  env.objectFields.set(type, fields);
  return fields;
}

function orNull<T>(find: () => T): T | null {
  try {
    return find();
  } catch (error) {
    if (error instanceof FieldsError) return null;
    throw error;
  }
}

export const findField = (fields: readonly SpecialField[], ...kinds: SpecialFieldKind[]): SpecialField | undefined =>
  fields.find((field) => kinds.includes(field.kind));

const LOCKS: readonly SpecialFieldKind[] = ["spinLock", "resSpinLock"];
/** Two such pointers must be told apart, since what one locks the other does not. Kernel: reg_may_point_to_spin_lock() */
export const mayHoldLock = (env: Env, reg: RegState): boolean =>
  findField(fieldsBehind(env, reg), ...LOCKS) !== undefined;

const POINTERS: ReadonlySet<SpecialFieldKind> = new Set(["kptrUntrusted", "kptr", "percpuKptr", "uptr"]);
export const isPointerField = (field: SpecialField): boolean => POINTERS.has(field.kind);
const POINTER_BYTES = 8;

/** Whether an access to [off, off + size) of a map's value keeps away from its fields; pointers may be loaded whole. */
export function checkFields(env: Env, reg: RegState, off: number, size: number, by: "program" | "helper"): void {
  const { fields } = reg.map!;
  if (fields === undefined) return;
  const first = reg.value.smin + BigInt(off);
  const end = reg.value.umax + BigInt(off + size);
  for (const field of fields) {
    const { offsetBytes, sizeBytes } = field;
    if (first >= BigInt(offsetBytes + sizeBytes) || BigInt(offsetBytes) >= end) continue;
    const { shown } = specialField(field.kind);
    if (!isPointerField(field)) reject(env, "EACCES", `${shown} cannot be accessed directly by load/store`);
    if (by === "helper") reject(env, "EACCES", `${shown} cannot be accessed indirectly by helper`);
    const variable = constantOf(reg.value);
    if (variable === null) reject(env, "EACCES", `${shown} access cannot have variable offset`);
    const at = BigInt(off) + variable;
    if (at !== BigInt(offsetBytes)) {
      reject(env, "EACCES", `${shown} access misaligned expected=${offsetBytes} off=${at}`);
    }
    if (size !== POINTER_BYTES) reject(env, "EACCES", `${shown} access size must be BPF_DW`);
  }
}

/** The kept pointer that begins at the byte that an access names; undefined: none. */
export function pointerFieldAt(reg: RegState, off: number): SpecialField | undefined {
  const { fields } = reg.map!;
  const variable = fields === undefined ? null : constantOf(reg.value);
  if (variable === null) return undefined;
  const at = off + Number(variable);
  return fields!.find((field) => field.offsetBytes === at && isPointerField(field));
}
