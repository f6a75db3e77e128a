/** The workloads by name: programs of bpf.c files in bench/workloads/, in the order of the table. */
export interface Workload {
  readonly name: string;
  readonly object: "workloads" | "tools" | "chain";
  /** `basic`: one operation each; `tool`: what real tools do; `size`: records by their size */
  readonly group: "basic" | "tool" | "size";
  /** C name of the program; the kernel's variant is kernel_NAME */
  readonly program: string;
  readonly summary: string;
  /** records are written, so a reader has to drain them between runs */
  readonly output: "records" | "perf" | null;
  /** events of one run in the kernel, where records are so large that a ring does not hold those of all */
  readonly kernelEvents?: number;
  /** how often the program is attached to the hook, if not once; a test run in the kernel runs one program once */
  readonly links?: number;
  /** programs to load with it: a prog array's are all there, or none */
  readonly others?: readonly string[];
  /** an event is a run in the kernel too, so that it has no loop of its own */
  readonly oneRun?: boolean;
}

function row(name: string, program: string, summary: string, output: Workload["output"] = null): Workload {
  return { name, object: "workloads", group: "basic", program, summary, output };
}

/** What real tools do, bench/workloads/tools.bpf.c. */
function tool(name: string, summary: string, detail: Partial<Workload> = {}): Workload {
  return { name, object: "tools", group: "tool", program: name.replaceAll("-", "_"), summary, output: null, ...detail };
}

/** bpfjit's time to the kernel's that is wanted, by workload; none should be over 1.25. */
export const TARGETS: Readonly<Record<string, number>> = {
  empty: 0.5,
  counter: 0.5,
  "counter-atomic": 1.25,
  "percpu-counter": 1.0,
  "hash-count": 0.45,
  "hash-count-atomic": 0.55,
  "hash-update": 0.45,
  "hash-comm": 0.45,
  ring: 0.25,
  "perf-output": 0.25,
  histogram: 0.4,
  compute: 0.9,
};

export const WORKLOADS: readonly Workload[] = [
  row("empty", "empty", "return 0"),
  row("counter", "counter", "add 1 to an array element"),
  row("counter-atomic", "counter_atomic", "the same by an atomic add"),
  row("percpu-counter", "percpu_counter", "add 1 to a per-CPU array element"),
  row("hash-count", "hash_count", "count by pid in a hash, 1,024 keys"),
  row("hash-count-atomic", "hash_count_atomic", "the same by an atomic add"),
  row("percpu-hash-count", "percpu_hash_count", "count by pid in a per-CPU hash"),
  row("lru-count", "lru_count", "count by pid in an LRU hash with room"),
  row("lru-full", "lru_full", "the same with room for half of the keys"),
  row("hash-update", "hash_update", "update an existing key by pid"),
  row("hash-comm", "hash_comm", "count by comm, 16-byte key"),
  row("ring", "ring", "filter, then reserve and submit a record of 64 bytes", "records"),
  row("perf-output", "perf_output", "a perf record of 64 bytes for every event", "perf"),
  row("histogram", "histogram", "log2 histogram"),
  row("compute", "compute", "mix 224 bytes into a hash, one for all CPUs"),
  row("compute-percpu", "compute_percpu", "the same, a hash for each CPU"),
  tool("exec-record", "a record of 104 bytes for every event: task, name, a string read", { output: "records" }),
  tool("runqlat", "a time by pid kept and taken out again, the difference in a histogram"),
  tool("biolatency", "the same with 16-byte keys, and a histogram for each of 16 disks"),
  tool("syscount", "the same, calls and time by one of 256 numbers"),
  tool("filter-1", "one of a hundred events passes and becomes a record", { program: "filter", output: "records" }),
  tool("tail-calls", "33 tail calls, which is as long as a chain can be", {
    object: "chain",
    others: ["once_tail_calls"],
    oneRun: true,
  }),
  tool("programs-64", "64 programs on one event, each adds to an array element", { program: "one_of_many", links: 64 }),
  ...sizes(16),
  ...sizes(64),
  ...sizes(256, { kernelEvents: 4096 }),
  ...sizes(1500, { kernelEvents: 1024 }),
];

function sizes(bytes: number, detail: Pick<Workload, "kernelEvents"> = {}): Workload[] {
  return [
    row(
      `perf-copy-${bytes}`,
      `copy_${bytes}`,
      `a perf record of ${bytes} bytes, copied from where it was made`,
      "perf",
    ),
    row(`perf-reserve-${bytes}`, `reserve_${bytes}`, "the same, made in the buffer; in the kernel copied", "perf"),
    row(`ring-${bytes}`, `ring_${bytes}`, "the same, made in a ring buffer", "records"),
  ].map((workload) => ({ ...workload, group: "size", ...detail }));
}
