/**
 * bpf_user_ringbuf_drain(map, callback, context, flags), as a loop that calls the callback's subprogram directly. What a sample
 * is, and when there are no more, is the library's (wasm/user-ringbuf.wat). Kernel: bpf_user_ringbuf_drain().
 */
import { MAP, MAP_PRIVATE } from "../../spec/index.ts";
import { pointerIn } from "./address.ts";
import type { Body } from "./body.ts";
import { callback } from "./callbacks.ts";
import type { Expr } from "./emit.ts";
import { tagged } from "./pointer.ts";

const DYNPTR = MAP.private + MAP_PRIVATE.userRingbuf.dynptr;

export function lowerDrain(body: Body, insnIndex: number): Expr[] {
  const { frame, unit, wasm } = body;
  const { m, i32 } = wasm;
  const label = `drain${insnIndex}`;
  const map = frame.temp(i32);
  const size = frame.temp(i32);
  const isError = (value: Expr): Expr => m.i32.lt_s(value, m.i32.const(0));
  const dynptr = tagged(body, m.i32.add(map.get(), m.i32.const(DYNPTR)));
  const result = callback(body, insnIndex, [dynptr, frame.reg(3)]);
  const iterate = m.block(`${label}end`, [
    m.loop(
      label,
      m.block(null, [
        m.br(`${label}end`, isError(size.tee(unit.library("user_ringbuf_next", [map.get()])))),
        ...result.before,
        unit.library("user_ringbuf_done", [map.get(), size.get()]),
        m.br(label, m.i64.eqz(result.value)),
      ]),
    ),
  ]);
  const end = unit.library("user_ringbuf_end", [map.get(), frame.reg(4), size.get()]);
  return [
    map.set(pointerIn(body, 1)),
    size.set(unit.library("user_ringbuf_begin", [map.get(), frame.reg(4)])),
    m.if(
      isError(size.get()),
      frame.setReg(0, m.i64.extend_s(size.get())),
      m.block(null, [iterate, frame.setReg(0, m.i64.extend_s(end))]),
    ),
  ];
}
