/** What --profile costs: workloads compiled without it, compiled with it and not sampled, and sampled a thousand times a second. */
import { BpfjitEngine } from "../engine.ts";
import { generateEvents } from "../events.ts";
import { settle } from "../settle.ts";
import { median } from "../statistics.ts";
import { WORKLOADS, type Workload } from "../workloads.ts";
import type { MeasureOptions, Table, TableRow } from "./table.ts";

const MEASURED: readonly Workload[] = WORKLOADS.filter(({ group, links }) => group !== "size" && links === undefined);

export const profile: Table = {
  name: "profile",
  summary: "What --profile costs: ns an event of workloads compiled without it, with it, and sampled once in 1000 µs.",
  columns: [
    { key: "workload", title: "workload" },
    { key: "without", title: "without", digits: 2 },
    { key: "marked", title: "compiled with it", digits: 2 },
    { key: "sampled", title: "sampled", digits: 2 },
    { key: "more", title: "% more", digits: 0 },
    { key: "places", title: "places in the code" },
  ],
  async *measure(options) {
    for (const workload of options.quick ? MEASURED.slice(0, 2) : MEASURED) {
      options.onProgress(`profile ${workload.name}`);
      yield await costOf(workload, options);
    }
  },
};

async function costOf(workload: Workload, { quick }: MeasureOptions): Promise<TableRow> {
  const payload = generateEvents();
  const batches = quick ? 2 : 24;
  const times = { without: [] as number[], marked: [] as number[], sampled: [] as number[] };
  const plain = await BpfjitEngine.start(workload, payload);
  try {
    const marked = await BpfjitEngine.start(workload, payload, { profile: true });
    try {
      for (const engine of [plain, marked]) engine.run(quick ? 2 : 200);
      if (!quick) await settle();
      for (let sample = 0; sample < (quick ? 1 : 7); sample++) {
        times.without.push(plain.run(batches));
        times.marked.push(marked.run(batches));
        const profiler = await marked.object.runtime.startProfile();
        times.sampled.push(marked.run(batches));
        await profiler.stop();
      }
      const [without, sampled] = [median(times.without), median(times.sampled)];
      return {
        workload: workload.name,
        without,
        marked: median(times.marked),
        sampled,
        more: (sampled / without - 1) * 100,
        places: marked.object.manifest.profile!.places.length,
      };
    } finally {
      marked.close();
    }
  } finally {
    plain.close();
  }
}
