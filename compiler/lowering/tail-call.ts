/**
 * bpf_tail_call(ctx, map, index): replaces this function by another program; where the slot is empty or the limit is
 * reached, execution goes on behind the call. As in the kernel's JIT only a jump that happens counts, and one made in a
 * subprogram replaces only the subprogram: the program's result is the subprogram's.
 */
import { CPU } from "../../spec/index.ts";
import { LIMITS } from "../../spec/limits.ts";
import { pointerIn } from "./address.ts";
import type { Body } from "./body.ts";
import type { Expr } from "./emit.ts";

export function lowerTailCall(body: Body): Expr[] {
  const { frame, unit, wasm } = body;
  const { m, i32, i64 } = wasm;
  const cpu = frame.temp(i32);
  const slot = frame.temp(i32);
  const calls = (): Expr => m.i32.load(CPU.tailCalls, 4, cpu.get());
  const jump = m.block(null, [
    m.i32.store(CPU.tailCalls, 4, cpu.get(), m.i32.add(calls(), m.i32.const(1))),
    ...body.leave(),
    m.return_call_indirect(unit.table(), m.i32.sub(slot.get(), m.i32.const(1)), [pointerIn(body, 1)], i32, i64),
  ]);
  return [
    cpu.set(unit.cpu()),
    m.if(
      m.i32.lt_u(calls(), m.i32.const(LIMITS.tailCalls)),
      m.if(slot.tee(unit.library("prog_array_target", [pointerIn(body, 2), frame.reg32(3)])), jump),
    ),
  ];
}
