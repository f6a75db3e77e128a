/** Tracepoint throughput as a user has it: capture decoded → hook → program → ring → reader. */
import { readFileSync } from "node:fs";
import { bytesInput, load, openPerfData } from "../api/index.ts";
import { repeatCapture } from "./capture.ts";

export interface ThroughputWorkload {
  readonly name: string;
  readonly object: string;
  readonly summary: string;
}

export const THROUGHPUT: readonly ThroughputWorkload[] = [
  { name: "capture-count", object: "countcomm", summary: "count sched_switch by comm, from a perf.data capture" },
  { name: "capture-runqlat", object: "runqlat", summary: "run-queue latency histogram, from a perf.data capture" },
  { name: "capture-records", object: "opens", summary: "a perf record for every openat, from a perf.data capture" },
  {
    name: "capture-execs",
    object: "execlog",
    summary: "a record for every program that begins or ends, from the same",
  },
];

/** Copies of the small capture that make one sample. */
const COPIES = 100;

export class ThroughputEngine {
  readonly #objectPath: string;
  readonly #capture: Uint8Array;

  constructor(objectPath: string, capturePath: string) {
    this.#objectPath = objectPath;
    this.#capture = repeatCapture(readFileSync(capturePath), COPIES);
  }

  /** ns an event that ran a program, everything included but loading the object. */
  async run(): Promise<{ readonly nsPerEvent: number; readonly events: number; readonly records: number }> {
    const source = await openPerfData(bytesInput(this.#capture, "bench"));
    await using object = await load(this.#objectPath, { optimize: 2, runtimeOptions: { cpus: source.cpus } });
    let bytes = 0;
    const summary = await object.run(source, {
      onRecord: ({ data }) => {
        bytes += data.length;
      },
    });
    if (summary.records > 0 && bytes === 0) throw new Error("records without bytes");
    return { nsPerEvent: (summary.seconds * 1e9) / summary.events, events: summary.events, records: summary.records };
  }
}
