/** What was wanted of what `bpfjit bench` has measured: how much of it is met, and why what is not. */
import type { Figures } from "../bench/figure-pages.ts";
import { outcomesOf } from "../bench/targets.ts";
import { printJson, printLine } from "./output.ts";

/** Prints nothing where nothing of it is a target. `json`: a line each. */
export function printTargets(figures: Figures, json: boolean): void {
  const outcomes = outcomesOf(figures);
  if (json) {
    for (const { what, wanted, measured, isMet, limit } of outcomes)
      printJson({ target: plain(what), wanted, measured, met: isMet, ...(limit !== null && { why: plain(limit) }) });
    return;
  }
  if (outcomes.length === 0) return;
  const missed = outcomes.filter(({ isMet }) => !isMet);
  printLine("");
  printLine(
    `targets: ${outcomes.length - missed.length} of ${outcomes.length} met${missed.length === 0 ? "" : "; not met:"}`,
  );
  for (const { what, wanted, measured } of missed) printLine(`- ${plain(what)}: ${measured}, wanted ${wanted}`);
  for (const limit of new Set(missed.flatMap(({ limit }) => limit ?? []))) printLine(`  ${plain(limit)}`);
}

/** The pages' text without its marks. */
const plain = (text: string): string =>
  text
    .replaceAll(/\[below\]\((#[^)]+)\)/g, "docs/performance.md$1")
    .replaceAll(/\[([^\]]+)\]\((#[^)]+)\)/g, "$1 (docs/performance.md$2)")
    .replaceAll("`", "");
