/** Files of the package that the benchmark reads. */
import { fileURLToPath } from "node:url";

/** Absolute path of a file, from dist/bench/ as from bench/. */
export function asset(path: string): string {
  const root = import.meta.url.endsWith(".ts") ? "../" : "../../";
  return fileURLToPath(new URL(`${root}${path}`, import.meta.url));
}

export const CAPTURE = asset("examples/captures/sched.perf.data");
/** clang's object of bench/workloads/NAME.bpf.c */
export const workloadObject = (name: "workloads" | "packets" | "tools" | "chain" | "maps" | "tracepoints"): string =>
  asset(`bench/workloads/${name}.bpf.o`);
