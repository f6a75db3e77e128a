/**
 * Buffers whose length shows only where the program is attached or runs: keys and values of iterators, what a writable raw
 * tracepoint passes on. Any fixed offset will do here. Kernel: check_buffer_access(), check_tp_buffer_access().
 */
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { baseType, isReadOnly, REG, type RegState, typeName } from "./register.ts";
import { isConstant } from "./scalar.ts";
import { maskText } from "./scalar-text.ts";

/** `off` includes the fixed part of the register's offset. */
export function checkBufferAccess(env: Env, number: number, reg: RegState, off: number, size: number): void {
  const isPassedOn = baseType(reg.type) === REG.TP_BUFFER;
  const name = isPassedOn ? "tracepoint" : isReadOnly(reg.type) ? "rdonly" : "rdwr";
  if (off < 0) reject(env, "EACCES", `R${number} invalid ${name} buffer access: off=${off}, size=${size}`);
  if (isConstant(reg.value) && reg.value.umax === 0n) {
    env.facts.buffer(isReadOnly(reg.type) ? "readOnly" : "writable", off + size);
    return;
  }
  reject(env, "EACCES", `R${number} invalid variable buffer offset: off=${off}, var_off=${maskText(reg.value)}`);
}

export function requireWritableMemory(env: Env, number: number, reg: RegState): void {
  if (isReadOnly(reg.type)) reject(env, "EACCES", `R${number} cannot write into ${typeName(reg.type)}`);
}
