/**
 * An object that is loaded: its programs, its maps typed by BTF, its records, and running a source through it. What
 * `bpfjit run` does, it does through this.
 */
import { AttachError, UsageError } from "../base/index.ts";
import {
  type AttachOptions,
  type EventSource,
  type Link,
  type LinkedObject,
  type LinkedProgram,
  type PumpProgress,
  type PumpSummary,
  RecordCopier,
  type RecordReader,
  type RecordSink,
  type Runtime,
  type TaskInfo,
} from "../runtime/index.ts";
import { type HookKind, hookOfProgram, type Manifest } from "../spec/index.ts";
import { TypedMap } from "./map.ts";
import { type OutputMap, RecordOutput } from "./output.ts";
import { TypedReader } from "./reader.ts";
import { isRecordMap, type MapRecord, openRecordReader, type RecordOptions, RecordTyping } from "./records.ts";
import type { ObjectSource } from "./source.ts";
import type { Tier, Tiering } from "./tiers/tiering.ts";
import { attachUprobe, type UprobeOptions } from "./uprobe.ts";
import { attachUsdt, hasUsdtOperands, type UsdtOptions } from "./usdt.ts";
import { openSampleWriter, type TypedWriter, type WriterOptions } from "./writer.ts";

export interface RunOptions {
  /** gets every record, in the order of its buffer; without it and `output` nobody reads, and full buffers lose records */
  readonly onRecord?: (record: MapRecord) => void;
  /** takes every record too, with the task, CPU and time of the event that wrote it; closed with the run */
  readonly output?: RecordSink | undefined;
  /** losses of a buffer, when they are seen */
  readonly onLost?: (map: string, count: bigint, cpu: number | null) => void;
  readonly onProgress?: (progress: PumpProgress) => void;
  /** struct of the records, by map */
  readonly types?: Readonly<Record<string, string>>;
  /** CPUs run side by side although their programs share maps: see PumpOptions */
  readonly concurrent?: boolean;
  /** what programs see of a task beyond what its events tell: see PumpOptions. `readTask` for a capture made just now, here */
  readonly tasks?: ((tid: number) => TaskInfo | null) | undefined;
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

/** Kernel: bpf_raw_tracepoint_open(), which keeps 127 bytes of a name. */
const LONGEST_NAME = 127;

interface Reading {
  readonly reader: RecordReader;
  readonly take: (address: number, length: number, cpu: number | null, time: bigint | null) => void;
}

/** Open readers of an object's record maps. */
export class ObjectReading {
  /** handed on so far */
  records = 0;
  readonly #readings: readonly Reading[];
  readonly #output: RecordOutput | null;

  constructor(readings: readonly Reading[], output: RecordOutput | null) {
    this.#readings = readings;
    this.#output = output;
  }

  /** Records that found no room so far. */
  get lost(): bigint {
    return this.#readings.reduce((sum, { reader }) => sum + reader.lost, 0n);
  }

  /** Hands on every record that is there; returns how many. */
  drain(): number {
    let count = 0;
    for (const { reader, take } of this.#readings) count += reader.drain(take);
    this.records += count;
    if (count > 0) this.#output?.round();
    return count;
  }

  /** Hands on the records of this event (EVENT in the arena). True: the output must be waited for. */
  drainAfter(event: number): boolean {
    if (!this.#hasRecords) return false;
    this.#output?.at(event);
    this.drain();
    this.#output?.at(0);
    return this.#output?.isFull ?? false;
  }

  /** Tells the output of losses that no record followed. The sink stays open. */
  finish(): void {
    this.drain();
    this.#output?.finish();
  }

  close(): void {
    for (const { reader } of this.#readings) reader.close();
  }

  get #hasRecords(): boolean {
    for (const { reader } of this.#readings) if (reader.hasRecords) return true;
    return false;
  }
}

interface LoadedOptions {
  readonly ownsRuntime: boolean;
  /** null: its code stays as it is, which is the default */
  readonly tiering?: Tiering | null;
  /** null: the target's tracepoints are not known, which is the default */
  readonly rawTracepoints?: Pick<ObjectSource, "hasRawTracepoint" | "rawTracepointArguments">;
}

export class LoadedObject {
  readonly runtime: Runtime;
  readonly programs: Readonly<Record<string, LinkedProgram>>;
  readonly maps: Readonly<Record<string, TypedMap>>;
  readonly #linked: LinkedObject;
  readonly #ownsRuntime: boolean;
  readonly #rawTracepoints: LoadedOptions["rawTracepoints"];
  readonly #tiering: Tiering | null;

  constructor(linked: LinkedObject, runtime: Runtime, options: LoadedOptions) {
    this.#linked = linked;
    this.#rawTracepoints = options.rawTracepoints;
    this.#tiering = options.tiering ?? null;
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

  /** Which code runs. Results do not depend on it. */
  get tier(): Tier {
    return this.#tiering?.tier ?? "fixed";
  }

  /** Resolves when no better code will come; has it made where that has not begun. Rejects where it cannot be made. */
  async optimized(): Promise<void> {
    await this.#tiering?.optimized();
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

  /**
   * Attaches every program whose section names its hook and that has no link yet; iterators wait for who reads them. A failure
   * detaches what it attached.
   */
  attach(): Link[] {
    const programs = Object.values(this.programs).filter(({ manifest, links }) => {
      const hook = hookOfProgram(manifest);
      const isNamed = manifest.attachTarget !== null && manifest.attachTarget !== "";
      return hook !== null && hook.kind !== "iter" && isNamed && links.length === 0;
    });
    return attachAll(programs.map((program) => () => program.attach()));
  }

  /**
   * Attaches a raw tracepoint program to the tracepoint of that name, whatever its section says. Throws AttachError: ENOENT
   * where the target has no such tracepoint, EINVAL where the program reads more arguments than it has, or is a typed one,
   * which names its tracepoint when it is loaded. Kernel: BPF_RAW_TRACEPOINT_OPEN.
   */
  openRawTracepoint(name: string, program: LinkedProgram, options: AttachOptions = {}): Link {
    const where = { program: program.name };
    if (program.manifest.type === "tracing") {
      throw new AttachError("ATTACH_TYPE", `program ${program.name} names its tracepoint in its section`, { where });
    }
    // The kernel cuts longer names, and then does not find them.
    if (this.#rawTracepoints?.hasRawTracepoint(name) === false || name.length > LONGEST_NAME) {
      throw new AttachError("ATTACH_TARGET", `the target has no raw tracepoint ${name}`, { where });
    }
    const hook = this.runtime.hooks.get("raw_tracepoint", name);
    hook.argumentBytes ??= this.#rawTracepoints?.rawTracepointArguments(name) ?? null;
    return program.attach({ ...options, hook });
  }

  /**
   * Attaches a program of libbpf's usdt.bpf.h to a probe, `PATH:provider:name`, with the operands that the probe's note has.
   * Its hook is fired with registers, and the user memory that operands are in. Throws AttachError, UsageError.
   */
  attachUsdt(program: LinkedProgram, probe: string, options: UsdtOptions = {}): Link {
    return attachUsdt(program, this.maps, this.runtime.hooks.get("usdt", probe), options);
  }

  /**
   * Attaches a program to a function in user code, as libbpf's options name it. `path` is a file, or the bare name of a library
   * or program. Hit in live processes only. Throws UsageError; that there is no such function is found when a source is run.
   */
  attachUprobe(program: LinkedProgram, path: string, options: UprobeOptions): Link {
    return attachUprobe(program, this.runtime, path, options);
  }

  /**
   * Attaches a program to several hooks of one kind, with a cookie each where `cookies` has them. All or none: a failure
   * detaches those before. Kernel: kprobe and uprobe multi links.
   */
  attachMulti(
    program: LinkedProgram,
    kind: HookKind,
    names: readonly string[],
    options: { readonly cookies?: readonly bigint[] } = {},
  ): Link[] {
    const { cookies } = options;
    const where = { program: program.name };
    if (names.length === 0)
      throw new AttachError("ATTACH_TARGET", "there is no hook to attach to", { where, errno: "EINVAL" });
    if (cookies !== undefined && cookies.length !== names.length) {
      const message = `${cookies.length} cookies for ${names.length} hooks`;
      throw new AttachError("ATTACH_FAILED", message, { where });
    }
    const { hooks } = this.runtime;
    return attachAll(
      names.map((name, index) => () => program.attach({ hook: hooks.get(kind, name), cookie: cookies?.[index] })),
    );
  }

  /** Records of a ring or perf buffer as they come. Leaving the loop or close() ends it; `signal` ends it by throwing its reason. */
  async *records(mapName: string, options: RecordOptions = {}): AsyncGenerator<MapRecord, void, undefined> {
    const map = this.map(mapName).raw;
    const typing = new RecordTyping(map, this.manifest.types, options.type);
    const reader = openRecordReader(map, this.runtime.cpus, options);
    yield* reader.recordsAs(typing.record);
  }

  /** A reader of a ring or perf buffer: records in place, in batches, or one by one. A map has one at a time. */
  reader(mapName: string, options: RecordOptions = {}): TypedReader {
    const map = this.map(mapName).raw;
    const typing = new RecordTyping(map, this.manifest.types, options.type);
    return new TypedReader(openRecordReader(map, this.runtime.cpus, options), typing);
  }

  /** A writer of a user ring buffer, which programs drain. A map has one at a time. */
  writer(mapName: string, options: WriterOptions = {}): TypedWriter {
    return openSampleWriter(this.map(mapName).raw, this.manifest.types, options);
  }

  /** Attaches what is not attached, runs the source to its end, hands records on as they come. Closes source and output. */
  async run(source: EventSource, options: RunOptions = {}): Promise<RunSummary> {
    const { output } = options;
    let summary: RunSummary;
    try {
      summary = await this.#run(source, options);
    } catch (error) {
      // what was written stays readable; the first error says what happened
      await output?.close().catch(() => {});
      throw error;
    }
    await output?.close();
    return summary;
  }

  async #run(source: EventSource, options: RunOptions): Promise<RunSummary> {
    const { onRecord, output, onProgress, signal } = options;
    this.#attachUsdtSections(source);
    this.attach();
    const reading = onRecord === undefined && output === undefined ? null : this.openRecords(onRecord ?? null, options);
    const started = performance.now();
    try {
      const summary = await this.runtime.run(source, {
        onProgress,
        signal,
        concurrent: options.concurrent,
        tasks: options.tasks,
        ...(reading !== null && { drain: () => reading.drain() }),
        ...(reading !== null && output && { afterEvent: (event) => reading.drainAfter(event), readers: [output] }),
      });
      reading?.finish();
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

  /** USDT programs whose section names a probe, to all sets of operands that the source knows it to have. */
  #attachUsdtSections(source: EventSource): void {
    if (source.usdtHooks === undefined) return;
    for (const program of Object.values(this.programs)) {
      const { attachTarget } = program.manifest;
      if (hookOfProgram(program.manifest)?.kind !== "usdt" || !attachTarget || program.links.length > 0) continue;
      for (const { name, args } of source.usdtHooks(attachTarget)) {
        if (hasUsdtOperands(this.maps)) this.attachUsdt(program, name, { args });
        else program.attach({ hook: this.runtime.hooks.get("usdt", name) });
      }
    }
  }

  /**
   * Readers of all ring and perf buffers, for whoever runs programs by hand: drain() hands on what is there. An `output` is
   * begun here, gets the records too, and is the caller's to close.
   */
  openRecords(
    onRecord: ((record: MapRecord) => void) | null,
    options: Pick<RunOptions, "onLost" | "types" | "output"> = {},
  ): ObjectReading {
    const maps = Object.values(this.maps).filter(({ raw }) => isRecordMap(raw));
    const unknown = Object.keys(options.types ?? {}).find((name) => !maps.some((map) => map.name === name));
    if (unknown !== undefined) throw new UsageError("USAGE", `${this.name} has no map of records ${unknown}`);
    let output: RecordOutput | null = null;
    const opened = maps.map(({ name, type, raw }, index) => {
      const typing = new RecordTyping(raw, this.manifest.types, options.types?.[name]);
      // a ring of each worker: the others have one of each CPU, whose order does not depend on workers
      const ordered = type === "ringbuf" && this.runtime.crew !== null;
      const onLost = (count: bigint, cpu: number | null): void => {
        options.onLost?.(name, count, cpu);
        output?.lost(index, count, cpu);
      };
      return {
        name,
        type,
        typing,
        reader: openRecordReader(raw, this.runtime.cpus, { onLost, ordered }),
      };
    });
    try {
      output = this.#beginOutput(options.output, opened);
    } catch (error) {
      for (const { reader } of opened) reader.close();
      throw error;
    }
    const copier = new RecordCopier();
    const readings = opened.map(({ type, reader, typing }, index): Reading => {
      // what orders a ring buffer's records is no part of them: they are the same with any number of workers
      const isTimed = type !== "ringbuf";
      const { arena } = reader.map.world;
      return {
        reader,
        take: (address, length, cpu, stamp) => {
          const time = isTimed ? stamp : null;
          output?.write(index, arena.bytes.subarray(address, address + length), cpu, time);
          onRecord?.(typing.record(copier.copy(arena.bytes, address, length), cpu, time));
        },
      };
    });
    return new ObjectReading(readings, output);
  }

  #beginOutput(sink: RecordSink | undefined, maps: readonly OutputMap[]): RecordOutput | null {
    if (sink === undefined) return null;
    return new RecordOutput(sink, { cpus: this.runtime.cpus, types: this.manifest.types }, maps);
  }

  /** Detaches its programs, closes its maps, and the runtime where it was made for this object. */
  close(): void {
    this.#linked.close();
    this.#tiering?.close();
    if (this.#ownsRuntime) this.runtime.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/** All or none: a failure detaches those before. */
function attachAll(attaches: readonly (() => Link)[]): Link[] {
  const links: Link[] = [];
  try {
    for (const attach of attaches) links.push(attach());
    return links;
  } catch (error) {
    for (const link of links) link.detach();
    throw error;
  }
}
