/**
 * An object that is loaded: its programs, its maps typed by BTF, its records, and running a source through it. What
 * `bpfjit run` does, it does through this.
 */
import { UsageError } from "../base/index.ts";
import type {
  EventSource,
  Link,
  LinkedObject,
  LinkedProgram,
  PumpProgress,
  PumpSummary,
  RecordReader,
  Runtime,
} from "../runtime/index.ts";
import type { Manifest } from "../spec/index.ts";
import { TypedMap } from "./map.ts";
import { isRecordMap, type MapRecord, openRecordReader, type RecordOptions, RecordTyping } from "./records.ts";

export interface RunOptions {
  /** gets every record, in the order of its buffer; without it nobody reads, and full buffers lose records */
  readonly onRecord?: (record: MapRecord) => void;
  /** losses of a buffer, when they are seen */
  readonly onLost?: (map: string, count: bigint, cpu: number | null) => void;
  readonly onProgress?: (progress: PumpProgress) => void;
  /** struct of the records, by map */
  readonly types?: Readonly<Record<string, string>>;
  /** ends the run after the batch under way */
  readonly signal?: AbortSignal;
}

export interface RunSummary extends PumpSummary {
  readonly records: number;
  /** records that found no room in a ring or perf buffer */
  readonly lostRecords: bigint;
  readonly seconds: number;
  readonly eventsPerSecond: number;
}

/** Open readers of an object's record maps. */
export class ObjectReading {
  /** handed on so far */
  records = 0;
  readonly #readings: readonly { readonly reader: RecordReader; readonly typing: RecordTyping }[];
  readonly #onRecord: (record: MapRecord) => void;

  constructor(
    readings: readonly { readonly reader: RecordReader; readonly typing: RecordTyping }[],
    onRecord: (record: MapRecord) => void,
  ) {
    this.#readings = readings;
    this.#onRecord = onRecord;
  }

  /** Records that found no room so far. */
  get lost(): bigint {
    return this.#readings.reduce((sum, { reader }) => sum + reader.lost, 0n);
  }

  /** Hands on every record that is there; returns how many. */
  drain(): number {
    let count = 0;
    for (const { reader, typing } of this.#readings) {
      const { arena } = reader.map.world;
      count += reader.drain((address, length, cpu, time) => {
        this.#onRecord(typing.record(arena.bytes.slice(address, address + length), cpu, time));
      });
    }
    this.records += count;
    return count;
  }

  close(): void {
    for (const { reader } of this.#readings) reader.close();
  }
}

export class LoadedObject {
  readonly runtime: Runtime;
  readonly programs: Readonly<Record<string, LinkedProgram>>;
  readonly maps: Readonly<Record<string, TypedMap>>;
  readonly #linked: LinkedObject;
  readonly #ownsRuntime: boolean;

  constructor(linked: LinkedObject, runtime: Runtime, options: { readonly ownsRuntime: boolean }) {
    this.#linked = linked;
    this.runtime = runtime;
    this.#ownsRuntime = options.ownsRuntime;
    this.programs = linked.programs;
    const maps: Record<string, TypedMap> = Object.create(null);
    for (const [name, map] of Object.entries(linked.maps)) maps[name] = new TypedMap(map);
    this.maps = maps;
  }

  get name(): string {
    return this.#linked.name;
  }
  get manifest(): Manifest {
    return this.#linked.manifest;
  }

  /** The map, or a UsageError that lists those there are. */
  map(name: string): TypedMap {
    const map = this.maps[name];
    if (map !== undefined) return map;
    throw new UsageError("USAGE", `${this.name} has no map ${name}`, {
      hint: `it has ${Object.keys(this.maps).join(", ")}`,
    });
  }

  /** The program, or a UsageError that lists those there are. */
  program(name: string): LinkedProgram {
    const program = this.programs[name];
    if (program !== undefined) return program;
    throw new UsageError("USAGE", `${this.name} has no program ${name}`, {
      hint: `it has ${Object.keys(this.programs).join(", ")}`,
    });
  }

  /** Attaches every program whose section names its hook and that has no link yet. A failure detaches what it attached. */
  attach(): Link[] {
    const links: Link[] = [];
    try {
      for (const program of Object.values(this.programs)) {
        const { type, attachTarget } = program.manifest;
        const named =
          (type === "tracepoint" || type === "raw_tracepoint") && attachTarget !== null && attachTarget !== "";
        if (named && program.links.length === 0) links.push(program.attach());
      }
      return links;
    } catch (error) {
      for (const link of links) link.detach();
      throw error;
    }
  }

  /** Records of a ring or perf buffer as they come. Leaving the loop, `signal` or close() ends it. */
  async *records(mapName: string, options: RecordOptions = {}): AsyncGenerator<MapRecord, void, undefined> {
    const map = this.map(mapName).raw;
    const typing = new RecordTyping(map, this.manifest.types, options.type);
    const reader = openRecordReader(map, this.runtime.cpus, options);
    for await (const { data, cpu, time } of reader) yield typing.record(data, cpu, time);
  }

  /** Attaches what is not attached, runs the source to its end, hands records on as they come. Closes the source. */
  async run(source: EventSource, options: RunOptions = {}): Promise<RunSummary> {
    this.attach();
    const reading = options.onRecord === undefined ? null : this.openRecords(options.onRecord, options);
    const started = performance.now();
    try {
      const drain = reading === null ? undefined : () => reading.drain();
      const summary = await this.runtime.run(source, { drain, onProgress: options.onProgress, signal: options.signal });
      const seconds = (performance.now() - started) / 1000;
      return {
        ...summary,
        records: reading?.records ?? 0,
        lostRecords: reading?.lost ?? 0n,
        seconds,
        eventsPerSecond: summary.events / seconds,
      };
    } finally {
      reading?.close();
    }
  }

  /** Readers of all ring and perf buffers, for whoever runs programs by hand: drain() hands on what is there. */
  openRecords(
    onRecord: (record: MapRecord) => void,
    options: Pick<RunOptions, "onLost" | "types"> = {},
  ): ObjectReading {
    const maps = Object.values(this.maps).filter(({ raw }) => isRecordMap(raw));
    const unknown = Object.keys(options.types ?? {}).find((name) => !maps.some((map) => map.name === name));
    if (unknown !== undefined) throw new UsageError("USAGE", `${this.name} has no map of records ${unknown}`);
    const readings = maps.map(({ name, raw }) => {
      const typing = new RecordTyping(raw, this.manifest.types, options.types?.[name]);
      const onLost = (count: bigint, cpu: number | null): void => options.onLost?.(name, count, cpu);
      return { typing, reader: openRecordReader(raw, this.runtime.cpus, { onLost }) };
    });
    return new ObjectReading(readings, onRecord);
  }

  /** Detaches its programs, closes its maps, and the runtime where it was made for this object. */
  close(): void {
    this.#linked.close();
    if (this.#ownsRuntime) this.runtime.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
