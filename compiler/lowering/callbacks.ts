/** Helpers that call back, as loops that call the callback's subprogram directly. */
import { BugError } from "../../base/errors.ts";
import { ERRNO } from "../../spec/index.ts";
import { LIMITS } from "../../spec/limits.ts";
import { pointerIn } from "./address.ts";
import { type Body, factsAt } from "./body.ts";
import type { Expr } from "./emit.ts";
import { tagged } from "./pointer.ts";
import { subprogramName } from "./unit.ts";

const E2BIG = BigInt(-ERRNO.E2BIG);

/**
 * bpf_loop(iterations, callback, context, flags). Where all paths ask for no iterations the verifier never looked at a callback,
 * and there may be no code of it. The loop that the kernel writes into programs looks at all 64 bits of `iterations`, and what
 * it gives back where they are too many has 32 bits. Kernel: bpf_loop() in kernel/bpf/bpf_iter.c, inline_bpf_loop().
 */
export function lowerLoop(body: Body, insnIndex: number): Expr[] {
  const { frame, wasm } = body;
  const { m } = wasm;
  const hasFlags = m.i64.ne(frame.reg(4), m.i64.const(0n));
  const refused = m.i64.const(BigInt(-ERRNO.EINVAL));
  if (callbacksAt(body, insnIndex).length === 0) {
    return [frame.setReg(0, m.select(hasFlags, refused, m.i64.const(0n)))];
  }
  const label = `loop${insnIndex}`;
  const index = frame.temp(wasm.i64);
  const limit = frame.temp(wasm.i64);
  const result = callback(body, insnIndex, [index.get(), frame.reg(3)]);
  const iterate = m.block(`${label}end`, [
    index.set(m.i64.const(0n)),
    m.loop(
      label,
      m.block(null, [
        m.br(`${label}end`, m.i64.ge_u(index.get(), limit.get())),
        ...result.before,
        index.set(m.i64.add(index.get(), m.i64.const(1n))),
        m.br(label, m.i64.eqz(result.value)),
      ]),
    ),
  ]);
  const isInlined = factsAt(body, insnIndex)?.isInlined ?? false;
  const given = isInlined ? frame.reg(1) : m.i64.extend_u(frame.reg32(1));
  const error = isInlined ? BigInt.asUintN(32, E2BIG) : E2BIG;
  const run = m.if(
    m.i64.gt_u(limit.tee(given), m.i64.const(BigInt(LIMITS.loopIterations))),
    frame.setReg(0, m.i64.const(error)),
    m.block(null, [iterate, frame.setReg(0, index.get())]),
  );
  return [isInlined ? run : m.if(hasFlags, frame.setReg(0, refused), run)];
}

/**
 * bpf_for_each_map_elem(map, callback, context, flags): the callback gets map, key, value, context. It may delete or change
 * elements, so the position after the element is taken before the call. Kernel: bpf_for_each_hash_elem().
 */
export function lowerForEach(body: Body, insnIndex: number): Expr[] {
  const { frame, unit, wasm } = body;
  const { m, i32, i64 } = wasm;
  const label = `each${insnIndex}`;
  const position = frame.temp(i32);
  const after = frame.temp(i32);
  const count = frame.temp(i64);
  const map = (): Expr => pointerIn(body, 1);
  const key = tagged(body, unit.library("map_position_key", [map(), position.get()]));
  const value = tagged(body, unit.library("map_position_value", [map(), position.get()]));
  const result = callback(body, insnIndex, [frame.reg(1), key, value, frame.reg(3)]);
  const iterate = m.block(`${label}end`, [
    count.set(m.i64.const(0n)),
    position.set(unit.library("map_next", [map(), m.i32.const(0)])),
    m.loop(
      label,
      m.block(null, [
        m.br(`${label}end`, m.i32.eqz(position.get())),
        after.set(unit.library("map_after", [map(), position.get()])),
        count.set(m.i64.add(count.get(), m.i64.const(1n))),
        ...result.before,
        m.br(`${label}end`, m.i64.ne(result.value, m.i64.const(0n))),
        position.set(unit.library("map_resume", [map(), after.get()])),
        m.br(label),
      ]),
    ),
  ]);
  return [
    m.if(
      m.i64.ne(frame.reg(4), m.i64.const(0n)),
      frame.setReg(0, m.i64.const(BigInt(-ERRNO.EINVAL))),
      m.block(null, [iterate, frame.setReg(0, count.get())]),
    ),
  ];
}

/** Calls the subprogram that r2 names: the only one it can be, or a choice by its constant. */
export function callback(body: Body, insnIndex: number, values: readonly Expr[]): { before: Expr[]; value: Expr } {
  const { frame, program, wasm } = body;
  const { m, i64 } = wasm;
  const callbacks = callbacksAt(body, insnIndex);
  if (callbacks.length === 0) throw new BugError(`no callback is known at instruction ${insnIndex}`);
  const kept = [0, 1, 2, 3, 4].map((index) => {
    const temp = frame.temp(i64);
    return { temp, set: temp.set(values[index] ?? m.i64.const(0n)) };
  });
  const call = (target: number): Expr =>
    m.call(
      subprogramName(program.name, target),
      kept.map((argument) => argument.temp.get()),
      i64,
    );
  const [last, ...others] = callbacks;
  let value = call(last!);
  for (const target of others) value = m.if(m.i64.eq(frame.reg(2), m.i64.const(BigInt(target))), call(target), value);
  const result = frame.temp(i64);
  const returned = body.profile === null ? [] : [body.profile.returned(insnIndex)];
  return { before: [...kept.map((argument) => argument.set), result.set(value), ...returned], value: result.get() };
}

const callbacksAt = (body: Body, insnIndex: number): readonly number[] => factsAt(body, insnIndex)?.callbacks ?? [];
