/** Registers as 32-bit addresses, the shortest way (known.ts), and checked where the program is not verified. */
import type { Body } from "./body.ts";
import type { Expr } from "./emit.ts";
import type { KnownPointer } from "./known.ts";

/** An i32 pointer and a non-negative offset that Wasm adds without wrapping. */
export interface Address {
  readonly pointer: Expr;
  readonly offsetBytes: number;
}

/** Where `register + off` lies, checked when the program is unchecked. */
export function addressOf(body: Body, register: number, off: number, bytes: number, insnIndex: number): Address {
  const { frame, guards, known } = body;
  const { i32, i64 } = body.wasm.m;
  if (guards !== null) {
    const address = off === 0 ? frame.reg(register) : i64.add(frame.reg(register), i64.const(BigInt(off)));
    return { pointer: guards.access(address, bytes, frame, insnIndex), offsetBytes: 0 };
  }
  const pointer = known.of(register);
  const base = pointer === null ? frame.reg32(register) : baseOf(body, pointer);
  const offsetBytes = off + (pointer === null ? 0 : offsetOf(body, pointer));
  // The effective address is at least 64 KiB (NULL_GUARD_BYTES) and the offset less than that or inside of the object that
  // the base points to, so the base of a positive offset has not wrapped.
  if (offsetBytes >= 0) return { pointer: base, offsetBytes };
  return { pointer: i32.add(base, i32.const(offsetBytes)), offsetBytes: 0 };
}

/** A register that holds a pointer, as an i32. */
export function pointerIn(body: Body, register: number): Expr {
  const pointer = body.guards === null ? body.known.of(register) : null;
  if (pointer === null) return body.frame.reg32(register);
  const { i32 } = body.wasm.m;
  const offset = offsetOf(body, pointer);
  return offset === 0 ? baseOf(body, pointer) : i32.add(baseOf(body, pointer), i32.const(offset));
}

function baseOf(body: Body, { base }: KnownPointer): Expr {
  switch (base.kind) {
    case "stack":
      return body.frame.base();
    case "ctx":
      return body.frame.ctx();
    case "map":
      return body.unit.mapAddress(base.map, "descriptor");
    case "mapValue":
      return body.unit.mapAddress(base.map, "value");
    case "local":
      return base.local.get();
  }
}

/** Bytes from the base: of the stack from the frame's lowest address. */
const offsetOf = (body: Body, { base, offsetBytes }: KnownPointer): number =>
  base.kind === "stack" ? body.frame.stackBytes + offsetBytes : offsetBytes;
