import { appendFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { test } from "vitest";
import { printProgram } from "../../compiler/asm/index.ts";
import { targetBtf } from "../filetests/runner/target.ts";
import { askKernel, compare, judge } from "./compare.ts";
import { randomProgram } from "./generate.ts";
import { kernelProgram } from "./kernel-functions.ts";

test("kf", { timeout: 600_000 }, () => {
  const n = Number(process.env.N ?? 1000),
    s0 = Number(process.env.SEED ?? 1);
  const btf = targetBtf()!;
  const counts: Record<string, number> = {};
  let accepted = 0;
  const msgs: Record<string, number> = {};
  writeFileSync("/tmp/kf/kf.txt", "");
  for (let at = 0; at < n; at += 500) {
    const programs = Array.from({ length: Math.min(500, n - at) }, (_, i) =>
      process.env.BASE ? randomProgram(s0 + at + i) : kernelProgram(s0 + at + i, btf),
    );
    const answers = askKernel(programs.map((p) => p.program))!;
    programs.forEach((p, i) => {
      const c = compare(judge(p.program, cpus().length), answers[i]!);
      counts[c.outcome] = (counts[c.outcome] ?? 0) + 1;
      if (answers[i]!.errno === null) accepted++;
      else {
        const m = (answers[i]!.message ?? "").replace(/\d+/g, "N").slice(0, 60);
        msgs[m] = (msgs[m] ?? 0) + 1;
      }
      if (c.outcome !== "same" && c.outcome !== "kernel bug")
        appendFileSync(
          "/tmp/kf/kf.txt",
          `${p.seed} ${c.outcome}: ours ${c.ours.errno} ${c.ours.message ?? c.ours.bug} ${c.ours.processed} | kernel ${c.kernel.errno} ${c.kernel.message} ${c.kernel.processed}\n`,
        );
    });
  }
  appendFileSync("/tmp/kf/kf.txt", `TOTAL ${n} accepted ${accepted} ${JSON.stringify(counts)}\n`);
  if (process.env.SHOW) appendFileSync("/tmp/kf/kf.txt", printProgram(kernelProgram(s0, btf).program.insns));
  appendFileSync(
    "/tmp/kf/kf.txt",
    Object.entries(msgs)
      .sort((a, b) => b[1] - a[1])
      .slice(0, 40)
      .map(([m, c]) => `  ${c} ${m}`)
      .join("\n"),
  );
});
