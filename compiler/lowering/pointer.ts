/** Arena pointers as a program sees them: the 32-bit address under a tag; null stays 0. */
import { POINTER_TAG } from "../../spec/index.ts";
import type { Body } from "./body.ts";
import type { Expr } from "./emit.ts";
import type { Temp } from "./frame.ts";

/** The tag: upper half of a pointer, as a 64-bit value. */
export const TAG_BITS = BigInt(POINTER_TAG) << 32n;

/** An address that is not null. */
export function tagged(body: Body, address: Expr): Expr {
  const { i64 } = body.wasm.m;
  return i64.or(i64.extend_u(address), i64.const(TAG_BITS));
}

/** `local` keeps the address. */
export function taggedOrNull(body: Body, address: Expr, local: Temp): Expr {
  const { m } = body.wasm;
  const pointer = m.i64.or(m.i64.extend_u(local.tee(address)), m.i64.const(TAG_BITS));
  return m.select(local.get(), pointer, m.i64.const(0n));
}
