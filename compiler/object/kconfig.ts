/**
 * Values of `extern … __kconfig` variables: CONFIG_… from the target's configuration, LINUX_… from what bpfjit is.
 * Source: libbpf, find_kcfg_type(), set_kcfg_value_*() and bpf_object__resolve_externs().
 */
import type { Btf } from "./btf/btf.ts";
import { kernelVersionCode, type Target } from "./target.ts";

export interface ConfigVariable {
  readonly kind: "bool" | "tristate" | "char" | "int" | "text";
  readonly signed: boolean;
  readonly size: number;
  readonly align: number;
}

const COOKIE_SINCE = kernelVersionCode(5, 15);
const SYSCALL_WRAPPER_SINCE = kernelVersionCode(4, 17);
/** Beyond this no configuration text goes; the size is that of a type, which a file can claim freely. */
const MOST_TEXT_BYTES = 1 << 16;

/** Null where libbpf does not take a variable of this type. */
export function configVariable(btf: Btf, typeId: number): ConfigVariable | null {
  const size = btf.sizeOf(typeId);
  const align = btf.alignOf(typeId);
  if (size === null || size <= 0 || size > MOST_TEXT_BYTES || align === null || align <= 0) return null;
  const type = btf.resolve(typeId);
  const shared = { size, align, signed: false };
  switch (type.kind) {
    case "int":
      if (type.bool) return type.size === 1 ? { ...shared, kind: "bool" } : null;
      if (type.size === 1) return { ...shared, kind: "char", signed: type.signed };
      return [2, 4, 8].includes(type.size) ? { ...shared, kind: "int", signed: type.signed } : null;
    case "enum":
    case "enum64":
      if (type.name !== "libbpf_tristate" || type.size !== 4) return null;
      return { ...shared, kind: "tristate" };
    case "array": {
      const element = btf.resolve(type.element);
      return type.length > 0 && element.kind === "int" && element.size === 1 && !element.bool
        ? { ...shared, kind: "text" }
        : null;
    }
    default:
      return null;
  }
}

/** Writes the target's value to `place`. False where it has none, or none that fits the variable. */
export function setConfig(place: Uint8Array, name: string, variable: ConfigVariable, target: Target): boolean {
  switch (name) {
    case "LINUX_KERNEL_VERSION":
      return setNumber(place, variable, BigInt(target.kernelVersion));
    // libbpf tries these out on the kernel; on x86-64 they follow from its version.
    case "LINUX_HAS_BPF_COOKIE":
      return setNumber(place, variable, target.kernelVersion >= COOKIE_SINCE ? 1n : 0n);
    case "LINUX_HAS_SYSCALL_WRAPPER":
      return setNumber(place, variable, target.kernelVersion >= SYSCALL_WRAPPER_SINCE ? 1n : 0n);
  }
  const value = target.config.get(name);
  if (value === undefined || value === "") return false;
  if (value === "y" || value === "n" || value === "m") return setTristate(place, variable, value);
  if (value.startsWith('"')) return setText(place, variable, value);
  return variable.kind === "bool" ? false : setNumber(place, variable, parseInteger(value));
}

const TRISTATE = { n: 0, y: 1, m: 2 } as const;

function setTristate(place: Uint8Array, variable: ConfigVariable, value: "y" | "n" | "m"): boolean {
  switch (variable.kind) {
    case "bool":
      if (value === "m") return false;
      place[0] = TRISTATE[value];
      return true;
    case "tristate":
      place[0] = TRISTATE[value];
      return true;
    case "char":
      place[0] = value.charCodeAt(0);
      return true;
    default:
      return false;
  }
}

/** A text that is too long is cut, with its zero. */
function setText(place: Uint8Array, variable: ConfigVariable, quoted: string): boolean {
  if (variable.kind !== "text" || quoted.length < 2 || !quoted.endsWith('"')) return false;
  place.set(new TextEncoder().encode(quoted.slice(1, -1)).subarray(0, place.length - 1));
  return true;
}

function setNumber(place: Uint8Array, variable: ConfigVariable, value: bigint | null): boolean {
  if (value === null || (variable.kind !== "int" && variable.kind !== "char" && variable.kind !== "bool")) return false;
  if (variable.kind === "bool" && value > 1n) return false;
  const bits = variable.size * 8;
  const fits = variable.signed ? BigInt.asIntN(bits, value) === BigInt.asIntN(64, value) : value >> BigInt(bits) === 0n;
  if (!fits) return false;
  for (let at = 0; at < variable.size; at++) place[at] = Number((value >> BigInt(8 * at)) & 0xffn);
  return true;
}

/** As C's strtoull with base 0: decimal, 0x…, 0…; unsigned 64 bits. */
function parseInteger(text: string): bigint | null {
  const found = /^(-?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(text);
  if (found === null) return null;
  const digits = found[2]!;
  const isOctal = digits.length > 1 && digits[0] === "0" && !/^0[xX]/.test(digits);
  const magnitude = BigInt(isOctal ? `0o${digits.slice(1)}` : digits);
  if (magnitude > 0xffff_ffff_ffff_ffffn) return null;
  return BigInt.asUintN(64, found[1] === "-" ? -magnitude : magnitude);
}
