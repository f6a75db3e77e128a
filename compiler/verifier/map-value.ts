/** Values of maps: what may be read and written, and loads from frozen maps, which are constants. Kernel: check_map_access(). */
import { MAP_FLAG, type MapSpec } from "../../spec/map-types.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { checkRegion } from "./region.ts";
import { knownReg, type RegState, UNKNOWN } from "./register.ts";
import { constantOf } from "./scalar.ts";
import { checkFields } from "./value-fields.ts";

/** Programs may not write it. Lookups in device maps point into kernel memory: dev_map_init_map(). */
export const isReadOnlyMap = (map: MapSpec): boolean =>
  map.type === "devmap" || map.type === "devmap_hash" || (map.flags & MAP_FLAG.RDONLY_PROG) !== 0;

/** The map's access flags for programs. Kernel: check_map_access_type(). */
export function checkMapAccessType(env: Env, reg: RegState, off: number, size: number, write: boolean): void {
  const map = reg.map!;
  if (write && isReadOnlyMap(map)) {
    reject(env, "EACCES", `write into map forbidden, value_size=${map.valueSize} off=${off} size=${size}`);
  }
  if (!write && map.flags & MAP_FLAG.WRONLY_PROG) {
    reject(env, "EACCES", `read from map forbidden, value_size=${map.valueSize} off=${off} size=${size}`);
  }
}

export function checkMapAccess(
  env: Env,
  number: number,
  reg: RegState,
  off: number,
  size: number,
  zeroAllowed: boolean,
  by: "program" | "helper",
): void {
  checkRegion(env, number, reg, off, size, reg.map!.valueSize, zeroAllowed);
  checkFields(env, reg, off, size, by);
}

/** Programs cannot write the value, and user space neither any more. Kernel: bpf_map_is_rdonly(). */
export const isConstantMap = (map: MapSpec): boolean =>
  map.frozen && (map.flags & MAP_FLAG.RDONLY_PROG) !== 0 && map.type === "array" && map.initial !== null;

/** What a load yields: a constant from a frozen map at a known offset, else anything. */
export function mapValueLoad(reg: RegState, off: number, size: number, signed: boolean): RegState {
  const map = reg.map!;
  const variable = constantOf(reg.value);
  if (variable === null || !isConstantMap(map)) return UNKNOWN;
  const start = off + Number(variable);
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(map.initial![start + i] ?? 0);
  return knownReg(signed ? BigInt.asUintN(64, BigInt.asIntN(size * 8, value)) : value);
}
