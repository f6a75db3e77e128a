/**
 * A recording by `perf record`, as an event source. File bytes go into the arena as they are; the recorded raw payload of a
 * tracepoint is the program's ctx, where it lies. Two passes over a round of records: samples.ts and control.ts take in whole
 * records and queue them by time, emit.ts turns them, in order, into EVENT records and applies changes of tasks in between.
 */
import { BpfError } from "../../../base/index.ts";
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
import { ArenaMemory } from "../memory.ts";
import { RunQueue } from "../order.ts";
import { RawEncoder, type RawWorld } from "../raw-arguments.ts";
import { TaskTable } from "../tasks.ts";
import { sampleLayout } from "./attr.ts";
import { ArenaChunks } from "./chunks.ts";
import { type ControlReading, TASK_MARK, takeControl } from "./control.ts";
import { countCpus } from "./cpus.ts";
import { type Emission, emitEvents, RAW_BYTES, type RawEmission } from "./emit.ts";
import { type FormatFallback, malformed, type PerfHeader, perfForm, readFileHeader, truncated } from "./header.ts";
import { IdTable } from "./ids.ts";
import { Losses } from "./losses.ts";
import type { PerfDataOptions } from "./options.ts";
import { readPipeHeader } from "./pipe.ts";
import { type EventPlan, listEvents, planEvents } from "./plan.ts";
import { HEAD_BYTES, PIPE_HEADER_BYTES, RECORD } from "./records.ts";
import { Epoch, explainSample, takeSamples } from "./samples.ts";

const BATCH_EVENTS = 4096;

export async function openSource(input: CaptureInput, options: PerfDataOptions): Promise<EventSource> {
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
  /** a recording that comes as it is made */
  readonly isLive: boolean;
  readonly #input: CaptureInput;
  readonly #header: PerfHeader;
  readonly #ids: IdTable;
  readonly #queue = new RunQueue();
  readonly #losses = new Losses();

  #world!: SourceWorld;
  #memory!: ArenaMemory;
  #chunks!: ArenaChunks;
  #reading!: ControlReading;
  #emission!: Emission;
  /** everything up to here is final: the latest time when the round before the last one ended */
  #ripe = Number.NEGATIVE_INFINITY;
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
    this.isLive = input.size === null;
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
    const { cpus } = this;
    const end = dataEnd ?? this.#input.size ?? Number.MAX_SAFE_INTEGER;
    const plans = planEvents(this.#header, wanted);
    const memory = new ArenaMemory(world);
    const tasks = new TaskTable(memory, cpus);
    const queue = this.#queue;
    const epoch = new Epoch();
    this.#world = world;
    this.#memory = memory;
    this.#timeless = plans.every(({ layout }) => layout.time < 0);
    this.#chunks = new ArenaChunks(memory, this.#input, dataStart, end);
    this.#reading = { memory, plans, ids: this.#ids, queue, epoch, cpus, tasks, losses: this.#losses };
    const cpuBlocks = Array.from({ length: cpus }, (_, cpu) => world.cpuBlock(cpu));
    const batch = memory.allocate(BATCH_EVENTS * EVENT.bytes, EVENT.bytes);
    const raw = this.#rawEmission(plans, tasks);
    this.#emission = { memory, plans, tasks, queue, cpuBlocks, batch, batchEvents: BATCH_EVENTS, count: 0, raw };
    this.#problem = this.#header.truncated;
    world.signal.addEventListener("abort", this.#onAbort);
  }

  /** Null where no raw tracepoint is wanted. */
  #rawEmission(plans: readonly EventPlan[], tasks: TaskTable): RawEmission | null {
    if (plans.every(({ rawTracepoint }) => rawTracepoint === null)) return null;
    const world = this.#world;
    const raw: RawWorld = {
      kernel: world.kernel,
      get bytes() {
        return world.bytes;
      },
      get view() {
        return world.view;
      },
      task: (tid, cpu) => (tid === 0 ? tasks.idle[cpu]! : tasks.get(tid, tid)),
    };
    const shown = new Set<number>();
    const encoders = plans.map(({ rawTracepoint: plan }) =>
      plan === null ? null : new RawEncoder(plan.arguments, plan.format, raw, shown),
    );
    return { encoders, shown, arguments: this.#memory.allocate(BATCH_EVENTS * RAW_BYTES, 64) };
  }

  async nextBatch(): Promise<EventBatch | null> {
    this.#emission.tasks.release();
    for (;;) {
      if (this.#world.signal.aborted) return null;
      if (this.#merging) {
        this.#emitted = emitEvents(this.#emission, this.#emitted);
        const { batch, count } = this.#emission;
        if (count > 0) return { address: batch, count };
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
      while (!this.#scanRounds()) {
        if (this.#timeless && this.#queue.length > 0) {
          this.#merge(Number.POSITIVE_INFINITY);
          return;
        }
        if (!(await this.#chunks.fill())) {
          this.#end();
          return;
        }
      }
      this.#merge(this.#timeless ? Number.POSITIVE_INFINITY : this.#ripe);
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

  /** True at the end of a round with enough to hand on; false where more bytes are needed. */
  #scanRounds(): boolean {
    while (this.#scan()) {
      this.#ripe = this.#final;
      this.#final = this.#queue.latest;
      // Rounds may be small, and each hand-over costs something. Whoever watches a stream should not wait, though.
      if (this.#input.size === null || this.#queue.length >= BATCH_EVENTS) return true;
    }
    return false;
  }

  /** Takes in whole records. True at the end of a round; false where more bytes are needed. */
  #scan(): boolean {
    const chunks = this.#chunks;
    const { words } = this.#memory;
    const { limit } = chunks;
    for (;;) {
      // Where a record cannot be read, what lies before it is consumed.
      const at = takeSamples(this.#reading, chunks.position, limit);
      chunks.position = at;
      if (limit - at < HEAD_BYTES) return false;
      const size = words[(at >>> 2) + 1]! >>> 16;
      const offset = chunks.inputOffset(at);
      if (size < HEAD_BYTES || (size & 3) !== 0) throw malformed(`a record has ${size} bytes`, offset);
      if (at + size > limit) return false;
      if (words[at >>> 2] === RECORD.SAMPLE) throw explainSample(this.#reading, at, offset);
      const isRound = takeControl(this.#reading, at, size, offset);
      chunks.position = at + size;
      if (isRound) return true;
    }
  }
}
