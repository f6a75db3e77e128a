/** Constant strings and the format of bpf_snprintf, which is checked at load. Kernel: check_arg_const_str(), bpf_bprintf_prepare(). */
import { LIMITS } from "../../spec/limits.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { checkMapAccess, isConstantMap } from "./map-value.ts";
import type { RegState } from "./register.ts";
import { constantOf } from "./scalar.ts";

/** A zero-terminated string in a map that nobody can write. */
export function requireConstantString(env: Env, register: number, reg: RegState): void {
  const map = reg.map!;
  if (!isConstantMap(map)) reject(env, "EACCES", `R${register} does not point to a readonly map'`);
  if (constantOf(reg.value) === null) reject(env, "EACCES", `R${register} is not a constant address'`);
  checkMapAccess(env, register, reg, reg.off, map.valueSize - reg.off, false, "helper");
  if (!stringAt(reg)) reject(env, "EINVAL", "string is not zero-terminated");
}

/** The bytes of the string without its zero; null where it has none. */
function stringAt(reg: RegState): Uint8Array | null {
  const start = reg.off + Number(constantOf(reg.value));
  const initial = reg.map!.initial!;
  const end = initial.indexOf(0, start);
  // Bytes of the value beyond its initial contents are zeros.
  if (end < 0) return initial.length < reg.map!.valueSize ? initial.subarray(start) : null;
  return initial.subarray(start, end);
}

/** bpf_snprintf: the format in r3 against the number of arguments, 8 bytes each, in r5. Kernel: check_bpf_snprintf_call(). */
export function checkFormat(env: Env): void {
  const bytes = Number(BigInt.asUintN(32, env.register(5).value.tnum.value));
  if (bytes % 8 !== 0) reject(env, "EINVAL");
  const text = Array.from(stringAt(env.register(3))!, (byte) => String.fromCharCode(byte)).join("");
  if (!isValidFormat(text, bytes / 8)) reject(env, "EINVAL", "Invalid format string");
}

const SPECIFIER =
  /^%[0+\- ]*(?:[1-9][0-9]*)?(?:p(?:[ku]s(?![^\s!-/:-@[-`{-~])|[KxsSB]|[iI][46]|(?![^\s!-/:-@[-`{-~]))|s(?![^\s!-/:-@[-`{-~])|c|l{0,2}[iduxX])/;

function isValidFormat(text: string, argumentCount: number): boolean {
  let specifiers = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const isPrintable = code >= 0x20 && code < 0x7f;
    const isSpace = code >= 0x09 && code <= 0x0d;
    if (code < 0x80 && !isPrintable && !isSpace) return false;
    if (text[at] !== "%") continue;
    if (text[at + 1] === "%") {
      at++;
      continue;
    }
    const match = SPECIFIER.exec(text.slice(at));
    if (specifiers >= argumentCount || match === null) return false;
    specifiers++;
    at += match[0].length - 1;
  }
  return argumentCount <= LIMITS.bprintfArguments;
}
