/** One function of a program → a Wasm function: prologue, blocks in structured order, the statements of each. */
import { BugError } from "../../base/errors.ts";
import { CLASS, FRAME_POINTER, JMP, MODE } from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import { type Insn, insnClass, isWideImmediate } from "../asm/instruction.ts";
import type { Program, ProgramFacts } from "../program.ts";
import { lowerAlu } from "./alu.ts";
import { type Arm, takeInArms } from "./arms.ts";
import { lowerAtomic } from "./atomics.ts";
import type { Body } from "./body.ts";
import { lowerCondition } from "./branch.ts";
import { lowerCall, mayUseStack } from "./calls.ts";
import { type Block, buildCfg, type Cfg, type FunctionRange, jumpTarget } from "./cfg.ts";
import type { Expr } from "./emit.ts";
import { Frame, type FunctionRole, type Temp } from "./frame.ts";
import { lowerWideImmediate } from "./immediate.ts";
import { inCommon, Knowledge, type KnownValues, NOTHING_KNOWN } from "./known.ts";
import { lowerLoad, lowerStore } from "./memory.ts";
import { lowerPacketLoad } from "./packet.ts";
import { TAG_BITS } from "./pointer.ts";
import { FunctionProfile } from "./profile.ts";
import { sequence, wrap } from "./sequence.ts";
import { NO_SLOTS, planSlots } from "./slots.ts";
import { structure } from "./structure.ts";
import type { RunTimeGuards } from "./unchecked.ts";
import type { Unit } from "./unit.ts";

export interface FunctionInput {
  readonly program: Program;
  readonly facts: ProgramFacts | null;
  readonly range: FunctionRange;
  readonly role: FunctionRole;
  readonly stackBytes: number;
  readonly guards: RunTimeGuards | null;
  /** its name in the module */
  readonly name: string;
}

/** Locals for helpers' results; V8 takes 50,000 locals in all, and compiles many of them slowly. */
const POINTER_LOCALS = 200;

export function lowerFunction(unit: Unit, input: FunctionInput): void {
  const lowering = new FunctionLowering(unit, input);
  const { wasm } = unit;
  const { frame } = lowering;
  const body = lowering.run();
  wasm.m.addFunction(input.name, wasm.params(frame.params), wasm.i64, [...frame.vars], body);
}

class FunctionLowering {
  readonly frame: Frame;
  readonly #input: FunctionInput;
  readonly #body: Body;
  readonly #cfg: Cfg;
  readonly #usesStack: boolean;
  readonly #storesStackPointer: boolean;
  /** by block: what is known at its end */
  readonly #knownBehind: KnownValues[] = [];
  #pointerLocals = 0;
  /** whether an arm's jump is taken; what its registers held before */
  #armLocals: { readonly taken: Temp; readonly before: readonly Temp[] } | null = null;
  /** iterations that may_goto still allows; null: none is in the function */
  readonly #mayGoto: Temp | null;
  readonly #profile: FunctionProfile | null;

  constructor(unit: Unit, input: FunctionInput) {
    const { wasm } = unit;
    this.#input = input;
    const uses = scan(input.program, input.facts, input.range);
    this.#cfg = buildCfg(input.program, input.range, input.facts);
    this.frame = new Frame(wasm, input.role, input.stackBytes);
    const { program, facts } = input;
    const slots = facts === null ? NO_SLOTS : planSlots(wasm, this.frame, program, this.#cfg, facts);
    this.#usesStack = slots.usesMemory && (input.stackBytes > 0 || uses.framePointer);
    this.#storesStackPointer = this.#usesStack && uses.calls;
    this.#mayGoto = uses.mayGoto ? this.frame.local(wasm.i32) : null;
    this.#profile = unit.profile === null ? null : new FunctionProfile(unit, this.frame, unit.profile, input);
    this.#body = {
      unit,
      wasm,
      program: input.program,
      facts: input.facts,
      frame: this.frame,
      guards: input.guards,
      profile: this.#profile,
      known: new Knowledge(),
      slots,
      pointerLocal: () => this.#pointerLocal(),
      leave: () => this.#leave(),
    };
  }

  run(): Expr {
    const { m } = this.#body.wasm;
    const { program, guards } = this.#input;
    const { cfg, ops } = structure(guards === null ? takeInArms(program, this.#cfg) : this.#cfg);
    const code = wrap(m, ops, {
      none: this.#body.wasm.none,
      exit: () => sequence(m, [...this.#leave(), m.return(this.frame.reg(0))]),
      statements: (block) => {
        this.#body.known.restore(this.#knownBefore(cfg, block));
        this.#profile?.startBlock(
          cfg.blocks[block]!,
          cfg.predecessors[block]!.map((from) => cfg.blocks[from]!),
        );
        const statements = this.#statements(cfg.blocks[block]!);
        this.#knownBehind[block] = this.#body.known.save();
        return statements;
      },
      condition: (block) => {
        this.#body.known.restore(this.#knownBehind[block] ?? NOTHING_KNOWN);
        const { exit } = cfg.blocks[block]!;
        if (exit.kind !== "branch") throw new BugError("a block without a branch has no condition");
        return this.#condition(exit.insnIndex);
      },
      select: (variable) => this.frame.select(variable),
    });
    return sequence(m, [...this.#prologue(), ...code, m.unreachable()]);
  }

  /** The code of a block's predecessors comes before it, but for those that jump back. */
  #knownBefore(cfg: Cfg, block: number): KnownValues {
    if (this.#input.guards !== null) return NOTHING_KNOWN;
    const predecessors = cfg.predecessors[block]!;
    if (predecessors.length > 0)
      return block === 0 ? NOTHING_KNOWN : inCommon(predecessors.map((from) => this.#knownBehind[from]));
    const { role, program } = this.#input;
    const hasCtx = role === "main" && !(program.type === "raw" && program.memoryBytes === 0);
    return hasCtx ? new Map([[1, { base: { kind: "ctx" }, offsetBytes: 0 }]]) : NOTHING_KNOWN;
  }

  #pointerLocal(): Temp | null {
    if (this.#pointerLocals >= POINTER_LOCALS) return null;
    this.#pointerLocals++;
    return this.frame.local(this.#body.wasm.i32);
  }

  #prologue(): Expr[] {
    const { frame } = this;
    const { unit, wasm, program } = this.#body;
    const { m } = wasm;
    const { guards, role, stackBytes, range } = this.#input;
    const code: Expr[] = [];
    if (this.#usesStack) {
      const top = unit.stackPointer();
      code.push(frame.setBase(stackBytes === 0 ? top : m.i32.sub(top, m.i32.const(stackBytes))));
      code.push(frame.initFramePointer());
    }
    if (guards !== null) {
      if (role === "main") code.push(...guards.begin(frame.ctx(), m.i32.add(frame.base(), m.i32.const(stackBytes))));
      code.push(...guards.enter(() => frame.base(), range.first));
    }
    if (this.#storesStackPointer) code.push(unit.setStackPointer(frame.base()));
    if (role === "main") code.push(...this.#arguments(program));
    if (this.#mayGoto !== null) code.push(this.#mayGoto.set(m.i32.const(LIMITS.loopIterations)));
    code.push(...(this.#profile?.enter() ?? []));
    return code;
  }

  /** r1 points to the ctx; of a raw program to its memory, whose length is r2 (both 0 without any). */
  #arguments(program: Program): Expr[] {
    const { frame } = this;
    const { i64 } = this.#body.wasm.m;
    if (program.type === "raw" && program.memoryBytes === 0) return [];
    const code = [frame.setReg(1, i64.or(i64.extend_u(frame.ctx()), i64.const(TAG_BITS)))];
    if (program.type === "raw") code.push(frame.setReg(2, i64.const(BigInt(program.memoryBytes))));
    return code;
  }

  #leave(): Expr[] {
    const profiled = this.#profile?.leave() ?? [];
    if (!this.#storesStackPointer) return profiled;
    const { unit, wasm } = this.#body;
    const top = wasm.m.i32.add(this.frame.base(), wasm.m.i32.const(this.#input.stackBytes));
    return [unit.setStackPointer(top), ...profiled];
  }

  #condition(insnIndex: number): Expr {
    const insn = this.#input.program.insns[insnIndex]!;
    this.frame.freeTemps();
    if ((insn.opcode & 0xf0) !== JMP.JCOND || this.#mayGoto === null) return lowerCondition(this.#body, insn);
    const { i32 } = this.#body.wasm.m;
    return i32.lt_s(this.#mayGoto.tee(i32.sub(this.#mayGoto.get(), i32.const(1))), i32.const(0));
  }

  #statements(block: Block): Expr[] {
    const { insns } = this.#input.program;
    const { known } = this.#body;
    const code: Expr[] = [];
    for (let index = block.first; index < block.end; index++) {
      const insn = insns[index]!;
      this.frame.freeTemps();
      // No call takes r0; its result is told to `known` when it is set.
      if (insn.opcode === (CLASS.JMP | JMP.CALL)) known.set(0, null);
      code.push(...(this.#profile?.step(index) ?? []));
      code.push(...this.#instruction(insn, index));
      known.follow(this.#input.program, insn, index, this.#body.slots.at(index));
      if (isWideImmediate(insn)) index++;
    }
    if (this.#profile !== null) {
      const test = block.arm?.branch ?? (block.exit.kind === "branch" ? block.exit.insnIndex : null);
      if (test !== null) code.push(...this.#profile.step(test));
    }
    if (block.arm !== undefined) code.push(...this.#arm(block.arm));
    if (block.select !== null) code.push(this.frame.setSelect(block.select.variable, block.select.value));
    else if (block.exit.kind === "jump" || block.exit.kind === "branch") code.push(...this.#spend(block.end));
    return code;
  }

  /** Executes the instructions and keeps their results where the condition holds. */
  #arm({ branch, whenTaken, first, end }: Arm): Expr[] {
    const { frame } = this;
    const { known, program, wasm } = this.#body;
    const condition = this.#condition(branch);
    this.#armLocals ??= { taken: frame.local(wasm.i32), before: [frame.local(wasm.i64), frame.local(wasm.i64)] };
    const { taken, before } = this.#armLocals;
    const insns = program.insns.slice(first, end);
    const registers = [...new Set(insns.map(({ dst }) => dst))];
    const select = (register: number, old: Expr): Expr =>
      whenTaken
        ? wasm.m.select(taken.get(), frame.reg(register), old)
        : wasm.m.select(taken.get(), old, frame.reg(register));
    const code = [
      taken.set(condition),
      ...registers.map((register, index) => before[index]!.set(frame.reg(register))),
      ...insns.map((insn) => lowerAlu(wasm, frame, insn)),
      ...registers.map((register, index) => frame.setReg(register, select(register, before[index]!.get()))),
    ];
    for (const register of registers) known.set(register, null);
    return code;
  }

  /** An unchecked program pays for each jump backwards. */
  #spend(insnIndex: number): Expr[] {
    const { guards, program, range } = this.#input;
    if (guards === null || insnIndex >= range.end) return [];
    const target = jumpTarget(program, insnIndex);
    return target !== null && target <= insnIndex ? [guards.spend(insnIndex)] : [];
  }

  #instruction(insn: Insn, index: number): Expr[] {
    const body = this.#body;
    switch (insnClass(insn)) {
      case CLASS.ALU:
      case CLASS.ALU64:
        return [lowerAlu(body.wasm, this.frame, insn)];
      case CLASS.LD:
        return isWideImmediate(insn) ? [lowerWideImmediate(body, index)] : lowerPacketLoad(body, insn);
      case CLASS.LDX:
        return [lowerLoad(body, insn, index)];
      case CLASS.ST:
        return [lowerStore(body, insn, index)];
      case CLASS.STX:
        return (insn.opcode & 0xe0) === MODE.ATOMIC ? lowerAtomic(body, insn, index) : [lowerStore(body, insn, index)];
    }
    if (insn.opcode === (CLASS.JMP | JMP.CALL)) return lowerCall(body, insn, index);
    throw new BugError(`instruction ${index} has no lowering: opcode ${insn.opcode}`);
  }
}

/** What a function's reached instructions use. */
function scan(
  program: Program,
  facts: ProgramFacts | null,
  range: FunctionRange,
): { readonly framePointer: boolean; readonly calls: boolean; readonly mayGoto: boolean } {
  let framePointer = false;
  let calls = false;
  let mayGoto = false;
  for (let index = range.first; index < range.end; index++) {
    if (facts !== null && facts.insns[index] === null) continue;
    const insn = program.insns[index]!;
    if (insn.dst === FRAME_POINTER || insn.src === FRAME_POINTER) framePointer = true;
    if (insn.opcode === (CLASS.JMP | JMP.CALL) && mayUseStack(insn)) calls = true;
    if (insn.opcode === (CLASS.JMP | JMP.JCOND)) mayGoto = true;
    if (isWideImmediate(insn)) index++;
  }
  return { framePointer, calls, mayGoto };
}
