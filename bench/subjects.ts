/** What `npm run bench:check` measures: the workloads, captures, and loading a program. */
import { BugError } from "../base/index.ts";
import { lowerObject, verify } from "../compiler/index.ts";
import { asset, CAPTURE } from "./assets.ts";
import { contestants } from "./contestants.ts";
import type { KernelEngine } from "./kernel.ts";
import { longFilter } from "./long-filter.ts";
import type { Subject } from "./regression.ts";
import { THROUGHPUT, ThroughputEngine } from "./throughput.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

const LOAD_INSTRUCTIONS = 2_000;

/** By name, made when they are asked for, since each holds maps and rings. */
export function subjects(kernel: KernelEngine | null): ReadonlyMap<string, () => Promise<Subject>> {
  return new Map([
    ...WORKLOADS.map((workload) => [workload.name, () => workloadSubject(workload, kernel)] as const),
    ...THROUGHPUT.map(
      ({ name, object }) =>
        [
          name,
          async (): Promise<Subject> => {
            const engine = new ThroughputEngine(asset(`examples/${object}.bpf.o`), CAPTURE);
            await engine.run();
            return { name, sample: async () => (await engine.run()).nsPerEvent, kernel: null, close: () => {} };
          },
        ] as const,
    ),
    ["load", loadSubject] as const,
  ]);
}

/** Warm. */
export async function workloadSubject(workload: Workload, kernel: KernelEngine | null): Promise<Subject> {
  const baselines = kernel === null ? [] : (["kernel-loop"] as const);
  const field = await contestants(workload, { baselines, levels: [2], workers: 0, kernel });
  const [own, other] = field;
  if (own === undefined) throw new BugError(`nothing runs ${workload.name}`);
  await own.warmUp();
  return {
    name: workload.name,
    sample: own.sample,
    kernel: other === undefined ? null : async () => other.sample(),
    close: () => {
      for (const each of field) each.close();
    },
  };
}

/** ms to verify and compile, the first tier: what stands between a program and its first event. */
async function loadSubject(): Promise<Subject> {
  const program = longFilter(LOAD_INSTRUCTIONS);
  const sample = async (): Promise<number> => {
    const started = performance.now();
    const verdict = verify(program);
    if (verdict.verdict !== "accepted") throw verdict.error;
    const { name, license, maps } = program;
    await lowerObject({ name, license, maps, types: {}, programs: [verdict.program] }, { optimize: 0 });
    return performance.now() - started;
  };
  await sample();
  return { name: "load", sample, kernel: null, close: () => {} };
}
