/**
 * What helpers in TypeScript see of the world: an interface that the runtime fills, so that helpers/ imports no runtime.
 */
export interface HelperHost {
  /** live views on the arena: read the property anew at each use, a view goes stale when the memory grows */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** address of this worker's block (WORKER in abi.ts) */
  readonly worker: number;
  /** a 64-bit result goes here, as two unsigned halves */
  setResult(low: number, high: number): void;
  /** monotonic ns of the run: the event's own time in a replay */
  nowNs(): bigint;
  /** one line of bpf_trace_printk, without the kernel's prefix */
  traceLine(text: string): void;
  /**
   * Copies memory that a 64-bit address names (arena pointers by their tag, else what came with the event) into the arena.
   * Returns 0 or -EFAULT, in which case the destination is zeroed.
   */
  readAddress(low: number, high: number, destination: number, bytes: number, space: "kernel" | "user"): number;
  /** As readAddress for a zero-terminated string of at most `bytes`; returns its length with the zero, or -EFAULT. */
  readString(low: number, high: number, destination: number, bytes: number, space: "kernel" | "user"): number;
  /** What a pointer to struct seq_file names; null: it is none that a program could write to. */
  sequence(low: number, high: number): SequenceFile | null;
}

/** The output of an iterator, behind the struct seq_file that a program names. Its buffer is full when a text reaches its end. */
export interface SequenceFile {
  /** from where the next byte goes to the end of the buffer, which is never written; read it anew after reads of addresses */
  readonly room: Uint8Array;
  /** `bytes` bytes at the room's start are output now. False: they do not fit, and the file has overflowed. */
  take(bytes: number): boolean;
}

/** A helper in TypeScript: arguments as spec/helpers.ts says they cross (i32 each), result i32 or none. */
export type HelperImplementation = (host: HelperHost, ...args: number[]) => number | undefined;
