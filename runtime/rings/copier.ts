/** Copies of records, to keep. */

/** Bytes of a chunk that records are copied to; what is larger than a part of it has memory of its own. */
const CHUNK_BYTES = 65_536;
const LARGE_BYTES = CHUNK_BYTES / 8;

/**
 * Copies records out of their buffer. Small ones share a chunk, as Node's own small Buffers do: memory of its own costs a typed
 * array several copies, at once or, up to 64 bytes, when a view on it is made to read the record's members.
 */
export class RecordCopier {
  #chunk = new Uint8Array(0);
  #used = 0;

  copy(bytes: Uint8Array, address: number, length: number): Uint8Array {
    if (length > LARGE_BYTES) return bytes.slice(address, address + length);
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
