/** The workloads by name: programs of bench/workloads/workloads.bpf.c, in the order of the table. */
export interface Workload {
  readonly name: string;
  /** C name of the program; the kernel's variant is kernel_NAME */
  readonly program: string;
  readonly summary: string;
  /** records are written, so a reader has to drain them between runs */
  readonly output: "records" | "perf" | null;
  /** events of one run in the kernel, where records are so large that a ring does not hold those of all */
  readonly kernelEvents?: number;
}

function row(name: string, program: string, summary: string, output: Workload["output"] = null): Workload {
  return { name, program, summary, output };
}

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
  row("compute", "compute", "mix 224 bytes into a hash"),
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
  ].map((workload) => ({ ...workload, ...detail }));
}
