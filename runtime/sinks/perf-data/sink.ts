/**
 * Records → perf.data, for `perf script` and `perf report`: a sample for each, under an event for each map. Only what the
 * records say goes in, nothing of this machine or this moment: the same records give the same bytes.
 *
 *   SAMPLE: head | identifier u64 | ip u64 | tgid u32, pid u32 | time u64 | cpu u32, 0
 *           | raw size u32 | data | padding to 8
 *   others: … | tgid u32, pid u32 | time u64 | cpu u32, 0 | identifier u64 (sample_id_all)
 *
 * Kernel: perf_output_sample(), perf_event__output_id_sample() in kernel/events/core.c.
 */
import { BugError, UsageError } from "../../../base/index.ts";
import { COMM_BYTES } from "../../../spec/index.ts";
import { HEAD_BYTES, MISC, RECORD, RECORD_BYTES_MAX } from "../../../spec/perf.ts";
import { BlockWriter } from "../blocks.ts";
import type { RecordPlace, RecordSink, RecordTask, SinkStart } from "../sink.ts";
import type { OutputTarget } from "../target.ts";
import { type OutputEvent, outputEvents } from "./attr.ts";
import { ToldComms } from "./comms.ts";
import {
  beginRecord,
  DATA_SIZE_AT,
  featureBytes,
  featureSections,
  fileHeader,
  fileLayout,
  padded,
  writePipeHeader,
} from "./header.ts";

/** Head, five fields and the size word of RAW. */
const SAMPLE_BYTES = HEAD_BYTES + 40 + 4;
const TRAILER_BYTES = 32;
/** A size is 16 bits wide and a multiple of 8. */
const LONGEST_DATA = (RECORD_BYTES_MAX & ~7) - SAMPLE_BYTES;
/** Field of a sample whose thread or CPU nobody knows; the kernel's own word for a thread that is gone. */
const UNKNOWN = 0xffff_ffff;
/** perf keeps records up to the end of a round in memory; a round of its own for every record would be waste. */
const RECORDS_PER_ROUND = 4096;

export class PerfDataSink implements RecordSink {
  records = 0;
  tooLong = 0;
  readonly #target: OutputTarget;
  readonly #blocks: BlockWriter;
  readonly #comms = new ToldComms();
  #events: readonly OutputEvent[] | null = null;
  /** by origin: raw sizes count the padding, as in the kernel's perf buffers */
  #padded: readonly boolean[] = [];
  #cpus = 1;
  #roundRecords = 0;
  /** of samples; what has no time of its own takes the last one */
  #firstTime: bigint | null = null;
  #lastTime = 0n;
  #latestTime = 0n;
  #closed = false;

  constructor(target: OutputTarget) {
    this.#target = target;
    this.#blocks = new BlockWriter(target, () => this.#tellSize());
  }

  get name(): string {
    return this.#target.name;
  }
  get isFull(): boolean {
    return this.#target.isFull;
  }
  async relieved(): Promise<void> {
    if (!this.#target.seekable && this.#roundRecords > 0) {
      this.#endRound();
      this.#blocks.flush();
    }
    await this.#target.relieved();
  }

  begin({ origins, cpus }: SinkStart): void {
    if (this.#events !== null) throw new BugError(`${this.name} was begun before`);
    if (origins.length === 0) {
      throw new UsageError("USAGE", `there is nothing to write to ${this.name}: the object has no ring or perf buffer`);
    }
    this.#events = outputEvents(origins);
    this.#padded = origins.map(({ kind }) => kind === "perf");
    this.#cpus = cpus;
    if (!this.#target.seekable) writePipeHeader(this.#blocks, this.#events, cpus);
    else {
      const header = fileHeader(this.#events, 0, []);
      this.#blocks.bytes.set(header, this.#blocks.begin(header.length));
    }
  }

  write(origin: number, data: Uint8Array, place: RecordPlace): void {
    if (data.length > LONGEST_DATA) {
      this.tooLong++;
      this.lost(origin, 1n, place);
      return;
    }
    const { task, cpu } = place;
    const time = this.#timeOf(place);
    if (task !== null && this.#comms.isNew(task)) this.#writeComm(task, cpu, time);
    const size = padded(SAMPLE_BYTES + data.length);
    const at = beginRecord(this.#blocks, RECORD.SAMPLE, size, MISC.KERNEL);
    const { view, bytes } = this.#blocks;
    view.setUint32(at + 8, origin + 1, true);
    this.#writePlace(at + 24, task, cpu, time);
    view.setUint32(at + 48, this.#padded[origin] ? size - SAMPLE_BYTES : data.length, true);
    bytes.set(data, at + SAMPLE_BYTES);
    this.records++;
    this.#roundRecords++;
    this.#firstTime = this.#firstTime === null || time < this.#firstTime ? time : this.#firstTime;
    if (time > this.#latestTime) this.#latestTime = time;
  }

  lost(origin: number, count: bigint, place: RecordPlace): void {
    const at = beginRecord(this.#blocks, RECORD.LOST, HEAD_BYTES + 16 + TRAILER_BYTES);
    this.#blocks.view.setUint32(at + 8, origin + 1, true);
    this.#blocks.view.setBigUint64(at + 16, count, true);
    this.#writeTrailer(at + 24, origin + 1, place.task, place.cpu, this.#timeOf(place));
  }

  round(): void {
    if (this.#roundRecords >= RECORDS_PER_ROUND) this.#endRound();
  }

  #endRound(): void {
    beginRecord(this.#blocks, RECORD.FINISHED_ROUND, HEAD_BYTES);
    this.#roundRecords = 0;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#events !== null) this.#end(this.#events);
    } finally {
      await this.#target.close();
    }
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #end(events: readonly OutputEvent[]): void {
    const { seekable } = this.#target;
    try {
      // Without any record perf would take the file for one that was not ended.
      if (this.#blocks.position === fileLayout(events).dataAt)
        beginRecord(this.#blocks, RECORD.FINISHED_ROUND, HEAD_BYTES);
      this.#blocks.flush();
      if (!seekable) return;
      const end = this.#blocks.position;
      const times = this.#firstTime === null ? null : ([this.#firstTime, this.#latestTime] as const);
      const features = featureSections(events, this.#cpus, times);
      this.#target.write(featureBytes(features, end));
      this.#target.rewrite(fileHeader(events, end - fileLayout(events).dataAt, features), 0);
    } catch (error) {
      this.#salvage();
      throw error;
    }
  }

  /** What is in the file stays readable, whatever happens next: perf reads nothing of a file whose data has no size. */
  #tellSize(): void {
    if (this.#events === null || !this.#target.seekable) return;
    const dataBytes = this.#blocks.written - fileLayout(this.#events).dataAt;
    this.#target.rewrite(new Uint8Array(BigUint64Array.of(BigInt(dataBytes)).buffer), DATA_SIZE_AT);
  }

  /** The disk is full or gone: the whole records that were written stay, without the names of their events. */
  #salvage(): void {
    if (!this.#target.seekable) return;
    try {
      this.#target.cut(this.#blocks.written);
    } catch {
      // the first error says what happened
    }
  }

  #timeOf({ time }: RecordPlace): bigint {
    if (time !== null) this.#lastTime = time;
    return this.#lastTime;
  }

  #writeComm(task: RecordTask, cpu: number | null, time: bigint): void {
    const at = beginRecord(this.#blocks, RECORD.COMM, HEAD_BYTES + 8 + COMM_BYTES + TRAILER_BYTES);
    const { view, bytes } = this.#blocks;
    view.setUint32(at + 8, task.tgid, true);
    view.setUint32(at + 12, task.pid, true);
    bytes.set(task.comm, at + 16);
    this.#writeTrailer(at + 16 + COMM_BYTES, 0, task, cpu, time);
  }

  #writeTrailer(at: number, id: number, task: RecordTask | null, cpu: number | null, time: bigint): void {
    this.#writePlace(at, task, cpu, time);
    this.#blocks.view.setUint32(at + 24, id, true);
  }

  #writePlace(at: number, task: RecordTask | null, cpu: number | null, time: bigint): void {
    const { view } = this.#blocks;
    view.setUint32(at, task?.tgid ?? UNKNOWN, true);
    view.setUint32(at + 4, task?.pid ?? UNKNOWN, true);
    view.setBigUint64(at + 8, time, true);
    view.setUint32(at + 16, cpu ?? UNKNOWN, true);
  }
}
