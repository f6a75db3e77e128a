/**
 * Collects blocks (records of a format, each whole) and hands them on many at a time. A block is begun with its length, is
 * zero, and is filled in through `view` and `bytes` at the offset that begin() gives.
 */
import type { OutputTarget } from "./target.ts";

/** Bytes that are collected before they are handed on. */
const BUFFER_BYTES = 1 << 16;

export class BlockWriter {
  bytes = new Uint8Array(BUFFER_BYTES);
  view = new DataView(this.bytes.buffer);
  readonly #target: OutputTarget;
  readonly #onFlush: () => void;
  #used = 0;
  /** bytes that the target took: always whole blocks */
  written = 0;

  /** `onFlush` is called when the target took blocks. */
  constructor(target: OutputTarget, onFlush: () => void = () => {}) {
    this.#target = target;
    this.#onFlush = onFlush;
  }

  /** Bytes of all blocks so far. */
  get position(): number {
    return this.written + this.#used;
  }

  /** Offset in `bytes` of a new block of zeros. Valid until the next call. */
  begin(length: number): number {
    if (this.#used + length > this.bytes.length) this.flush();
    if (length > this.bytes.length) {
      this.bytes = new Uint8Array(length);
      this.view = new DataView(this.bytes.buffer);
    }
    const at = this.#used;
    this.#used += length;
    this.bytes.fill(0, at, this.#used);
    return at;
  }

  flush(): void {
    if (this.#used === 0) return;
    this.#target.write(this.bytes.subarray(0, this.#used));
    this.written += this.#used;
    this.#used = 0;
    this.#onFlush();
  }
}
