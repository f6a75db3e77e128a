/**
 * Which stack slots may still be read: learned from the reads and writes of the paths explored so far, which are all
 * there are for a state without open paths. Kept per function and chain of calls that leads to it, so that what a callee
 * reads of its callers' frames counts at the call. Kernel (6.18): kernel/bpf/liveness.c.
 */
import { CLASS, JMP, PSEUDO_CALL } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import type { Env } from "./env.ts";
import { successors } from "./liveness.ts";
import { type Frame, type State, slotIndexOf } from "./state.ts";

/** Bits of slots 0 … 31 and 32 … 63 of one frame, by instruction of a function: entry 2 i and 2 i + 1. */
interface Masks {
  readonly mayRead: Int32Array;
  /** written whole by every visit so far; only where `visited` */
  readonly mustWrite: Int32Array;
  readonly live: Int32Array;
}

class Instance {
  readonly start: number;
  readonly count: number;
  readonly visited: Uint8Array;
  /** by index of the frame whose slots they are about */
  readonly frames: (Masks | undefined)[] = [];
  stale = false;

  constructor(start: number, end: number) {
    this.start = start;
    this.count = end - start;
    this.visited = new Uint8Array(this.count);
  }

  masks(frame: number): Masks {
    const known = this.frames[frame];
    if (known) return known;
    const words = 2 * this.count;
    const fresh = {
      mayRead: new Int32Array(words),
      mustWrite: new Int32Array(words),
      live: new Int32Array(words),
    };
    this.frames[frame] = fresh;
    return fresh;
  }

  read(slot: number, frame: number, low: number, high: number): void {
    const { mayRead, live } = this.masks(frame);
    const at = 2 * (slot - this.start);
    mayRead[at]! |= low;
    mayRead[at + 1]! |= high;
    if (low & ~live[at]! || high & ~live[at + 1]!) this.stale = true;
  }

  isLive(slot: number, frame: number, stackSlot: number): boolean {
    const masks = this.frames[frame];
    if (!masks) return false;
    const at = 2 * (slot - this.start) + (stackSlot >> 5);
    return (masks.live[at]! & (1 << (stackSlot & 31))) !== 0;
  }
}

export class StackLiveness {
  readonly #env: Env;
  readonly #instances = new Map<string, Instance>();
  readonly #successors: (number[] | undefined)[] = [];
  /** of the instruction under way */
  #current: Instance | null = null;
  #slot = 0;
  /** slots that it wrote whole, by frame: two words each */
  readonly #written = new Int32Array(16);

  constructor(env: Env) {
    this.#env = env;
  }

  /** Before an instruction. What could write is noted even if it does not this time: another visit may have. */
  begin(slot: number): void {
    this.#current = null;
    this.#slot = slot;
    this.#written.fill(0);
    if (mayWrite(this.#env.insns[slot]!)) this.#instance();
  }

  /** The bytes [from, end) of `frame` may be read by the current instruction. */
  readRange(frame: Frame, from: number, end: number): void {
    let low = 0;
    let high = 0;
    for (let index = slotIndexOf(end - 1); index <= slotIndexOf(from); index++) {
      if (index < 32) low |= 1 << index;
      else high |= 1 << (index - 32);
    }
    this.#instance().read(this.#slot, frame.index, low, high);
  }

  /** The current instruction writes the whole slot, whatever the path. */
  written(frame: Frame, index: number): void {
    this.#instance();
    this.#written[2 * frame.index + (index >> 5)]! |= 1 << (index & 31);
  }

  /** After an instruction: a slot counts as written only where every visit writes it. */
  commit(): void {
    const instance = this.#current;
    if (instance === null) return;
    const at = this.#slot - instance.start;
    const first = instance.visited[at] === 0;
    instance.visited[at] = 1;
    for (let frame = 0; frame < 8; frame++) {
      const low = this.#written[2 * frame]!;
      const high = this.#written[2 * frame + 1]!;
      if (!instance.frames[frame] && low === 0 && high === 0) continue;
      const { mustWrite } = instance.masks(frame);
      if (narrow(mustWrite, 2 * at, low, first)) instance.stale = true;
      if (narrow(mustWrite, 2 * at + 1, high, first)) instance.stale = true;
    }
  }

  /** A path, or the function on top of the stack, ends: carries liveness back through the functions of the chain. */
  update(state: State): void {
    for (let f = state.frames.length - 1; f >= 0; f--) {
      const instance = this.#instances.get(this.#key(state, f));
      if (!instance?.stale) continue;
      this.#spread(instance);
      if (f > 0) this.#passToCaller(state, f, instance);
    }
  }

  /** Whether slot `stackSlot` of frame `frame` may be read by what follows `state`. */
  isLive(state: State, frame: number, stackSlot: number): boolean {
    const top = state.frames.length - 1;
    const current = this.#instances.get(this.#key(state, top));
    if (current?.isLive(state.insnIndex, frame, stackSlot)) return true;
    for (let f = frame; f < top; f++) {
      const { callSite } = state.frames[f + 1]!;
      // A callback comes back to its call.
      const next = this.#env.notes.callsCallback[callSite] ? callSite : callSite + 1;
      if (this.#instances.get(this.#key(state, f))?.isLive(next, frame, stackSlot)) return true;
    }
    return false;
  }

  #instance(): Instance {
    if (this.#current) return this.#current;
    const { state } = this.#env;
    const top = state.frames.length - 1;
    const key = this.#key(state, top);
    let instance = this.#instances.get(key);
    if (!instance) {
      const { start, end } = this.#env.subprograms[state.frames[top]!.subprogram]!;
      instance = new Instance(start, end);
      this.#instances.set(key, instance);
    }
    this.#current = instance;
    return instance;
  }

  #key(state: State, frame: number): string {
    if (frame === 0) return `${state.frames[0]!.subprogram}`;
    let key = `${state.frames[0]!.subprogram}`;
    for (let f = 1; f <= frame; f++) key += `,${state.frames[f]!.callSite}:${state.frames[f]!.subprogram}`;
    return key;
  }

  /** Backwards until nothing changes. Liveness only grows, but where a write turned out not to be on every visit. */
  #spread(instance: Instance): void {
    instance.stale = false;
    for (const masks of instance.frames) {
      if (!masks) continue;
      for (let changed = true; changed; ) {
        changed = false;
        for (let i = instance.count - 1; i >= 0; i--) {
          if (this.#transfer(instance, masks, i, 0)) changed = true;
          if (this.#transfer(instance, masks, i, 1)) changed = true;
        }
      }
    }
  }

  #transfer(instance: Instance, masks: Masks, i: number, word: number): boolean {
    let after = 0;
    for (const next of this.#next(instance.start + i)) after |= masks.live[2 * (next - instance.start) + word] ?? 0;
    const at = 2 * i + word;
    const before = (after & ~masks.mustWrite[at]!) | masks.mayRead[at]!;
    if (before === masks.live[at]) return false;
    masks.live[at] = before;
    return true;
  }

  #next(slot: number): number[] {
    let known = this.#successors[slot];
    if (!known) {
      known = this.#env.insns[slot]!.opcode === 0 ? [] : successors(this.#env.insns, slot);
      this.#successors[slot] = known;
    }
    return known;
  }

  /** What the callee's entry may read of outer frames, its call reads. */
  #passToCaller(state: State, frame: number, callee: Instance): void {
    const caller = this.#instances.get(this.#key(state, frame - 1)) ?? this.#make(state, frame - 1);
    for (let f = 0; f < frame; f++) {
      const masks = callee.frames[f];
      if (masks) caller.read(state.frames[frame]!.callSite, f, masks.live[0]!, masks.live[1]!);
    }
  }

  #make(state: State, frame: number): Instance {
    const { start, end } = this.#env.subprograms[state.frames[frame]!.subprogram]!;
    const instance = new Instance(start, end);
    this.#instances.set(this.#key(state, frame), instance);
    return instance;
  }
}

/** Stores, and calls of what is no part of the program. */
function mayWrite(insn: Insn): boolean {
  const kind = insn.opcode & 7;
  if (kind === CLASS.ST || kind === CLASS.STX) return true;
  return insn.opcode === (CLASS.JMP | JMP.CALL) && insn.src !== PSEUDO_CALL.SUBPROG;
}

/** Whether the mask changes. */
function narrow(masks: Int32Array, at: number, written: number, first: boolean): boolean {
  const before = masks[at]!;
  const after = first ? written : before & written;
  masks[at] = after;
  return after !== before;
}
