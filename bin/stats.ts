/** `--stats`: runs and their time, of programs and links, as the kernel counts them while bpf_stats is enabled. */
import type { LoadedObject, RunCounts } from "../api/index.ts";
import type { CommonOptions } from "./options.ts";
import { printJson } from "./output.ts";
import type { ProfileArguments } from "./profile-options.ts";
import { textTable } from "./text-table.ts";

/** Measures until the object is closed. */
export function enableStats({ runtime }: LoadedObject, { stats }: ProfileArguments): void {
  if (stats === true) runtime.enableStats();
}

/** While links are attached still. */
export function reportStats(
  { programs }: LoadedObject,
  options: ProfileArguments & CommonOptions,
  print: (text: string) => void,
): void {
  if (options.stats !== true) return;
  const rows = Object.values(programs).flatMap(({ name, stats, links }) => [
    { program: name, link: null, ...stats },
    ...links.map(({ hook, runs, misses, ns }) => ({
      program: name,
      link: `${hook.kind} ${hook.name}`,
      runs,
      misses,
      ns,
    })),
  ]);
  if (options.json) for (const row of rows) printJson({ type: "stats", ...row });
  else print(`\n${statsText(rows)}`);
}

function statsText(rows: readonly ({ readonly program: string; readonly link: string | null } & RunCounts)[]): string {
  const cells = rows.map(({ program, link, runs, misses, ns }) => [
    link === null ? program : `  ${link}`,
    String(runs),
    String(ns),
    runs === 0 ? "" : (ns / runs).toFixed(1),
    String(misses),
  ]);
  return textTable([["program, link", "run_cnt", "run_time_ns", "ns/run", "recursion_misses"], ...cells]).join("\n");
}
