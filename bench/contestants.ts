/** The engines that take part in a workload, ready to give samples in turn. */
import { readFileSync } from "node:fs";
import { BugError } from "../base/index.ts";
import { type OptimizeLevel, type Program, readObject } from "../compiler/index.ts";
import { workloadObject } from "./assets.ts";
import { BpfjitEngine, type EngineOptions } from "./engine.ts";
import { EVENT_COUNT, generateEvents } from "./events.ts";
import { HostHelpersEngine } from "./host-helpers.ts";
import { JsEngine } from "./js.ts";
import type { KernelEngine } from "./kernel.ts";
import type { Baseline, EngineName } from "./row.ts";
import type { Workload } from "./workloads.ts";

export interface Contestant {
  readonly engine: EngineName;
  readonly workers: number;
  readonly optimize: OptimizeLevel | null;
  readonly bufferBytes: number | null;
  /** ns an event */
  readonly sample: () => number | Promise<number>;
  /** until its code is as fast as it gets */
  readonly warmUp: () => unknown;
  readonly close: () => void;
}

export interface Field {
  readonly baselines: readonly Baseline[];
  /** the first is the one that ratios are of */
  readonly levels: readonly OptimizeLevel[];
  /** bpfjit with so many workers too; 0: not */
  readonly workers: number;
  readonly kernel: KernelEngine | null;
  /** to see that it works */
  readonly quick?: boolean;
}

/** Section of the events in the kernel's variant. */
const EVENTS_MAP = ".bss";
/** Batches a sample of bpfjit, and runs a sample of the kernel: a few ms each. */
const BATCHES = 24;
/** Times as many where workers were woken: the system may put them on one CPU, and takes ten ms to find that the other is idle. */
const TOGETHER = 8;
/** Rings are drained behind a run, so that they must hold what it writes. */
const OUTPUT_REPEAT = 2;
const REPEAT = 16;
/** Single runs a sample: some ms too. */
const ONE_EVENT_REPEAT = 1_000_000;
/**
 * Workers sleep while their buffers are read, and wake with cold caches: in buffers so large they run for some ms before that. What
 * they are compared with, one thread, has the same.
 */
const WORKERS_BUFFER_BYTES = 32 * 2 ** 20;
/** One for each worker, and one for the calling thread, stay well below what the runtime's memory may grow to. */
const BUFFERS_BYTES = 512 * 2 ** 20;
/** Before the first sample: V8 compiles a hot module optimised after some ms. */
const WARM_UP_BATCHES = 200;
const QUICK = { batches: 2, together: 2, warmUp: 2 } as const;

/** bpfjit first, then the others in the order asked for, without those that cannot run this workload. Close them all. */
export async function contestants(workload: Workload, field: Field): Promise<Contestant[]> {
  const payload = generateEvents();
  const found: Contestant[] = [];
  try {
    const counts = countsFor(workload, field.quick === true);
    const input = { workload, payload, counts };
    for (const optimize of field.levels) found.push(await ours(input, { optimize }));
    if (field.workers > 0 && workload.links === undefined) {
      const bufferBytes = workersBufferBytes(field.workers);
      const fixed = { optimize: field.levels[0]!, ...(hasBuffers(workload) && { bufferBytes }) };
      if (hasBuffers(workload)) found.push(await ours(input, fixed));
      found.push(await ours(input, { ...fixed, workers: field.workers }));
    }
    for (const baseline of field.baselines) {
      const other = await baselineOf(baseline, input, field.kernel);
      if (other !== null) found.push(other);
    }
    return found;
  } catch (error) {
    for (const each of found) each.close();
    throw error;
  }
}

interface Counts {
  /** batches a sample, of one thread and of workers, and before the first */
  readonly batches: number;
  readonly together: number;
  readonly warmUp: number;
}

interface Input {
  readonly workload: Workload;
  readonly payload: Uint8Array;
  readonly counts: Counts;
}

/** Samples take as long where an event is many runs. */
function countsFor({ links = 1 }: Workload, quick: boolean): Counts {
  if (quick) return QUICK;
  const batches = Math.max(3, Math.ceil(BATCHES / links));
  return { batches, together: TOGETHER * batches, warmUp: Math.ceil(WARM_UP_BATCHES / links) };
}

function workersBufferBytes(workers: number): number {
  let bytes = WORKERS_BUFFER_BYTES;
  while (bytes * (workers + 1) > BUFFERS_BYTES) bytes /= 2;
  return bytes;
}

const hasBuffers = ({ output }: Workload): boolean => output === "records" || output === "perf";

async function ours(
  { workload, payload, counts }: Input,
  options: EngineOptions & { readonly optimize: OptimizeLevel },
): Promise<Contestant> {
  const { optimize, workers = 0, bufferBytes = null } = options;
  const engine = await BpfjitEngine.start(workload, payload, options);
  const run = workers === 0 ? engine.run.bind(engine) : engine.runTogether.bind(engine);
  return {
    engine: "bpfjit",
    workers: Math.max(1, workers),
    optimize,
    bufferBytes,
    sample: () => run(workers === 0 ? counts.batches : counts.together),
    warmUp: () => run(counts.warmUp),
    close: () => engine.close(),
  };
}

async function baselineOf(
  baseline: Baseline,
  { workload, payload, counts }: Input,
  kernel: KernelEngine | null,
): Promise<Contestant | null> {
  const fixed = { engine: baseline, workers: 1, optimize: null, bufferBytes: null };
  if (baseline === "kernel-loop" || baseline === "kernel-repeat") {
    if (workload.links !== undefined || (baseline === "kernel-loop" && workload.oneRun === true)) return null;
    const sample = await kernelSample(kernel!, baseline, workload, payload);
    return { ...fixed, sample, warmUp: () => {}, close: () => {} };
  }
  const engine =
    baseline === "js" ? JsEngine.start(workload, payload) : await HostHelpersEngine.start(workload, payload);
  if (engine === null) return null;
  return {
    ...fixed,
    sample: () => engine.run(counts.batches),
    warmUp: () => engine.run(counts.warmUp),
    close: () => engine.close(),
  };
}

/** kernel-loop: the body EVENT_COUNT times inside bpf_loop; kernel-repeat: one event a run, which costs some ns by itself. */
async function kernelSample(
  kernel: KernelEngine,
  baseline: "kernel-loop" | "kernel-repeat",
  workload: Workload,
  payload: Uint8Array,
): Promise<() => Promise<number>> {
  const isLoop = baseline === "kernel-loop";
  const program = kernelProgram(workload.object, `${isLoop ? "kernel" : "once"}_${workload.program}`);
  const handle = await kernel.load(program, { bytes: payload, map: EVENTS_MAP });
  if (isLoop)
    return async () =>
      (await kernel.run(handle, workload.output === null ? REPEAT : OUTPUT_REPEAT)) /
      (workload.kernelEvents ?? EVENT_COUNT);
  return async () =>
    kernel.run(handle, workload.oneRun ? EVENT_COUNT : workload.output === null ? ONE_EVENT_REPEAT : EVENT_COUNT);
}

const read = new Map<string, ReadonlyMap<string, Program>>();

/** Of one reading of the object, so that all programs share its maps. */
export function kernelProgram(object: Parameters<typeof workloadObject>[0], name: string): Program {
  let programs = read.get(object);
  if (programs === undefined) {
    const path = workloadObject(object);
    const outcomes = readObject(readFileSync(path), { name: path }).programs;
    programs = new Map(outcomes.flatMap((each) => (each.ok ? [[each.program.name, each.program] as const] : [])));
    read.set(object, programs);
  }
  const program = programs.get(name);
  if (program === undefined) throw new BugError(`there is no program ${name} in ${object}`);
  return program;
}
