/**
 * Sleeping on a word of the arena until a producer bumps it, without polling: Atomics.waitAsync, which does not keep a
 * process alive by itself, so a waiting reader holds a timer that does.
 */
import type { Arena } from "../arena.ts";

/** Where a ring's producers signal: see RING and MAP_PRIVATE.perfEventArray in spec/library.ts. */
export interface WakeWords {
  /** addresses of u32 words: bumped at a wake-up; number of those that wait */
  readonly wake: number;
  readonly waiters: number;
}

export class WakeWord {
  readonly #arena: Arena;
  readonly #words: WakeWords;

  constructor(arena: Arena, words: WakeWords) {
    this.#arena = arena;
    this.#words = words;
  }

  /** Says that someone is about to wait, and returns what wait() compares with. Look for data after this, then wait. */
  announce(): number {
    const words = this.#arena.i32;
    Atomics.add(words, this.#words.waiters / 4, 1);
    return Atomics.load(words, this.#words.wake / 4);
  }

  /** Takes announce() back. */
  withdraw(): void {
    Atomics.sub(this.#arena.i32, this.#words.waiters / 4, 1);
  }

  /** Resolves when the word is no longer `seen`, or after so many ms. */
  async wait(seen: number, timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
    const result = Atomics.waitAsync(this.#arena.i32, this.#words.wake / 4, seen, timeoutMs);
    if (result.async) await result.value;
  }

  /** Wakes everyone who waits. */
  signal(): void {
    const words = this.#arena.i32;
    Atomics.add(words, this.#words.wake / 4, 1);
    Atomics.notify(words, this.#words.wake / 4);
  }
}

/** The longest delay that timers take. */
const LONGEST_DELAY_MS = 0x7fff_ffff;

/** Keeps the process alive between hold() and release(), unless unref() was called. */
export class KeepAlive {
  #timer: ReturnType<typeof setInterval> | null = null;
  #holds = 0;
  #referenced = true;

  hold(): void {
    this.#holds += 1;
    this.#timer ??= setInterval(() => {}, LONGEST_DELAY_MS);
    if (!this.#referenced) this.#timer.unref();
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  ref(): void {
    this.#referenced = true;
    this.#timer?.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.#timer?.unref();
  }
}
