/**
 * Unverified programs (exec --no-verify): every access is checked against the stack and the given memory, backward jumps
 * and calls spend a budget, the stack of calls is bounded. What is wrong calls `host.fault`, which does not return.
 */
import { CPU, FAULT, IMPORT } from "../../spec/index.ts";
import { LIMITS } from "../../spec/limits.ts";
import type { UncheckedProgram } from "../program.ts";
import type { Guards } from "./body.ts";
import type { Expr } from "./emit.ts";
import { TAG_BITS } from "./pointer.ts";
import type { Unit } from "./unit.ts";

/** Backward jumps and calls of one run: some hundred milliseconds of them. */
const BUDGET = 100_000_000;

/** Every function of an unchecked program has a whole stack of its own. */
export const UNCHECKED_STACK_BYTES = LIMITS.stackBytes;

/** The checks of one program; its guard functions and globals are added to the module. */
export class RunTimeGuards implements Guards {
  readonly #unit: Unit;
  readonly #name: string;
  /** frame pointer of main: stack ends here */
  readonly #top: string;
  readonly #budget: string;
  readonly #memory: string;

  constructor(unit: Unit, program: UncheckedProgram) {
    const { m, i32 } = unit.wasm;
    this.#unit = unit;
    this.#name = `guard:${program.name}`;
    this.#top = `stack-top:${program.name}`;
    this.#budget = `budget:${program.name}`;
    this.#memory = `memory:${program.name}`;
    for (const name of [this.#top, this.#budget, this.#memory]) m.addGlobal(name, i32, true, m.i32.const(0));
    this.#addGuard(program.memoryBytes);
    this.#addSpend();
  }

  access(address: Expr, bytes: number, frame: { base(): Expr }, insnIndex: number): Expr {
    const { m, i32 } = this.#unit.wasm;
    return m.call(this.#name, [address, m.i32.const(bytes), frame.base(), m.i32.const(insnIndex)], i32);
  }

  spend(insnIndex: number): Expr {
    const { m, none } = this.#unit.wasm;
    return m.call(`${this.#name}:spend`, [m.i32.const(insnIndex)], none);
  }

  /** At main's start: `ctx` is the address of the memory, `top` the frame pointer. */
  begin(ctx: Expr, top: Expr): Expr[] {
    const { m } = this.#unit.wasm;
    return [
      m.global.set(this.#memory, ctx),
      m.global.set(this.#top, top),
      m.global.set(this.#budget, m.i32.const(BUDGET)),
    ];
  }

  /** Before a function takes a frame: faults when the CPU's stack has no room for it. The frame is cleared. */
  enter(base: () => Expr, insnIndex: number): Expr[] {
    const { m } = this.#unit.wasm;
    const floor = m.i32.load(CPU.stackFloor, 4, this.#unit.cpu());
    return [
      m.if(m.i32.lt_u(base(), floor), this.#fault(FAULT.memory, m.i32.const(insnIndex))),
      m.memory.fill(base(), m.i32.const(0), m.i32.const(UNCHECKED_STACK_BYTES)),
    ];
  }

  #fault(code: number, insnIndex: Expr): Expr {
    const { m, i32, none } = this.#unit.wasm;
    const call = this.#unit.hostCall(IMPORT.host, IMPORT.fault, [i32, i32], [m.i32.const(code), insnIndex], none);
    return m.block(null, [call, m.unreachable()]);
  }

  /** (address i64, bytes, lowest stack address, insnIndex) → i32 address. An untagged address is outside of both regions. */
  #addGuard(memoryBytes: number): void {
    const { wasm } = this.#unit;
    const { m, i32, i64 } = wasm;
    const get = (index: number): Expr => m.local.get(index, index === 0 ? i64 : i32);
    const distance = (base: Expr): Expr => m.i64.sub(get(0), m.i64.or(m.i64.extend_u(base), m.i64.const(TAG_BITS)));
    const isWithin = (base: Expr, size: Expr): Expr =>
      m.i64.le_u(distance(base), m.i64.extend_u(m.i32.sub(size, get(1))));
    const found = (): Expr => m.return(m.i32.wrap(get(0)));
    const stackBytes = m.i32.sub(m.global.get(this.#top, i32), get(2));
    const checks = [m.if(isWithin(get(2), stackBytes), found())];
    if (memoryBytes > 0) {
      const inside = isWithin(m.global.get(this.#memory, i32), m.i32.const(memoryBytes));
      const fits = m.i32.ge_u(m.i32.const(memoryBytes), get(1));
      checks.push(m.if(m.i32.and(fits, inside), found()));
    }
    checks.push(this.#fault(FAULT.memory, get(3)));
    m.addFunction(this.#name, wasm.params([i64, i32, i32, i32]), i32, [], m.block(null, checks));
  }

  #addSpend(): void {
    const { wasm } = this.#unit;
    const { m, i32, none } = wasm;
    const budget = (): Expr => m.global.get(this.#budget, i32);
    m.addFunction(
      `${this.#name}:spend`,
      wasm.params([i32]),
      none,
      [],
      m.block(null, [
        m.global.set(this.#budget, m.i32.sub(budget(), m.i32.const(1))),
        m.if(m.i32.eqz(budget()), this.#fault(FAULT.budget, m.local.get(0, i32))),
      ]),
    );
  }
}
