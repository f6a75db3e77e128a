/** Arena pointers as a program sees them: the 32-bit address under a tag; null stays 0. */
import { POINTER_TAG } from "../../spec/index.ts";
import type { Body } from "./body.ts";
import type { Expr } from "./emit.ts";

/** The tag: upper half of a pointer, as a 64-bit value. */
export const TAG_BITS = BigInt(POINTER_TAG) << 32n;

/** An address that is not null. */
export function tagged(body: Body, address: Expr): Expr {
  const { i64 } = body.wasm.m;
  return i64.or(i64.extend_u(address), i64.const(TAG_BITS));
}

export function taggedOrNull(body: Body, address: Expr): Expr {
  const { m, i32 } = body.wasm;
  const temp = body.frame.temp(i32);
  const pointer = m.i64.or(m.i64.extend_u(temp.tee(address)), m.i64.const(TAG_BITS));
  return m.select(temp.get(), pointer, m.i64.const(0n));
}
