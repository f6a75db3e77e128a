/** Copies of records, to keep. */

/** V8 keeps the bytes of a typed array inside it up to so many; beyond, it has memory of its own, which costs several copies. */
const INSIDE_BYTES = 64;
/** Bytes of a chunk that longer records are copied to; what is larger than a part of it has memory of its own. */
const CHUNK_BYTES = 65_536;
const LARGE_BYTES = CHUNK_BYTES / 8;

/** Copies records out of their buffer. Those between small and large share a chunk, as Node's own small Buffers do. */
export class RecordCopier {
  #chunk = new Uint8Array(0);
  #used = 0;

  copy(bytes: Uint8Array, address: number, length: number): Uint8Array {
    if (length <= INSIDE_BYTES || length > LARGE_BYTES) return bytes.slice(address, address + length);
    if (this.#used + length > this.#chunk.length) {
      this.#chunk = new Uint8Array(CHUNK_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#chunk.set(bytes.subarray(address, address + length), start);
    this.#used = Math.ceil((start + length) / 8) * 8;
    return this.#chunk.subarray(start, start + length);
  }
}
