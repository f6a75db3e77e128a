/**
 * Functions of the kernel that need no more than a few instructions: numbers to iterate over, and sections, which are nothing
 * here, since a run is never interrupted and what it looks at does not go away. Kernel: kernel/bpf/bpf_iter.c, helpers.c
 */
import { UnsupportedError } from "../../base/errors.ts";
import {
  ERRNO,
  kernelFunctionByName,
  type LoweredFunctionName,
  type NamedKernelFunction,
  ownKfunc,
} from "../../spec/index.ts";
import { PSEUDO_CALL } from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import type { Insn } from "../asm/instruction.ts";
import type { Program } from "../program.ts";
import { pointerIn } from "./address.ts";
import type { Body } from "./body.ts";
import { DYNPTR_FUNCTIONS, isRunnable } from "./dynptrs.ts";
import type { Expr } from "./emit.ts";
import { tagged } from "./pointer.ts";

/** The function that a call names; undefined where it is no call of a kernel function, or of one in no table. */
export function kernelFunctionOf(program: Program, insn: Insn): NamedKernelFunction | undefined {
  if (insn.src !== PSEUDO_CALL.KFUNC || ownKfunc(insn.off, insn.imm) !== undefined) return undefined;
  const btf = insn.off === 0 ? program.targetBtf : program.modules?.[insn.off - 1]?.btf;
  return btf ? kernelFunctionByName(btf.nameOf(insn.imm)) : undefined;
}

/** Throws UnsupportedError for what cannot be run. */
export function requireLowered(program: Program, insn: Insn, insnIndex: number): LoweredFunctionName {
  const spec = kernelFunctionOf(program, insn);
  if (spec !== undefined && isLowered(spec.name) && isRunnable(program, spec.name)) return spec.name;
  const name = spec?.name ?? `with BTF id ${insn.imm}`;
  throw new UnsupportedError("UNSUPPORTED_KFUNC", `kfunc ${name}`, `kernel function ${name} is not implemented`, {
    where: { program: program.name, section: program.section, insnIndex },
  });
}

export const lowerKernelFunction = (body: Body, name: LoweredFunctionName): Expr[] => LOWERED[name](body);

const isLowered = (name: string): name is LoweredFunctionName => name in LOWERED;

const nothing = (): Expr[] => [];

const LOWERED: Readonly<Record<LoweredFunctionName, (body: Body) => Expr[]>> = {
  ...DYNPTR_FUNCTIONS,
  bpf_iter_num_new: newNumbers,
  bpf_iter_num_next: nextNumber,
  bpf_iter_num_destroy: (body) => [body.wasm.m.i64.store(0, 4, pointerIn(body, 1), body.wasm.m.i64.const(0n))],
  bpf_rcu_read_lock: nothing,
  bpf_rcu_read_unlock: nothing,
  bpf_preempt_disable: nothing,
  bpf_preempt_enable: nothing,
  bpf_local_irq_save: nothing,
  bpf_local_irq_restore: nothing,
  // The verifier knows what may be read through it.
  bpf_rdonly_cast: ({ frame }) => [frame.setReg(0, frame.reg(1))],
};

/** struct bpf_iter_num_kern */
const CURRENT = 0;
const END = 4;

/** (iterator, start, end): the element before the first, and the end; both 0 where there are none. */
function newNumbers(body: Body): Expr[] {
  const { frame, wasm } = body;
  const { m } = wasm;
  const iterator = frame.temp(wasm.i32);
  const start = frame.temp(wasm.i32);
  const end = frame.temp(wasm.i32);
  const wide = (value: Expr): Expr => m.i64.extend_s(value);
  const isTooLong = m.i64.gt_s(
    m.i64.sub(wide(end.get()), wide(start.get())),
    m.i64.const(BigInt(LIMITS.loopIterations)),
  );
  const fail = (errno: number): Expr =>
    m.block(null, [m.i64.store(0, 4, iterator.get(), m.i64.const(0n)), frame.setReg(0, m.i64.const(BigInt(-errno)))]);
  const begin = m.block(null, [
    m.i32.store(CURRENT, 4, iterator.get(), m.i32.sub(start.get(), m.i32.const(1))),
    m.i32.store(END, 4, iterator.get(), end.get()),
    frame.setReg(0, m.i64.const(0n)),
  ]);
  return [
    iterator.set(pointerIn(body, 1)),
    start.set(frame.reg32(2)),
    end.set(frame.reg32(3)),
    m.if(m.i32.gt_s(start.get(), end.get()), fail(ERRNO.EINVAL), m.if(isTooLong, fail(ERRNO.E2BIG), begin)),
  ];
}

/** (iterator) → address of the next number, which is in the iterator, or 0 */
function nextNumber(body: Body): Expr[] {
  const { frame, wasm } = body;
  const { m } = wasm;
  const iterator = frame.temp(wasm.i32);
  const next = frame.temp(wasm.i32);
  const step = m.block(null, [
    m.i32.store(CURRENT, 4, iterator.get(), next.get()),
    frame.setReg(0, tagged(body, iterator.get())),
  ]);
  const finish = m.block(null, [m.i64.store(0, 4, iterator.get(), m.i64.const(0n)), frame.setReg(0, m.i64.const(0n))]);
  return [
    iterator.set(pointerIn(body, 1)),
    next.set(m.i32.add(m.i32.load(CURRENT, 4, iterator.get()), m.i32.const(1))),
    m.if(m.i32.lt_s(next.get(), m.i32.load(END, 4, iterator.get())), step, finish),
  ];
}
