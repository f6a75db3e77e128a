/**
 * Many events: what is lost, by the kernel's own count, and what tracing costs. BPFJIT_LOAD_SECONDS says for how long 100,000
 * events a second are made (default 3; 30 is the measurement that docs/live.md tells of).
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { load, openLive } from "../../api/index.ts";
import { canTrace } from "./tracing.ts";

const path = (name: string): string => fileURLToPath(new URL(`load/${name}`, import.meta.url));
const INSTANCES = "/sys/kernel/tracing/instances";
const SECONDS = Number(process.env.BPFJIT_LOAD_SECONDS ?? 3);
const RATE = 100_000;
const LOSSES = /^(?:overrun|commit overrun|dropped events): (\d+)$/gm;

/** Counts a command's calls, while somebody else looks at what the kernel counts as lost. */
async function countCalls(command: readonly string[], bufferKilobytes?: number) {
  await using object = await load(path("calls.bpf.o"), { runtimeOptions: { cpus: 64 } });
  const source = await openLive({ command, commandOutput: 2, bufferKilobytes });
  let counted = 0;
  const watcher = setInterval(() => {
    counted = kernelsLosses() ?? counted;
  }, 50);
  try {
    const { events, seconds, lost } = await object.run(source);
    const told = lost.reduce((sum, { count }) => sum + Number(count), 0);
    return { events, lost: told, counted, cpuShare: source.cpuSeconds / seconds };
  } finally {
    clearInterval(watcher);
  }
}

/** Of the instance of this process; null: there is none. */
function kernelsLosses(): number | null {
  const name = readdirSync(INSTANCES).find((each) => each.startsWith(`bpfjit_${process.pid}_`));
  if (name === undefined) return null;
  const cpus = join(INSTANCES, name, "per_cpu");
  const texts = readdirSync(cpus).map((cpu) => readFileSync(join(cpus, cpu, "stats"), "utf8"));
  return texts.flatMap((text) => [...text.matchAll(LOSSES)]).reduce((sum, [, count]) => sum + Number(count), 0);
}

describe.skipIf(!canTrace)("a command that makes", () => {
  it(
    `100,000 events a second for ${SECONDS} s loses none that the kernel does not count, and costs little`,
    async () => {
      const { events, lost, counted, cpuShare } = await countCalls([path("rate"), String(RATE), String(SECONDS)]);
      expect(events).toBe(RATE * SECONDS - lost);
      expect(lost).toBe(counted);
      expect(lost).toBeLessThan((RATE * SECONDS) / 1000);
      expect(cpuShare).toBeLessThan(0.3);
      if (process.env.BPFJIT_LOAD_SECONDS === undefined) return;
      process.stdout.write(`${events} events, ${lost} lost, ${(cpuShare * 100).toFixed(1)} % of a CPU\n`);
    },
    SECONDS * 3000 + 60_000,
  );

  it("more than its ring holds has the rest counted as lost, to the event", async () => {
    // what is lost is known while it sleeps; its end comes behind
    const { events, lost, counted } = await countCalls(["sh", "-c", `${path("rate")} 2000000 0.5; sleep 2`], 16);
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBe(counted);
    // what tells of tasks may be among what is lost
    expect(events + lost).toBeGreaterThanOrEqual(1_000_000);
    expect(events + lost).toBeLessThan(1_000_020);
  });
});
