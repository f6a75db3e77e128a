/** The registers and stack slots, frame by frame, whose values must be known precisely. Kernel: struct backtrack_state. */
import { LIMITS } from "../../spec/limits.ts";

export class Demand {
  /** the frame that backtracking is in */
  frame: number;
  readonly #registers = new Int32Array(LIMITS.callFrames);
  /** slots 0 … 31 and 32 … 63 of each frame */
  readonly #slots = new Int32Array(2 * LIMITS.callFrames);

  constructor(frame: number) {
    this.frame = frame;
  }

  get isEmpty(): boolean {
    for (let f = 0; f <= this.frame; f++) {
      if (this.#registers[f] || this.#slots[2 * f] || this.#slots[2 * f + 1]) return false;
    }
    return true;
  }
  clear(): void {
    this.#registers.fill(0);
    this.#slots.fill(0);
  }

  hasRegister(register: number, frame = this.frame): boolean {
    return (this.#registers[frame]! & (1 << register)) !== 0;
  }
  setRegister(register: number, frame = this.frame): void {
    this.#registers[frame]! |= 1 << register;
  }
  clearRegister(register: number, frame = this.frame): void {
    this.#registers[frame]! &= ~(1 << register);
  }
  registerMask(frame = this.frame): number {
    return this.#registers[frame]!;
  }
  registers(frame: number): number[] {
    return bits(this.#registers[frame]!, 0);
  }

  hasSlot(slot: number, frame: number): boolean {
    return (this.#slots[2 * frame + (slot >> 5)]! & (1 << (slot & 31))) !== 0;
  }
  setSlot(slot: number, frame: number): void {
    this.#slots[2 * frame + (slot >> 5)]! |= 1 << (slot & 31);
  }
  clearSlot(slot: number, frame: number): void {
    this.#slots[2 * frame + (slot >> 5)]! &= ~(1 << (slot & 31));
  }
  slots(frame: number): number[] {
    return [...bits(this.#slots[2 * frame]!, 0), ...bits(this.#slots[2 * frame + 1]!, 32)];
  }
  hasSlots(frame = this.frame): boolean {
    return this.#slots[2 * frame] !== 0 || this.#slots[2 * frame + 1] !== 0;
  }
  /** Bit by slot. */
  slotMask(frame = this.frame): bigint {
    const [low, high] = [this.#slots[2 * frame]! >>> 0, this.#slots[2 * frame + 1]! >>> 0];
    return (BigInt(high) << 32n) | BigInt(low);
  }
}

/** As the log shows it: `regs=r1,r2 stack=-8,-16`. */
export function demandText(demand: Demand, frame: number): string {
  const registers = demand.registers(frame).map((r) => `r${r}`);
  const slots = demand.slots(frame).map((s) => -(s + 1) * 8);
  return `regs=${registers.join(",")} stack=${slots.join(",")}`;
}

function bits(mask: number, from: number): number[] {
  const found: number[] = [];
  for (let rest = mask; rest !== 0; rest &= rest - 1) found.push(from + 31 - Math.clz32(rest & -rest));
  return found;
}
