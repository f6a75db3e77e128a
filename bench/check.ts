/**
 * `npm run bench:check [-- NAME…]`: fails (exit 1) where something has become slower than bench/baseline.json says. `--update` stores what
 * is measured instead, of the names given or of all.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { asset } from "./assets.ts";
import { calibrate } from "./calibration.ts";
import { startKernel } from "./kernel.ts";
import { machineText } from "./machine.ts";
import {
  better,
  judge,
  measureRatios,
  middle,
  type Ratios,
  type StoredBaseline,
  type Subject,
  TOLERANCE,
  type Verdict,
} from "./regression.ts";
import { subjects } from "./subjects.ts";

const BASELINE = asset("bench/baseline.json");
const SAMPLES = 7;
/** What looks slower is measured again before it counts: another process may have been in the way. */
const ATTEMPTS = 4;
/** What is stored is the median of so many. */
const STORED_ATTEMPTS = 3;

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith("--"));
  const isUpdate = args.includes("--update");
  const stored = JSON.parse(readFileSync(BASELINE, "utf8")) as StoredBaseline;
  const { kernel, reason } = await startKernel();
  if (kernel === null) process.stderr.write(`the yardstick is a loop of JavaScript: ${reason}\n`);
  try {
    const known = subjects(kernel);
    const unknown = names.filter((name) => !known.has(name));
    if (unknown.length > 0 || args.some((arg) => arg.startsWith("--") && arg !== "--update")) {
      process.stderr.write(`usage: check [--update] [NAME…], of ${[...known.keys()].join(", ")}\n`);
      return 2;
    }
    const found: Record<string, Ratios> = isUpdate ? { ...stored.ratios } : {};
    const slower: Verdict[] = [];
    for (const [name, make] of known) {
      if (names.length > 0 && !names.includes(name)) continue;
      const subject = await make();
      try {
        found[name] = isUpdate ? await usual(subject) : await measured(subject, stored.ratios[name]);
      } finally {
        subject.close();
      }
      if (isUpdate) {
        process.stdout.write(`stored ${name.padEnd(20)} ${JSON.stringify(rounded({ ratios: found[name]! }).ratios)}\n`);
        continue;
      }
      const verdict = judge(name, found[name]!, stored.ratios[name]);
      if (verdict.isSlower) slower.push(verdict);
      process.stdout.write(`${verdictLine(verdict)}\n`);
    }
    if (isUpdate)
      writeFileSync(BASELINE, `${JSON.stringify({ machine: machineText(), ratios: rounded(found) }, null, 2)}\n`);
    else if (slower.length > 0)
      process.stdout.write(`slower by more than ${TOLERANCE} times: ${slower.map(({ name }) => name).join(", ")}\n`);
    return slower.length > 0 ? 1 : 0;
  } finally {
    kernel?.close();
  }
}

async function measured(subject: Subject, stored: Ratios | undefined): Promise<Ratios> {
  let ratios = await measureRatios(subject, { samples: SAMPLES, calibrate });
  for (let attempt = 1; attempt < ATTEMPTS && judge(subject.name, ratios, stored).isSlower; attempt++)
    ratios = better(ratios, await measureRatios(subject, { samples: SAMPLES, calibrate }));
  return ratios;
}

/** What is stored: neither a lucky measurement, which others would look slow beside, nor one that was disturbed. */
async function usual(subject: Subject): Promise<Ratios> {
  const all: Ratios[] = [];
  for (let attempt = 0; attempt < STORED_ATTEMPTS; attempt++)
    all.push(await measureRatios(subject, { samples: SAMPLES, calibrate }));
  return middle(all);
}

function verdictLine({ name, yardstick, ratio, stored, isSlower }: Verdict): string {
  const change = stored === null ? "nothing stored" : `${(ratio / stored).toFixed(2)} times ${stored.toPrecision(3)}`;
  const verdict = isSlower ? "SLOWER" : "ok";
  return `${verdict.padEnd(7)}${name.padEnd(20)} ${ratio.toPrecision(3).padStart(8)} of ${yardstick.padEnd(12)} ${change}`;
}

const rounded = (found: Readonly<Record<string, Ratios>>): Record<string, Ratios> =>
  JSON.parse(
    JSON.stringify(found, (_key, value) => (typeof value === "number" ? Number(value.toPrecision(4)) : value)),
  );

process.exitCode = await main(process.argv.slice(2));
