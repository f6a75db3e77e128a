/** Records of an object's buffers on their way into a sink: each with the event that wrote it, as far as that is known. */
import type { RecordPlace, RecordReader, RecordSink } from "../runtime/index.ts";
import { COMM_BYTES, CPU, type CType, EVENT, EVENT_FLAG, TASK } from "../spec/index.ts";
import type { RecordTyping } from "./records.ts";

/** A map of records and what reads it. */
export interface OutputMap {
  readonly name: string;
  readonly type: string;
  readonly reader: RecordReader;
  readonly typing: RecordTyping;
}

export class RecordOutput {
  readonly #sink: RecordSink;
  readonly #maps: readonly OutputMap[];
  /** by map: losses when this began, and those that the sink was told since */
  readonly #lostBefore: readonly bigint[];
  readonly #told: bigint[];
  /** address of the event that ran last, 0: none is known */
  #event = 0;

  /** Begins the sink. */
  constructor(
    sink: RecordSink,
    object: { readonly cpus: number; readonly types: Readonly<Record<string, CType>> },
    maps: readonly OutputMap[],
  ) {
    this.#sink = sink;
    this.#maps = maps;
    this.#lostBefore = maps.map(({ reader }) => reader.lost);
    this.#told = maps.map(() => 0n);
    const origins = maps.map(({ name, type, typing }) => ({
      map: name,
      kind: type === "ringbuf" ? ("ringbuf" as const) : ("perf" as const),
      typeOf: (length: number) => typing.typeOf(length),
    }));
    sink.begin({ origins, cpus: object.cpus, types: object.types });
  }

  get isFull(): boolean {
    return this.#sink.isFull;
  }
  relieved(): Promise<void> {
    return this.#sink.relieved();
  }

  /** Records that come until the next call were written by this event (EVENT in the arena); 0: not known. */
  at(event: number): void {
    this.#event = event;
  }

  write(map: number, data: Uint8Array, cpu: number | null, time: bigint | null): void {
    this.#sink.write(map, data, this.#place(cpu, time));
  }

  lost(map: number, count: bigint, cpu: number | null): void {
    this.#told[map]! += count;
    this.#sink.lost(map, count, this.#place(cpu, null));
  }

  round(): void {
    this.#sink.round();
  }

  /** Tells of losses that no buffer reported, since no record came behind them. */
  finish(): void {
    this.#event = 0;
    this.#maps.forEach(({ reader }, index) => {
      const rest = reader.lost - this.#lostBefore[index]! - this.#told[index]!;
      if (rest > 0n) this.lost(index, rest, null);
    });
  }

  /** What the buffer says goes first. */
  #place(cpu: number | null, time: bigint | null): RecordPlace {
    const event = this.#event;
    if (event === 0) return { cpu, time, task: null };
    const { view, bytes } = this.#maps[0]!.reader.map.world.arena;
    const task = view.getUint32(event + EVENT.task, true);
    const comm = task + TASK.comm;
    const isLive = (view.getUint32(event + EVENT.flags, true) & EVENT_FLAG.liveClock) !== 0;
    return {
      cpu: cpu ?? view.getUint32(view.getUint32(event + EVENT.cpu, true) + CPU.id, true),
      time: time ?? (isLive ? null : view.getBigUint64(event + EVENT.time, true)),
      task: {
        pid: view.getUint32(task + TASK.pid, true),
        tgid: view.getUint32(task + TASK.tgid, true),
        comm: bytes.subarray(comm, comm + COMM_BYTES),
      },
    };
  }
}
