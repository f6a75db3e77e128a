/** The workloads by name: programs of bench/workloads/workloads.bpf.c, in the order of the table. */
export interface Workload {
  readonly name: string;
  /** C name of the program; the kernel's variant is kernel_NAME */
  readonly program: string;
  readonly summary: string;
  /** records are written, so a reader has to drain them between runs */
  readonly output: "records" | "perf" | null;
}

const row = (name: string, program: string, summary: string, output: Workload["output"] = null): Workload => ({
  name,
  program,
  summary,
  output,
});

export const WORKLOADS: readonly Workload[] = [
  row("empty", "empty", "return 0"),
  row("counter", "counter", "add 1 to an array element"),
  row("counter-atomic", "counter_atomic", "the same by an atomic add"),
  row("percpu-counter", "percpu_counter", "add 1 to a per-CPU array element"),
  row("hash-count", "hash_count", "count by pid in a hash, 1,024 keys"),
  row("hash-count-atomic", "hash_count_atomic", "the same by an atomic add"),
  row("hash-update", "hash_update", "update an existing key by pid"),
  row("hash-comm", "hash_comm", "count by comm, 16-byte key"),
  row("ring", "ring", "filter, then reserve and submit a record of 64 bytes", "records"),
  row("perf-output", "perf_output", "a perf record of 64 bytes for every event", "perf"),
  row("histogram", "histogram", "log2 histogram"),
  row("compute", "compute", "mix 224 bytes into a hash"),
];
