/**
 * `npm run bench:check [-- NAME…]`: fails (exit 1) where something has become slower than bench/baseline.json says. `--update` stores what
 * is measured instead, of the names given or of all.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
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
/** What looks slower is measured again after all others: what was in the way, or in the kernel's, may be gone by then. */
const ROUNDS = 4;
/** What is stored is the median of so many rounds over all. */
const STORED_ROUNDS = 3;
const BETWEEN_MS = 3000;

type Makers = ReadonlyMap<string, () => Promise<Subject>>;

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith("--"));
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
    const wanted = [...known.keys()].filter((name) => names.length === 0 || names.includes(name));
    return args.includes("--update") ? await update(known, wanted, stored) : await check(known, wanted, stored);
  } finally {
    kernel?.close();
  }
}

async function check(known: Makers, wanted: readonly string[], { ratios }: StoredBaseline): Promise<number> {
  const best = new Map<string, Ratios>();
  let slower: readonly string[] = wanted;
  for (let round = 0; round < ROUNDS && slower.length > 0; round++) {
    if (round > 0) await sleep(BETWEEN_MS);
    const left: string[] = [];
    for (const name of slower) {
      const measured = await measure(known, name);
      const before = best.get(name);
      const found = before === undefined ? measured : better(before, measured);
      best.set(name, found);
      const verdict = judge(name, found, ratios[name]);
      if (verdict.isSlower) left.push(name);
      process.stdout.write(`${verdictLine(verdict, round + 1 < ROUNDS ? "again" : "SLOWER")}\n`);
    }
    slower = left;
  }
  if (slower.length === 0) return 0;
  process.stdout.write(`slower by more than ${TOLERANCE} times: ${slower.join(", ")}\n`);
  return 1;
}

/** Stores neither a lucky measurement, which others would look slow beside, nor one that was disturbed. */
async function update(known: Makers, wanted: readonly string[], stored: StoredBaseline): Promise<number> {
  const all = new Map<string, Ratios[]>(wanted.map((name) => [name, []]));
  for (let round = 0; round < STORED_ROUNDS; round++)
    for (const [name, found] of all) {
      found.push(await measure(known, name));
      process.stdout.write(
        `${round + 1} of ${STORED_ROUNDS} ${name.padEnd(20)} ${JSON.stringify(rounded(found.at(-1)!))}\n`,
      );
    }
  const ratios = {
    ...stored.ratios,
    ...Object.fromEntries([...all].map(([name, found]) => [name, rounded(middle(found))])),
  };
  writeFileSync(BASELINE, `${JSON.stringify({ machine: machineText(), ratios }, null, 2)}\n`);
  return 0;
}

async function measure(known: Makers, name: string): Promise<Ratios> {
  const subject = await known.get(name)!();
  try {
    return await measureRatios(subject, { samples: SAMPLES, calibrate });
  } finally {
    subject.close();
  }
}

function verdictLine({ name, yardstick, ratio, stored, isSlower }: Verdict, slower: string): string {
  const change = stored === null ? "nothing stored" : `${(ratio / stored).toFixed(2)} times ${stored.toPrecision(3)}`;
  const verdict = isSlower ? slower : "ok";
  return `${verdict.padEnd(7)}${name.padEnd(20)} ${ratio.toPrecision(3).padStart(8)} of ${yardstick.padEnd(12)} ${change}`;
}

const rounded = (found: Ratios): Ratios =>
  JSON.parse(
    JSON.stringify(found, (_key, value) => (typeof value === "number" ? Number(value.toPrecision(4)) : value)),
  );

process.exitCode = await main(process.argv.slice(2));
