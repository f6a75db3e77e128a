/** What a sink is: it takes the records that programs write and makes a file of them that other tools read. */
import type { CType } from "../../spec/index.ts";

/** A map whose records go into a sink. */
export interface RecordOrigin {
  readonly map: string;
  readonly kind: "perf" | "ringbuf";
  /** what a record of that length is, null where no type is known to fit */
  typeOf(length: number): CType | null;
}

/** What is known before the first record. */
export interface SinkStart {
  readonly origins: readonly RecordOrigin[];
  /** virtual CPUs */
  readonly cpus: number;
  /** structs of the object, by name */
  readonly types: Readonly<Record<string, CType>>;
}

/** A task in the kernel's words: `pid` is the thread, `tgid` the process. */
export interface RecordTask {
  readonly pid: number;
  readonly tgid: number;
  /** 16 bytes, zero-terminated */
  readonly comm: Uint8Array;
}

/** null: not known */
export interface RecordPlace {
  readonly cpu: number | null;
  /** ns */
  readonly time: bigint | null;
  readonly task: RecordTask | null;
}

export interface RecordSink extends AsyncDisposable {
  /** for messages: the path, usually */
  readonly name: string;
  /** records written so far; those that were too long for the format are `tooLong` and count as lost in the file */
  readonly records: number;
  readonly tooLong: number;
  /** Called once, before everything else. */
  begin(start: SinkStart): void;
  /** `origin` is an index of SinkStart.origins. The bytes, which may be shared memory, are read before it returns. */
  write(origin: number, data: Uint8Array, place: RecordPlace): void;
  /** Records that found no room in the buffer of a map. */
  lost(origin: number, count: bigint, place: RecordPlace): void;
  /** All buffers were read: no record that comes later is older than the last one before the previous call. */
  round(): void;
  /** wait for relieved() before the next record, so that memory stays bounded */
  readonly isFull: boolean;
  /** Hands on to a stream what there is; a file may get it later. Resolves when `isFull` is over. */
  relieved(): Promise<void>;
  /** Completes the output and waits until it is written. A second time does nothing. Throws what stopped the output. */
  close(): Promise<void>;
}
