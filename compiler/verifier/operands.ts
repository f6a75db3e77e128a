/** Registers as operands. Kernel: check_reg_arg(). */

import { FRAME_POINTER, REGISTERS } from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { REG } from "./register.ts";

export const CALLER_SAVED = LIMITS.callArguments + 1;

export function requireReadable(env: Env, register: number): void {
  requireRegister(env, register);
  env.scratchRegister(register);
  if (env.register(register).type === REG.NOT_INIT) reject(env, "EACCES", `R${register} !read_ok`);
}

export function requireWritable(env: Env, register: number): void {
  requireRegister(env, register);
  if (register === FRAME_POINTER) reject(env, "EACCES", "frame pointer is read only");
  env.scratchRegister(register);
}

function requireRegister(env: Env, register: number): void {
  if (register >= REGISTERS) reject(env, "EINVAL", `R${register} is invalid`);
}
