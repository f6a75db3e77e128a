/**
 * A function's locals: BPF registers as i64, the stack frame's lowest address as i32, temporaries. Registers of main other
 * than r1 (and r2 of a raw program) start as zero; a subprogram takes r1 … r5 as parameters.
 */
import { FRAME_POINTER, REGISTERS } from "../../spec/isa.ts";
import type { Expr, ValueType, Wasm } from "./emit.ts";
import { TAG_BITS } from "./pointer.ts";

export type FunctionRole = "main" | "subprogram";

/** Parameters of a subprogram: r1 … r5. */
const PARAMETERS = 5;

export class Frame {
  readonly role: FunctionRole;
  /** bytes below the frame pointer; 0: the function has no stack of its own */
  readonly stackBytes: number;
  readonly #wasm: Wasm;
  readonly #vars: ValueType[] = [];
  readonly #params: readonly ValueType[];
  readonly #registers: number[] = [];
  readonly #base: number;
  readonly #selectors: Temp[] = [];
  readonly #spare = new Map<ValueType, number[]>();
  readonly #taken = new Map<ValueType, number>();

  constructor(wasm: Wasm, role: FunctionRole, stackBytes: number) {
    this.#wasm = wasm;
    this.role = role;
    this.stackBytes = stackBytes;
    this.#params = role === "main" ? [wasm.i32] : new Array<ValueType>(PARAMETERS).fill(wasm.i64);
    for (let register = 0; register < REGISTERS; register++) {
      const isParameter = role === "subprogram" && register >= 1 && register <= PARAMETERS;
      this.#registers.push(isParameter ? register - 1 : this.#add(wasm.i64));
    }
    this.#base = this.#add(wasm.i32);
  }

  get params(): readonly ValueType[] {
    return this.#params;
  }
  get vars(): readonly ValueType[] {
    return this.#vars;
  }

  reg(register: number): Expr {
    return this.#wasm.m.local.get(this.#registers[register]!, this.#wasm.i64);
  }
  setReg(register: number, value: Expr): Expr {
    return this.#wasm.m.local.set(this.#registers[register]!, value);
  }
  /** The low half of a register. */
  reg32(register: number): Expr {
    return this.#wasm.m.i32.wrap(this.reg(register));
  }
  /** Sets a register from an i32, upper half zero. */
  setReg32(register: number, value: Expr): Expr {
    return this.setReg(register, this.#wasm.m.i64.extend_u(value));
  }

  /** Main's parameter: address of the ctx. */
  ctx(): Expr {
    return this.#wasm.m.local.get(0, this.#wasm.i32);
  }

  /** Lowest address of the frame; the frame pointer is `stackBytes` above. Set by the prologue. */
  base(): Expr {
    return this.#wasm.m.local.get(this.#base, this.#wasm.i32);
  }
  setBase(value: Expr): Expr {
    return this.#wasm.m.local.set(this.#base, value);
  }
  /** r10 as the program sees it, from the frame's base. */
  framePointer(): Expr {
    const { m } = this.#wasm;
    const top = m.i32.add(this.base(), m.i32.const(this.stackBytes));
    return m.i64.or(m.i64.extend_u(top), m.i64.const(TAG_BITS));
  }
  initFramePointer(): Expr {
    return this.setReg(FRAME_POINTER, this.framePointer());
  }

  /** Which target a dispatch block goes to. */
  select(variable: number): Expr {
    return this.#selector(variable).get();
  }
  setSelect(variable: number, value: number): Expr {
    return this.#selector(variable).set(this.#wasm.m.i32.const(value));
  }
  #selector(variable: number): Temp {
    this.#selectors[variable] ??= this.local(this.#wasm.i32);
    return this.#selectors[variable];
  }

  /** A local for the length of one instruction. */
  temp(type: ValueType): Temp {
    const pool = this.#spare.get(type) ?? [];
    this.#spare.set(type, pool);
    const used = this.#taken.get(type) ?? 0;
    if (used === pool.length) pool.push(this.#add(type));
    this.#taken.set(type, used + 1);
    return this.#handle(pool[used]!, type);
  }
  /** All temporaries may be used again. */
  freeTemps(): void {
    this.#taken.clear();
  }
  /** A local of its own for the whole function. */
  local(type: ValueType): Temp {
    return this.#handle(this.#add(type), type);
  }

  #handle(index: number, type: ValueType): Temp {
    const { m } = this.#wasm;
    return {
      get: () => m.local.get(index, type),
      set: (value) => m.local.set(index, value),
      tee: (value) => m.local.tee(index, value, type),
    };
  }

  #add(type: ValueType): number {
    this.#vars.push(type);
    return this.#params.length + this.#vars.length - 1;
  }
}

export interface Temp {
  get(): Expr;
  set(value: Expr): Expr;
  tee(value: Expr): Expr;
}
