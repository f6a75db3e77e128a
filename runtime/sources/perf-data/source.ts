/**
 * A recording by `perf record`, as an event source. File bytes go into the arena as they are; the recorded raw payload of a
 * tracepoint is the program's ctx, where it lies. Two passes over a round of records: scan() finds whole records and queues
 * them by time, emit() turns them, in order, into EVENT records and applies changes of tasks in between.
 */
import { BpfError, CaptureError, joinU64 } from "../../../base/index.ts";
import { EVENT } from "../../../spec/index.ts";
import type {
  EventBatch,
  EventSource,
  SourceEvent,
  SourceLoss,
  SourceProgress,
  SourceWorld,
  WantedHook,
} from "../../source.ts";
import { bytesInput, type CaptureInput, readFully, unread } from "../input.ts";
import { locateRaw, sampleLayout } from "./attr.ts";
import { ArenaChunks } from "./chunks.ts";
import { countCpus } from "./cpus.ts";
import {
  type FormatFallback,
  malformed,
  type PerfHeader,
  PIPE_HEADER_BYTES,
  perfForm,
  readFileHeader,
  truncated,
  unsupported,
} from "./header.ts";
import { IdTable } from "./ids.ts";
import { Losses } from "./losses.ts";
import { ArenaMemory } from "./memory.ts";
import { RunQueue } from "./order.ts";
import { readPipeHeader } from "./pipe.ts";
import { type EventPlan, listEvents, planEvents } from "./plan.ts";
import { HEAD_BYTES, RECORD, UNREADABLE } from "./records.ts";
import { TaskTable } from "./tasks.ts";

const BATCH_EVENTS = 4096;
const EVENT_WORDS = EVENT.bytes / 4;
/** Marks a queued COMM or FORK; all other marks are indices of events. */
const TASK_MARK = 0xffff;
/** A TID field of a task that is no longer hashed. */
const NO_TID = 0xffff_ffff;
/** misc of LOST_SAMPLES: dropped by a BPF filter of the recording, which is no loss. */
const MISC_LOST_SAMPLES_BPF = 1 << 15;

export interface PerfDataOptions {
  /**
   * Knows the formats of events by id, for a file that was cut off before its own; tracefsFormats() does for recordings of
   * the kernel that runs. The recording still ends in CAPTURE_TRUNCATED, whose message says that they were used.
   */
  readonly formats?: FormatFallback;
}

/** Reads the recording's header. The input is closed with the source, or at once where this throws. */
export async function openPerfData(input: CaptureInput, options: PerfDataOptions = {}): Promise<EventSource> {
  try {
    const { header, rest } = await readHeader(input, options.formats ?? null);
    if (header.attrs.length >= TASK_MARK) throw malformed(`the recording describes ${header.attrs.length} events`, 0);
    const cpus = header.cpus ?? (await countCpus(rest, header, header.attrs.map(sampleLayout)));
    return new PerfDataSource(rest, header, cpus);
  } catch (error) {
    input.close();
    throw error;
  }
}

async function readHeader(
  input: CaptureInput,
  fallback: FormatFallback | null,
): Promise<{ header: PerfHeader; rest: CaptureInput }> {
  const head = new Uint8Array(PIPE_HEADER_BYTES);
  const read = await readFully(input, head, 0);
  if (perfForm(head.subarray(0, read)) === "pipe") {
    const header = await readPipeHeader(input);
    return { header, rest: unread(input, header.ahead, header.dataStart) };
  }
  const file = input.size === null ? await readWhole(input, head) : input;
  return { header: await readFileHeader(file, file.size!, fallback), rest: file };
}

/** The file form keeps what describes it at its end: a stream of it must be read whole. */
async function readWhole(input: CaptureInput, head: Uint8Array): Promise<CaptureInput> {
  const parts = [head];
  let bytes = head.length;
  for (;;) {
    const part = new Uint8Array(1 << 20);
    const read = await input.read(part, bytes);
    if (read === 0) break;
    parts.push(part.subarray(0, read));
    bytes += read;
  }
  return { ...bytesInput(Buffer.concat(parts), input.name), close: () => input.close() };
}

class PerfDataSource implements EventSource {
  readonly name: string;
  readonly cpus: number;
  readonly events: readonly SourceEvent[];
  readonly #input: CaptureInput;
  readonly #header: PerfHeader;
  readonly #ids: IdTable;
  readonly #queue = new RunQueue();
  readonly #losses = new Losses();

  #world!: SourceWorld;
  #plans: readonly EventPlan[] = [];
  #chunks!: ArenaChunks;
  #tasks!: TaskTable;
  #memory!: ArenaMemory;
  #cpuBlocks: number[] = [];
  #batch = 0;
  /** high half that times are counted from, so that they stay exact as numbers */
  #epoch = -1;
  /** everything up to here is final when the round under way ends */
  #final = Number.NEGATIVE_INFINITY;
  #merging = false;
  /** entries of the merge that are done */
  #emitted = 0;
  #ended = false;
  #problem: unknown = null;
  /** the samples carry no time: they are in order as they are */
  #timeless = false;
  /** ends the waiting for a stream */
  readonly #onAbort = (): void => this.#input.close();

  constructor(input: CaptureInput, header: PerfHeader, cpus: number) {
    this.name = input.name;
    this.cpus = cpus;
    this.events = listEvents(header);
    this.#input = input;
    this.#header = header;
    this.#ids = new IdTable(header.attrs);
  }

  get lost(): readonly SourceLoss[] {
    return this.#losses.list;
  }
  get progress(): SourceProgress {
    const { size } = this.#input;
    return { done: this.#chunks?.done ?? this.#header.dataStart, total: this.#header.dataEnd ?? size };
  }

  async open(world: SourceWorld, wanted: readonly WantedHook[]): Promise<void> {
    const { dataStart, dataEnd } = this.#header;
    this.#world = world;
    this.#plans = planEvents(this.#header, wanted);
    this.#timeless = this.#plans.every((plan) => plan.time < 0);
    this.#memory = new ArenaMemory(world);
    this.#chunks = new ArenaChunks(
      this.#memory,
      this.#input,
      dataStart,
      dataEnd ?? this.#input.size ?? Number.MAX_SAFE_INTEGER,
    );
    this.#tasks = new TaskTable(this.#memory);
    this.#cpuBlocks = Array.from({ length: this.cpus }, (_, cpu) => world.cpuBlock(cpu));
    this.#batch = this.#memory.allocate(BATCH_EVENTS * EVENT.bytes, EVENT.bytes);
    this.#problem = this.#header.truncated;
    world.signal.addEventListener("abort", this.#onAbort);
  }

  async nextBatch(): Promise<EventBatch | null> {
    this.#tasks.release();
    for (;;) {
      if (this.#world.signal.aborted) return null;
      if (this.#merging) {
        const count = this.#emit();
        if (count > 0) return { address: this.#batch, count };
        this.#queue.finish();
        this.#merging = false;
        this.#chunks.recycle(this.#queue.firstRecords());
      }
      if (this.#ended) {
        if (this.#problem !== null) throw this.#problem;
        return null;
      }
      await this.#advance();
    }
  }

  async close(): Promise<void> {
    this.#world?.signal.removeEventListener("abort", this.#onAbort);
    this.#input.close();
  }

  /** Scans on to the end of a round, of the input, or to where it cannot be read on; then begins the merge. */
  async #advance(): Promise<void> {
    try {
      while (!this.#scan()) {
        if (this.#timeless && !this.#queue.isEmpty) {
          this.#merge(Number.POSITIVE_INFINITY);
          return;
        }
        if (!(await this.#chunks.fill())) {
          this.#end();
          return;
        }
      }
      const limit = this.#timeless ? Number.POSITIVE_INFINITY : this.#final;
      this.#final = this.#queue.latest;
      this.#merge(limit);
    } catch (error) {
      // What was read before is still good: it goes out first.
      if (!(error instanceof BpfError)) throw error;
      this.#problem = error;
      this.#ended = true;
      this.#merge(Number.POSITIVE_INFINITY);
    }
  }

  #end(): void {
    const { position, limit } = this.#chunks;
    if (limit > position) {
      const offset = this.#chunks.inputOffset(position);
      this.#problem ??= truncated(
        `the recording ends inside a record of which ${limit - position} bytes are left`,
        offset,
      );
    }
    this.#ended = true;
    this.#merge(Number.POSITIVE_INFINITY);
  }

  #merge(limit: number): void {
    this.#queue.begin(limit);
    this.#emitted = 0;
    this.#merging = true;
  }

  /** Queues whole records. True at the end of a round; false where more bytes are needed. */
  #scan(): boolean {
    const chunks = this.#chunks;
    const { words } = this.#memory;
    const queue = this.#queue;
    const plans = this.#plans;
    const { limit } = chunks;
    let at = chunks.position;
    while (limit - at >= HEAD_BYTES) {
      const word = at >>> 2;
      const size = words[word + 1]! >>> 16;
      if (size < HEAD_BYTES || (size & 3) !== 0) this.#malformed(at, `a record has ${size} bytes`);
      if (at + size > limit) break;
      // Where a record cannot be read, what lies before it stays consumed.
      chunks.position = at;
      if (words[word] === RECORD.SAMPLE) {
        const index = this.#eventOf(word, size);
        const plan = plans[index]!;
        if (plan.hook !== 0) {
          this.#check(at, word, size, plan);
          queue.push(plan.time < 0 ? 0 : this.#time(word + plan.time), at, index);
        }
      } else if (this.#control(at, word, size)) {
        chunks.position = at + size;
        return true;
      }
      at += size;
    }
    chunks.position = at;
    return false;
  }

  /** Index of the event that a sample belongs to. */
  #eventOf(word: number, size: number): number {
    const { id } = this.#plans[0]!;
    if (this.#plans.length === 1 || id < 0) return 0;
    if ((id + 2) * 4 > size) this.#malformed(word * 4, `a sample has ${size} bytes`);
    const index = this.#ids.find(this.#memory.words[word + id]!, this.#memory.words[word + id + 1]!);
    if (index < 0) this.#malformed(word * 4, "a sample has an id that belongs to no event");
    return index;
  }

  /** emit() relies on this: the payload lies inside the record and is no shorter than its format, the CPU exists. */
  #check(at: number, word: number, size: number, plan: EventPlan): void {
    const { words } = this.#memory;
    const end = word + (size >>> 2);
    if (plan.minimum * 4 > size) this.#malformed(at, `a sample has ${size} bytes, less than its fields need`);
    const raw = plan.raw >= 0 ? word + plan.raw : locateRaw(words, word, end, plan);
    const payload = raw < 0 ? -1 : words[raw]! >>> 0;
    if (raw < 0 || (raw + 1) * 4 + payload > end * 4) this.#malformed(at, "a sample ends inside its fields");
    if (payload < plan.payloadBytes || payload < HEAD_BYTES) {
      this.#malformed(at, `a payload has ${payload} bytes, its format ${plan.payloadBytes}`);
    }
    const cpu = plan.cpu < 0 ? 0 : words[word + plan.cpu]! >>> 0;
    if (cpu >= this.cpus) this.#malformed(at, `a sample of CPU ${cpu}, but there were ${this.cpus}`);
  }

  #malformed(at: number, message: string): never {
    throw malformed(message, this.#chunks.inputOffset(at));
  }

  /** The time at `word` as a number of ns since an epoch of this recording. */
  #time(word: number): number {
    const low = this.#memory.words[word]! >>> 0;
    const high = this.#memory.words[word + 1]! >>> 0;
    if (this.#epoch < 0) this.#epoch = high;
    return (high - this.#epoch) * 2 ** 32 + low;
  }

  /** A record that is no sample. True where it ends a round. */
  #control(at: number, word: number, size: number): boolean {
    const { words } = this.#memory;
    const type = words[word]! >>> 0;
    const feature = UNREADABLE.get(type);
    if (feature !== undefined) throw unsupported(feature);
    switch (type) {
      case RECORD.FINISHED_ROUND:
        return true;
      case RECORD.COMM:
      case RECORD.FORK: {
        if (size < (type === RECORD.COMM ? 20 : 32)) this.#malformed(at, `a record of type ${type} has ${size} bytes`);
        const time = this.#trailerWord(word, size, "time");
        // What perf itself makes up of /proc has no time: it holds from the beginning.
        if (time < 0 || (words[time] === 0 && words[time + 1] === 0)) this.#applyTask(word, size);
        else this.#queue.push(this.#time(time), at, TASK_MARK);
        return false;
      }
      case RECORD.LOST: {
        if (size < 24) this.#malformed(at, `a record of lost events has ${size} bytes`);
        const cpu = this.#trailerWord(word, size, "cpu");
        this.#losses.report(joinU64(words[word + 4]!, words[word + 5]!), cpu < 0 ? null : words[cpu]! >>> 0);
        return false;
      }
      case RECORD.LOST_SAMPLES: {
        if (size < 16) this.#malformed(at, `a record of lost events has ${size} bytes`);
        const misc = words[word + 1]! & 0xffff;
        if ((misc & MISC_LOST_SAMPLES_BPF) === 0) this.#losses.total(joinU64(words[word + 2]!, words[word + 3]!));
        return false;
      }
      case RECORD.HEADER_TRACING_DATA:
        throw unsupported("events that are described only after the first records");
      default:
        // Newer kinds could be followed by bytes of their own, as AUXTRACE is.
        if (
          type === 0 ||
          (type > RECORD.CALLCHAIN_DEFERRED && type < RECORD.FIRST_USER) ||
          type > RECORD.BPF_METADATA
        ) {
          throw new CaptureError("CAPTURE_UNSUPPORTED", `the recording holds a record of unknown type ${type}`, {
            where: { offsetBytes: this.#chunks.inputOffset(at) },
          });
        }
        return false;
    }
  }

  /** Word of a field of the record's trailer, -1 where it has none. */
  #trailerWord(word: number, size: number, field: "time" | "cpu"): number {
    const end = word + (size >>> 2);
    let plan = this.#plans[0]!;
    if (plan.trailer.id > 0 && this.#plans.length > 1 && plan.trailer.id <= size) {
      const id = end - plan.trailer.id / 4;
      const index = this.#ids.find(this.#memory.words[id]!, this.#memory.words[id + 1]!);
      // What perf makes up itself has id 0 and is laid out as the first event says.
      if (index >= 0) plan = this.#plans[index]!;
    }
    const { trailer } = plan;
    if (trailer[field] === 0 || trailer.bytes + HEAD_BYTES > size) return -1;
    return end - trailer[field] / 4;
  }

  #applyTask(word: number, size: number): void {
    const { words } = this.#memory;
    const at = (offset: number): number => words[word + offset]! >>> 0;
    if (words[word] === RECORD.COMM) this.#tasks.rename(at(2), at(3), (word + 4) * 4, size - 16);
    else this.#tasks.fork(at(2), at(4), at(3), at(5), at(6), at(7));
  }

  /** Writes the next batch of EVENT records; returns how many, 0 when the merge is at its end. */
  #emit(): number {
    const { records, marks, order, ready } = this.#queue;
    const plans = this.#plans;
    const cpuBlocks = this.#cpuBlocks;
    let { words } = this.#memory;
    let { byTid } = this.#tasks;
    let out = this.#batch >>> 2;
    let at = this.#emitted;
    let count = 0;
    for (; at < ready && count < BATCH_EVENTS; at++) {
      const entry = order[at]!;
      const word = records[entry]! >>> 2;
      const mark = marks[entry]!;
      if (mark === TASK_MARK) {
        this.#applyTask(word, words[word + 1]! >>> 16);
        ({ words } = this.#memory);
        ({ byTid } = this.#tasks);
        continue;
      }
      const plan = plans[mark]!;
      const raw = plan.raw >= 0 ? word + plan.raw : locateRaw(words, word, word + (words[word + 1]! >>> 18), plan);
      const cpu = plan.cpu < 0 ? 0 : words[word + plan.cpu]!;
      const tid = plan.tid < 0 ? -1 : words[word + plan.tid + 1]!;
      let task = tid > 0 && tid < byTid.length ? byTid[tid]! : 0;
      if (task === 0) {
        task = this.#taskOf(word, plan, raw, cpu);
        ({ words } = this.#memory);
        ({ byTid } = this.#tasks);
      }
      words[out + EVENT.ctx / 4] = (raw + 1) * 4;
      words[out + EVENT.cpu / 4] = cpuBlocks[cpu]!;
      words[out + EVENT.time / 4] = plan.time < 0 ? 0 : words[word + plan.time]!;
      words[out + EVENT.time / 4 + 1] = plan.time < 0 ? 0 : words[word + plan.time + 1]!;
      words[out + EVENT.task / 4] = task;
      words[out + EVENT.hook / 4] = plan.hook;
      words[out + EVENT.size / 4] = words[raw]!;
      words[out + EVENT.flags / 4] = 0;
      out += EVENT_WORDS;
      count++;
    }
    this.#emitted = at;
    return count;
  }

  /** TASK of a sample. A thread that has gone has no TID any more; then the payload's common_pid names it. */
  #taskOf(word: number, plan: EventPlan, raw: number, cpu: number): number {
    const { words } = this.#memory;
    const recorded = plan.tid < 0 ? NO_TID : words[word + plan.tid + 1]! >>> 0;
    const tid = recorded === NO_TID ? words[raw + 2]! >>> 0 : recorded;
    if (tid === 0) return this.#tasks.idle(cpu);
    return this.#tasks.get(recorded === NO_TID ? tid : words[word + plan.tid]! >>> 0, tid);
  }
}
