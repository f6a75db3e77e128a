/**
 * Code that says where it is: a module compiled with `profile` writes the number of each place that it comes to into its
 * worker's block, where another thread reads it now and then (runtime/profile/). A place is a line of C, or a call on it.
 * Nothing is written where it is known that the number is there already.
 */
import { calleeOf, PROFILE_FRAMES, WORKER } from "../../spec/index.ts";
import { ALU, CLASS, JMP, PSEUDO_CALL } from "../../spec/isa.ts";
import { insnClass } from "../asm/instruction.ts";
import { type Program, type ProgramFacts, sourceLineAt } from "../program.ts";
import type { CallProfile } from "./body.ts";
import type { Block, FunctionRange } from "./cfg.ts";
import type { Expr } from "./emit.ts";
import type { Frame, FunctionRole, Temp } from "./frame.ts";
import { kernelFunctionOf } from "./kernel-functions.ts";
import type { PlaceTable } from "./places.ts";
import type { Unit } from "./unit.ts";

/** Address of a word in the null guard. */
const ALWAYS_ZERO = 64;

export interface FunctionProfileInput {
  readonly program: Program;
  readonly facts: ProgramFacts | null;
  readonly range: FunctionRange;
  readonly role: FunctionRole;
}

/** What one function writes. */
export class FunctionProfile implements CallProfile {
  readonly #unit: Unit;
  readonly #frame: Frame;
  readonly #input: FunctionProfileInput;
  readonly #places: PlaceTable;
  readonly #function: number;
  /** calls under way when this function makes one */
  #depth: Temp | null = null;
  /** first instruction of the basic block under way */
  #block = 0;
  /** number that is written already, null: not known */
  #current: number | null = null;
  /** registers computed since a number was written */
  readonly #computed = new Set<number>();

  constructor(unit: Unit, frame: Frame, places: PlaceTable, input: FunctionProfileInput) {
    this.#unit = unit;
    this.#frame = frame;
    this.#input = input;
    this.#places = places;
    this.#function = places.function(input.program, input.range.first);
  }

  /** The program is entered: counts it. */
  enter(): Expr[] {
    if (this.#input.role !== "main") return [];
    const { i64 } = this.#unit.wasm.m;
    const count = 8 * this.#function;
    const entered = i64.load(count, 8, this.#unit.profileGlobal("entries"));
    return [i64.store(count, 8, this.#unit.profileGlobal("entries"), i64.add(entered, i64.const(1n)))];
  }

  /** Whoever called a program's main function says itself where it is. */
  leave(): Expr[] {
    return this.#input.role === "main" ? [this.#store(this.#unit.wasm.m.i32.const(0))] : [];
  }

  /** What follows is this block, and what came before it one of these. */
  startBlock(block: Block, predecessors: readonly Block[]): void {
    this.#block = block.first;
    const ends = new Set(predecessors.map((before) => this.#endOf(before)));
    const [end = null] = ends;
    this.#current = ends.size === 1 ? end : null;
    this.#computed.clear();
    for (const before of predecessors) this.#computeTail(before);
  }

  /** Before the code of an instruction. */
  step(insnIndex: number): Expr[] {
    const place = this.#placeAt(insnIndex, this.#block);
    const code = place === this.#current ? [] : [this.#go(place)];
    this.#current = place;
    this.#compute(insnIndex);
    return code;
  }

  calling(insnIndex: number, code: readonly Expr[]): Expr[] {
    const unit = this.#unit;
    const { wasm } = unit;
    const { i32 } = wasm.m;
    this.#depth ??= this.#frame.local(wasm.i32);
    const depth = this.#depth;
    const slot = i32.shl(i32.and(depth.get(), i32.const(PROFILE_FRAMES - 1)), i32.const(2));
    const place = this.#placeAt(insnIndex, this.#block);
    return [
      depth.set(i32.load(WORKER.depth, 4, unit.worker())),
      i32.store(WORKER.frames, 4, i32.add(unit.worker(), slot), this.#number(place)),
      i32.store(WORKER.depth, 4, unit.worker(), i32.add(depth.get(), i32.const(1))),
      ...code,
      this.#go(place),
      i32.store(WORKER.depth, 4, unit.worker(), depth.get()),
    ];
  }

  returned(insnIndex: number): Expr {
    return this.#go(this.#placeAt(insnIndex, this.#block));
  }

  #go(place: number): Expr {
    return this.#write(this.#number(place));
  }

  /**
   * The engine keeps stores in order and moves arithmetic as it likes within what no jump divides. So the number is stored with
   * what was computed at the place before, which then has to be done, and a jump that is never taken keeps back what comes.
   */
  #write(number: Expr): Expr {
    const { m } = this.#unit.wasm;
    const isNever = m.i32.load(ALWAYS_ZERO, 4, m.i32.const(0));
    return m.block(null, [this.#store(number), m.if(isNever, m.unreachable())]);
  }

  #store(number: Expr): Expr {
    const { i32, i64 } = this.#unit.wasm.m;
    const [first, ...others] = [...this.#computed].map((register) => this.#frame.reg(register));
    this.#computed.clear();
    if (first === undefined) return i32.store(WORKER.place, 4, this.#unit.worker(), number);
    const all = others.reduce((sum, value) => i64.xor(sum, value), first);
    const word = i64.or(i64.shl(all, i64.const(32n)), i64.extend_u(number));
    return i64.store(WORKER.place, 8, this.#unit.worker(), word);
  }

  /** Notes a register that arithmetic sets; a copy or a constant takes no time. */
  #compute(insnIndex: number): void {
    const insn = this.#input.program.insns[insnIndex]!;
    const kind = insnClass(insn);
    if (kind !== CLASS.ALU && kind !== CLASS.ALU64) return;
    if ((insn.opcode & 0xf0) !== ALU.MOV) this.#computed.add(insn.dst);
  }

  /** The same for all that a block does at its last place. */
  #computeTail(block: Block): void {
    const end = this.#endOf(block);
    for (let index = block.end - 1; index >= block.first && this.#placeAt(index, block.first) === end; index--)
      this.#compute(index);
  }

  #number(place: number): Expr {
    const { i32 } = this.#unit.wasm.m;
    return i32.add(this.#unit.profileGlobal("places"), i32.const(place));
  }

  /** The place at the end of a block's code, null: it has none. */
  #endOf({ first, end, arm, exit }: Block): number | null {
    if (exit.kind === "branch") return this.#placeAt(exit.insnIndex, first);
    if (arm !== undefined) return this.#placeAt(arm.branch, first);
    if (end === first) return null;
    const isWide = end - 2 >= first && this.#input.program.insns[end - 1]!.opcode === 0;
    return this.#placeAt(isWide ? end - 2 : end - 1, first);
  }

  #placeAt(insnIndex: number, block: number): number {
    const { program, facts } = this.#input;
    const line = sourceLineAt(program, insnIndex);
    const calls = new Set<number>();
    const insn = program.insns[insnIndex]!;
    const isCall = insn.opcode === (CLASS.JMP | JMP.CALL);
    const isSubprogram = isCall && insn.src === PSEUDO_CALL.SUBPROG;
    if (isSubprogram) calls.add(this.#places.function(program, insnIndex + 1 + insn.imm));
    for (const callback of facts?.insns[insnIndex]?.callbacks ?? [])
      calls.add(this.#places.function(program, callback));
    const helper = isCall && !isSubprogram ? helperName(program, insnIndex) : null;
    const place = { function: this.#function, insnIndex: line === null ? block : insnIndex, helper, calls: [...calls] };
    return this.#places.place(place, line);
  }
}

function helperName(program: Program, insnIndex: number): string {
  const insn = program.insns[insnIndex]!;
  return calleeOf(insn)?.name ?? kernelFunctionOf(program, insn)?.name ?? `helper #${insn.imm}`;
}
