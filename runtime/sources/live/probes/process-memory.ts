/**
 * Memory of processes as it is now, through /proc/PID/mem: later than the event that asks for it, so it may have changed, or
 * be gone with its process. Needs the rights of ptrace.
 */
import { closeSync, openSync, readSync } from "node:fs";

const OPEN_MAX = 64;

export class ProcessMemory {
  /** by process */
  readonly #open = new Map<number, number>();

  /** Copies up to `target.length` bytes; returns how many could be read, 0 where none. */
  read(tgid: number, address: bigint, target: Uint8Array): number {
    const known = this.#open.get(tgid);
    if (known !== undefined) {
      const bytes = readAt(known, address, target);
      if (bytes > 0) return bytes;
      // it may be of the program that the process ran before it executed another
      this.#forget(tgid);
    }
    const fd = open(tgid);
    if (fd === null) return 0;
    if (this.#open.size >= OPEN_MAX) this.close();
    this.#open.set(tgid, fd);
    return readAt(fd, address, target);
  }

  close(): void {
    for (const tgid of [...this.#open.keys()]) this.#forget(tgid);
  }

  #forget(tgid: number): void {
    const fd = this.#open.get(tgid);
    this.#open.delete(tgid);
    if (fd !== undefined) closeSync(fd);
  }
}

function open(tgid: number): number | null {
  try {
    return openSync(`/proc/${tgid}/mem`, "r");
  } catch {
    return null;
  }
}

/** Addresses of processes are below 2^47. */
const ADDRESS_MAX = 1n << 47n;

function readAt(fd: number, address: bigint, target: Uint8Array): number {
  if (address >= ADDRESS_MAX) return 0;
  try {
    return readSync(fd, target, 0, target.length, address);
  } catch {
    return 0;
  }
}
