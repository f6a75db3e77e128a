/** What a helper answers → r0. */
import type { RetSpec } from "../../spec/index.ts";
import type { Body } from "./body.ts";
import type { Expr } from "./emit.ts";
import { taggedOrNull } from "./pointer.ts";

/** r0 from a call's result, as its kind says. */
export function setResult(body: Body, kind: RetSpec, value: Expr): Expr {
  const { frame } = body;
  const { i64 } = body.wasm.m;
  switch (kind) {
    case "void":
      return value;
    case "int":
      return frame.setReg(0, i64.extend_s(value));
    case "u32":
      return frame.setReg(0, i64.extend_u(value));
    // Kernel pointers need not lie in the arena.
    case "btfId":
    case "btfIdOrNull":
    case "btfIdTrusted":
    case "u64":
      return frame.setReg(0, value);
  }
  // The address stays at hand beside the pointer.
  const neverNull = kind === "mapValue" ? ({ neverNull: true } as const) : {};
  const local = body.pointerLocal();
  if (local === null) return frame.setReg(0, taggedOrNull(body, value, frame.temp(body.wasm.i32)));
  body.known.set(0, { base: { kind: "local", local, ...neverNull }, offsetBytes: 0 });
  return frame.setReg(0, taggedOrNull(body, value, local));
}
