/**
 * Statements that call functions of the kernel: loops over numbers, sections, references to tasks, CPU masks, exceptions.
 * What is open on the way is closed where the function is left, but for a mistake now and then.
 */
import type { Btf } from "../../compiler/object/btf/btf.ts";
import { CLASS, JMP, MODE, PSEUDO_CALL, SIZE } from "../../spec/isa.ts";
import type { ProgramTypeName } from "../../spec/program-types.ts";
import { programOf, type RandomProgram, type WeightedStatement } from "./generate.ts";
import { leave } from "./memories.ts";
import { NOTHING, SCALAR, type Writer } from "./writer.ts";

const TYPES: readonly ProgramTypeName[] = ["tracepoint", "sched_cls", "xdp"];
/** Below what other statements use of the stack. */
const FIRST_OBJECT = -104;
const MOST_OPEN = 4;

export function kernelProgram(seed: number, btf: Btf): RandomProgram {
  const { program, ...rest } = programOf(seed, statements(btf), TYPES);
  return { ...rest, program: { ...program, targetBtf: btf } };
}

function statements(btf: Btf): WeightedStatement[] {
  const call = (w: Writer, name: string, returns: boolean): void => {
    w.emit(CLASS.JMP | JMP.CALL, 0, PSEUDO_CALL.KFUNC, 0, btf.findByName(name, "func")!);
    w.clobber(returns ? SCALAR : NOTHING);
  };
  /** Writes `inside` with something open that `close` ends. */
  const within = (w: Writer, close: () => void, inside: () => void): void => {
    w.open.push(close);
    inside();
    w.open.pop();
    if (!w.errs()) close();
  };
  const objectOffset = (w: Writer): number => (w.errs() ? -8 : FIRST_OBJECT - 8 * w.open.length);
  const isFull = (w: Writer): boolean => w.open.length >= MOST_OPEN;

  const numbers = (w: Writer, block: () => void): void => {
    if (isFull(w) || w.loopDepth >= 2) return;
    const offset = objectOffset(w);
    const at = (name: string): void => {
      w.stackPointer(1, offset);
      call(w, name, name.endsWith("next"));
    };
    w.stackPointer(1, offset);
    w.moveImm(2, w.random.between(-2, 4));
    w.moveImm(3, w.random.between(0, 10));
    call(w, "bpf_iter_num_new", true);
    const before = w.snapshot();
    const again = w.label();
    const out = w.label();
    within(
      w,
      () => at("bpf_iter_num_destroy"),
      () => {
        w.place(again);
        at("bpf_iter_num_next");
        if (!w.errs()) w.jumpIf(CLASS.JMP | JMP.JEQ, 0, { imm: 0 }, out);
        const element = w.random.between(7, 9);
        if (w.random.oneIn(2)) {
          w.emit(CLASS.LDX | MODE.MEM | SIZE.W, element, 0, 0);
          w.registers[element] = SCALAR;
        }
        w.registers[0] = NOTHING;
        w.loopDepth++;
        block();
        w.loopDepth--;
        if (w.random.oneIn(4)) w.jumpIf(CLASS.JMP | JMP.JGT, scalarIn(w), { imm: w.random.below(50) }, out);
        w.jump(again);
        w.place(out);
        w.meet(before);
        w.registers[0] = NOTHING;
      },
    );
  };

  const section = (enter: string, exit: string) => (w: Writer, block: () => void) => {
    if (isFull(w)) return;
    call(w, enter, false);
    within(w, () => call(w, exit, false), block);
  };

  const interrupts = (w: Writer, block: () => void): void => {
    if (isFull(w)) return;
    const offset = objectOffset(w);
    w.stackPointer(1, offset);
    call(w, "bpf_local_irq_save", false);
    const restore = (): void => {
      w.stackPointer(1, offset);
      call(w, "bpf_local_irq_restore", false);
    };
    within(w, restore, block);
  };

  /** A reference in a register that nothing else writes to while it is held. */
  const task = (w: Writer, block: () => void): void => {
    const free = [7, 8, 9].filter((register) => w.registers[register]!.is === "nothing");
    if (isFull(w) || free.length === 0) return;
    const register = w.random.pick(free);
    w.moveImm(1, w.random.below(100));
    call(w, w.random.pick(["bpf_task_from_pid", "bpf_task_from_vpid"]), false);
    w.move(register, 0);
    w.registers[register] = { is: "ctx" };
    const release = (): void => {
      w.move(1, register);
      call(w, "bpf_task_release", false);
    };
    const none = w.label();
    if (!w.errs()) w.jumpIf(CLASS.JMP | JMP.JEQ, register, { imm: 0 }, none);
    const before = w.snapshot();
    within(w, release, () => {
      if (w.random.oneIn(3)) w.emit(CLASS.LDX | MODE.MEM | SIZE.W, 0, register, 4 * w.random.below(40));
      w.registers[0] = NOTHING;
      block();
    });
    w.place(none);
    w.meet(before);
    for (let r = 0; r <= 5; r++) w.registers[r] = NOTHING;
    w.registers[register] = NOTHING;
  };

  const exception = (w: Writer): void => {
    const on = w.label();
    w.jumpIf(CLASS.JMP | JMP.JNE, scalarIn(w), { imm: w.random.below(9) }, on);
    const before = w.snapshot();
    for (const close of w.open.toReversed()) if (!w.errs()) close();
    w.moveImm(1, w.random.below(3));
    call(w, "bpf_throw", false);
    leave(w);
    w.restore(before);
    w.place(on);
  };

  return [
    ["numbers", 6, numbers],
    ["section", 2, section("bpf_rcu_read_lock", "bpf_rcu_read_unlock")],
    ["section", 2, section("bpf_preempt_disable", "bpf_preempt_enable")],
    ["section", 2, interrupts],
    ["task", 3, task],
    ["exception", 1, exception],
  ];
}

/** A register with a number in it. */
function scalarIn(w: Writer): number {
  const held = w.holding("scalar");
  if (held.length > 0) return w.random.pick(held);
  w.moveImm(0, w.random.below(100));
  return 0;
}
