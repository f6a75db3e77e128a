/** The address space of the reference interpreter: the given memory and a stack of frames, far apart, with nothing between. */
import { FaultError } from "../../base/index.ts";

export const MEMORY_ADDRESS = 0x0000_7000_0000_0000n;
export const STACK_ADDRESS = 0x0000_7f00_0000_0000n;
export const FRAME_BYTES = 512;
/** Frames are this far apart, so that an access that leaves one does not land in the next. */
const FRAME_DISTANCE = 0x1_0000n;

/** Little-endian, at any alignment. */
export class Memory {
  readonly #memory: Uint8Array;
  readonly #frames: Uint8Array[] = [];

  constructor(memory: Uint8Array) {
    this.#memory = memory;
  }
  /** Makes frame `depth` anew and gives the address behind its last byte: the frame pointer. */
  enterFrame(depth: number): bigint {
    this.#frames.length = depth;
    this.#frames.push(new Uint8Array(FRAME_BYTES));
    return STACK_ADDRESS + BigInt(depth) * FRAME_DISTANCE + BigInt(FRAME_BYTES);
  }
  leaveFrame(): void {
    this.#frames.pop();
  }
  load(address: bigint, size: number): bigint {
    const { bytes, at } = this.#find(address, size);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!);
    return value;
  }
  store(address: bigint, size: number, value: bigint): void {
    const { bytes, at } = this.#find(address, size);
    for (let i = 0; i < size; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }
  #find(address: bigint, size: number): { bytes: Uint8Array; at: number } {
    const offset = address - MEMORY_ADDRESS;
    if (offset >= 0n && offset + BigInt(size) <= BigInt(this.#memory.length))
      return { bytes: this.#memory, at: Number(offset) };
    const fromStack = address - STACK_ADDRESS;
    const frame = fromStack < 0n ? undefined : this.#frames[Number(fromStack / FRAME_DISTANCE)];
    const at = Number(fromStack % FRAME_DISTANCE);
    if (frame !== undefined && at + size <= FRAME_BYTES) return { bytes: frame, at };
    throw new FaultError("MEMORY_FAULT", `${size} bytes at 0x${address.toString(16)} are not accessible`);
  }
}
