/**
 * Runs workloads on engines, sample by sample in turn, so that a machine whose speed drifts does not favour one engine; what
 * comes out are medians.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BugError, UsageError } from "../base/index.ts";
import { type Program, readObject } from "../compiler/index.ts";
import { BpfjitEngine } from "./engine.ts";
import { EVENT_COUNT, generateEvents } from "./events.ts";
import { JsEngine } from "./js.ts";
import { KernelEngine } from "./kernel.ts";
import { PACKETS, PacketEngine, type PacketWorkload, packetBytes } from "./packets.ts";
import { median } from "./statistics.ts";
import { THROUGHPUT, ThroughputEngine } from "./throughput.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

export const BASELINES = ["kernel-loop", "kernel-repeat", "js"] as const;
export type Baseline = (typeof BASELINES)[number];
export type EngineName = "bpfjit" | Baseline;

export interface BenchRow {
  readonly workload: string;
  readonly engine: EngineName;
  readonly nsPerEvent: number;
  readonly eventsPerSecond: number;
  readonly workers: number;
  readonly samples: number;
  /** of the samples, ns an event */
  readonly fastest: number;
  readonly slowest: number;
}

export interface BenchOptions {
  /** names; empty: all */
  readonly workloads: readonly string[];
  readonly baselines: readonly Baseline[];
  readonly samples: number;
  /** besides the calling thread alone, bpfjit with so many workers; 0: not */
  readonly workers: number;
  /** called when a workload is done, with the rows of its engines */
  readonly onRows: (rows: readonly BenchRow[]) => void;
  readonly onProgress: (text: string) => void;
}

const OBJECT = asset("bench/workloads/workloads.bpf.o");
const PACKET_OBJECT = asset("bench/workloads/packets.bpf.o");
const CAPTURE = asset("examples/captures/sched.perf.data");
/** Section of the events in the kernel's variant. */
const EVENTS_MAP = ".bss";
/** Batches a sample of bpfjit, and runs a sample of the kernel: a few ms each. */
const BATCHES = 24;
/** Rings are drained behind a run, so that they must hold what it writes. */
const OUTPUT_REPEAT = 2;
const REPEAT = 16;
/** Before the first sample: V8 compiles a hot module optimised after some ms. */
const WARM_UP_BATCHES = 200;

export const workloadNames = (): string[] => [...WORKLOADS, ...PACKETS, ...THROUGHPUT].map(({ name }) => name);

export async function runBench(options: BenchOptions): Promise<void> {
  const unknown = options.workloads.find((name) => !workloadNames().includes(name));
  if (unknown !== undefined)
    throw new UsageError("USAGE", `there is no workload ${unknown}`, {
      hint: `there are ${workloadNames().join(", ")}`,
    });
  const wanted = (name: string): boolean => options.workloads.length === 0 || options.workloads.includes(name);
  const kernel = options.baselines.some((baseline) => baseline !== "js") ? KernelEngine.start() : null;
  try {
    for (const workload of WORKLOADS)
      if (wanted(workload.name)) options.onRows(await runWorkload(workload, kernel, options));
    for (const workload of PACKETS)
      if (wanted(workload.name)) options.onRows(await runPackets(workload, kernel, options));
    for (const workload of THROUGHPUT) {
      if (!wanted(workload.name)) continue;
      options.onProgress(workload.name);
      const engine = new ThroughputEngine(asset(`examples/${workload.object}.bpf.o`), CAPTURE);
      const samples: number[] = [];
      await engine.run();
      for (let sample = 0; sample < options.samples; sample++) samples.push((await engine.run()).nsPerEvent);
      options.onRows([row(workload.name, "bpfjit", samples)]);
    }
  } finally {
    kernel?.close();
  }
}

async function runWorkload(
  workload: Workload,
  kernel: KernelEngine | null,
  options: BenchOptions,
): Promise<BenchRow[]> {
  options.onProgress(workload.name);
  const payload = generateEvents();
  const { workers } = options;
  const bpfjit = await BpfjitEngine.start(OBJECT, workload, payload);
  const together = workers === 0 ? null : await BpfjitEngine.start(OBJECT, workload, payload, workers);
  try {
    const engines: {
      readonly name: EngineName;
      readonly workers?: number;
      readonly sample: () => number | Promise<number>;
      readonly samples: number[];
    }[] = [{ name: "bpfjit", sample: () => bpfjit.run(BATCHES), samples: [] }];
    if (together !== null)
      engines.push({ name: "bpfjit", workers, sample: () => together.runTogether(BATCHES), samples: [] });
    const js = options.baselines.includes("js") && JsEngine.has(workload) ? new JsEngine(workload, payload) : null;
    if (js !== null) engines.push({ name: "js", sample: () => js.run(BATCHES), samples: [] });
    for (const baseline of options.baselines) {
      if (baseline === "js") continue;
      engines.push({ name: baseline, sample: await kernelSample(kernel!, baseline, workload, payload), samples: [] });
    }
    bpfjit.run(WARM_UP_BATCHES);
    js?.run(WARM_UP_BATCHES);
    await together?.runTogether(WARM_UP_BATCHES);
    for (let sample = 0; sample < options.samples; sample++)
      for (const engine of engines) engine.samples.push(await engine.sample());
    return engines.map((engine) => row(workload.name, engine.name, engine.samples, engine.workers));
  } finally {
    together?.close();
    bpfjit.close();
  }
}

async function runPackets(
  workload: PacketWorkload,
  kernel: KernelEngine | null,
  options: BenchOptions,
): Promise<BenchRow[]> {
  options.onProgress(workload.name);
  const engine = await PacketEngine.start(PACKET_OBJECT, workload);
  try {
    engine.run(WARM_UP_BATCHES);
    const loop = options.baselines.includes("kernel-loop") ? await loadPackets(kernel!, workload) : null;
    const [own, kernels]: [number[], number[]] = [[], []];
    for (let sample = 0; sample < options.samples; sample++) {
      own.push(engine.run(BATCHES));
      if (loop !== null) kernels.push(await loop());
    }
    return [row(workload.name, "bpfjit", own), ...(loop === null ? [] : [row(workload.name, "kernel-loop", kernels)])];
  } finally {
    engine.close();
  }
}

async function loadPackets(kernel: KernelEngine, workload: PacketWorkload): Promise<() => Promise<number>> {
  const { programs } = readObject(readFileSync(PACKET_OBJECT), { name: PACKET_OBJECT });
  const program = programs.find((outcome) => outcome.ok && outcome.program.name === `kernel_${workload.program}`);
  if (!program?.ok) throw new BugError(`${PACKET_OBJECT} has no kernel_${workload.program}`);
  const handle = await kernel.load(program.program, { bytes: new Uint8Array(0), map: EVENTS_MAP });
  return async () => (await kernel.run(handle, OUTPUT_REPEAT, packetBytes(workload))) / workload.events;
}

/** kernel-loop: the body EVENT_COUNT times inside bpf_loop; kernel-repeat: one event a run, which costs some ns by itself. */
async function kernelSample(
  kernel: KernelEngine,
  baseline: Exclude<Baseline, "js">,
  workload: Workload,
  payload: Uint8Array,
): Promise<() => Promise<number>> {
  const isLoop = baseline === "kernel-loop";
  const handle = await kernel.load(programNamed(`${isLoop ? "kernel" : "once"}_${workload.program}`), {
    bytes: payload,
    map: EVENTS_MAP,
  });
  if (isLoop)
    return async () =>
      (await kernel.run(handle, workload.output === null ? REPEAT : OUTPUT_REPEAT)) /
      (workload.kernelEvents ?? EVENT_COUNT);
  return async () => kernel.run(handle, workload.output === null ? 1_000_000 : EVENT_COUNT);
}

let programs: Map<string, Program> | null = null;

/** Of one reading of the object, so that all programs share its maps. */
function programNamed(name: string): Program {
  programs ??= new Map(
    readObject(readFileSync(OBJECT), { name: OBJECT }).programs.flatMap((outcome) =>
      outcome.ok ? [[outcome.program.name, outcome.program] as const] : [],
    ),
  );
  return programs.get(name)!;
}

function row(workload: string, engine: EngineName, samples: readonly number[], workers = 1): BenchRow {
  const nsPerEvent = median(samples);
  return {
    workload,
    engine,
    nsPerEvent,
    eventsPerSecond: 1e9 / nsPerEvent,
    workers,
    samples: samples.length,
    fastest: Math.min(...samples),
    slowest: Math.max(...samples),
  };
}

/** A file of the package, from dist/bench/. */
function asset(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}
