/**
 * Runs workloads on engines, sample by sample in turn, so that a machine whose speed drifts does not favour one engine; what
 * comes out are medians.
 */
import { UsageError } from "../base/index.ts";
import type { OptimizeLevel } from "../compiler/index.ts";
import { asset, CAPTURE, workloadObject } from "./assets.ts";
import { contestants, kernelProgram } from "./contestants.ts";
import { KernelEngine, startKernel } from "./kernel.ts";
import { PACKETS, PacketEngine, type PacketWorkload, packetBytes } from "./packets.ts";
import { type Baseline, type BenchRow, benchRow } from "./row.ts";
import { settle } from "./settle.ts";
import { THROUGHPUT, ThroughputEngine } from "./throughput.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

export interface BenchOptions {
  /** names; empty: all */
  readonly workloads: readonly string[];
  readonly baselines: readonly Baseline[];
  /** bpfjit is measured at each; ratios are of the first */
  readonly levels: readonly OptimizeLevel[];
  readonly samples: number;
  /** few batches a sample, and little before the first: to see that it works */
  readonly quick?: boolean;
  /** besides the calling thread alone, bpfjit with so many workers; 0: not */
  readonly workers: number;
  /** called when a workload is done, with the rows of its engines */
  readonly onRows: (rows: readonly BenchRow[]) => void;
  readonly onProgress: (text: string) => void;
}

/** Batches a sample of packets, and before the first. */
const PACKET_BATCHES = 24;
const PACKET_WARM_UP = 200;
/** The kernel's buffers hold so many runs of packets. */
const PACKET_REPEAT = 2;

export const workloadNames = (): string[] => [...WORKLOADS, ...PACKETS, ...THROUGHPUT].map(({ name }) => name);

/** Those that this machine has; the kernel's need Linux, rights and a C compiler. */
export async function availableBaselines(
  wanted: readonly Baseline[],
  onSkip: (text: string) => void,
): Promise<Baseline[]> {
  const isKernels = (name: Baseline): boolean => name.startsWith("kernel-");
  if (!wanted.some(isKernels)) return [...wanted];
  const { kernel, reason } = await startKernel();
  kernel?.close();
  if (kernel !== null) return [...wanted];
  onSkip(`${wanted.filter(isKernels).join(", ")}: ${reason}`);
  return wanted.filter((name) => !isKernels(name));
}

/** `baselines` are available. */
export async function runBench(options: BenchOptions): Promise<void> {
  const unknown = options.workloads.find((name) => !workloadNames().includes(name));
  if (unknown !== undefined)
    throw new UsageError("USAGE", `there is no workload ${unknown}`, {
      hint: `there are ${workloadNames().join(", ")}`,
    });
  const wanted = ({ name }: { readonly name: string }): boolean =>
    options.workloads.length === 0 || options.workloads.includes(name);
  const kernel = options.baselines.some((baseline) => baseline.startsWith("kernel-")) ? KernelEngine.start() : null;
  try {
    for (const workload of WORKLOADS.filter(wanted)) {
      options.onProgress(workload.name);
      options.onRows(await runWorkload(workload, kernel, options));
    }
    for (const workload of PACKETS.filter(wanted)) {
      options.onProgress(workload.name);
      options.onRows(await runPackets(workload, kernel, options));
    }
    for (const workload of THROUGHPUT.filter(wanted)) {
      options.onProgress(workload.name);
      const engine = new ThroughputEngine(asset(`examples/${workload.object}.bpf.o`), CAPTURE);
      const samples: number[] = [];
      await engine.run();
      if (!options.quick) await settle();
      for (let sample = 0; sample < options.samples; sample++) samples.push((await engine.run()).nsPerEvent);
      options.onRows([benchRow(workload.name, "bpfjit", samples)]);
    }
  } finally {
    kernel?.close();
  }
}

/** Rows of bpfjit first. */
export async function runWorkload(
  workload: Workload,
  kernel: KernelEngine | null,
  options: Pick<BenchOptions, "baselines" | "levels" | "workers" | "samples" | "quick">,
): Promise<BenchRow[]> {
  const field = await contestants(workload, { ...options, kernel });
  try {
    for (const each of field) await each.warmUp();
    if (!options.quick) await settle();
    const samples = field.map((): number[] => []);
    for (let sample = 0; sample < options.samples; sample++)
      for (const [index, each] of field.entries()) samples[index]!.push(await each.sample());
    return field.map((each, index) => benchRow(workload.name, each.engine, samples[index]!, each));
  } finally {
    for (const each of field) each.close();
  }
}

async function runPackets(
  workload: PacketWorkload,
  kernel: KernelEngine | null,
  options: BenchOptions,
): Promise<BenchRow[]> {
  const engine = await PacketEngine.start(workloadObject("packets"), workload);
  try {
    engine.run(options.quick ? 1 : PACKET_WARM_UP);
    if (!options.quick) await settle();
    const loop = options.baselines.includes("kernel-loop") ? await loadPackets(kernel!, workload) : null;
    const [own, kernels]: [number[], number[]] = [[], []];
    for (let sample = 0; sample < options.samples; sample++) {
      own.push(engine.run(options.quick ? 1 : PACKET_BATCHES));
      if (loop !== null) kernels.push(await loop());
    }
    return [
      benchRow(workload.name, "bpfjit", own),
      ...(loop === null ? [] : [benchRow(workload.name, "kernel-loop", kernels)]),
    ];
  } finally {
    engine.close();
  }
}

async function loadPackets(kernel: KernelEngine, workload: PacketWorkload): Promise<() => Promise<number>> {
  const program = kernelProgram("packets", `kernel_${workload.program}`);
  const handle = await kernel.load(program, null);
  return async () => (await kernel.run(handle, PACKET_REPEAT, packetBytes(workload))) / workload.events;
}
