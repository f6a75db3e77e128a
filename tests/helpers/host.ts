/** A HelperHost on a plain buffer: arena pointers by their tag, nothing else is mapped. */
import { ERRNO, type HelperHost, POINTER_TAG, WORKER } from "../../spec/index.ts";

export class TestHost implements HelperHost {
  readonly bytes = new Uint8Array(1 << 16);
  readonly view = new DataView(this.bytes.buffer);
  readonly worker = 64;
  readonly lines: string[] = [];
  #free = 1024;

  constructor() {
    this.view.setUint32(this.worker + WORKER.scratchKey, 256, true);
    this.view.setUint32(this.worker + WORKER.scratchValue, 512, true);
  }

  /** Copies `bytes` into the buffer; returns the address. */
  place(bytes: Uint8Array): number {
    const address = this.#free;
    this.bytes.set(bytes, address);
    this.#free = (address + bytes.length + 7) & ~7;
    return address;
  }

  setPointer(at: number, address: number): void {
    this.view.setUint32(at, address, true);
    this.view.setUint32(at + 4, POINTER_TAG, true);
  }

  setResult(low: number, high: number): void {
    this.view.setUint32(this.worker + WORKER.result, low, true);
    this.view.setUint32(this.worker + WORKER.result + 4, high, true);
  }

  nowNs(): bigint {
    return 0n;
  }

  traceLine(text: string): void {
    this.lines.push(text);
  }

  readAddress(low: number, high: number, destination: number, bytes: number, space: "kernel" | "user"): number {
    if (!this.#mapped(low, high, bytes, space)) {
      this.bytes.fill(0, destination, destination + bytes);
      return -ERRNO.EFAULT;
    }
    this.bytes.copyWithin(destination, low, low + bytes);
    return 0;
  }

  readString(low: number, high: number, destination: number, bytes: number, space: "kernel" | "user"): number {
    if (!this.#mapped(low, high, 1, space)) return -ERRNO.EFAULT;
    const end = this.bytes.indexOf(0, low);
    const length = Math.min(end - low, bytes - 1);
    this.bytes.copyWithin(destination, low, low + length);
    this.bytes[destination + length] = 0;
    return length + 1;
  }

  sequence(): null {
    return null;
  }

  #mapped(low: number, high: number, bytes: number, space: "kernel" | "user"): boolean {
    return space === "kernel" && high === POINTER_TAG && low >= 1024 && low + bytes <= this.bytes.length;
  }
}
