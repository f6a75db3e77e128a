/**
 * bpfjit ended at random moments, also by SIGKILL: nothing of it is left after the next start, what it traced runs on, and one
 * that runs beside it is left alone. BPFJIT_KILLS sets how often (default 10, 200 take ten minutes); FUZZ_SEED repeats a run.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAbandoned, processState } from "../../runtime/sources/live/owner.ts";
import { bpfjit, jsonLines, ROOT } from "../command/command.ts";
import { makeRandom } from "../sources/damage.ts";
import { COMMAND, canProbe } from "./tracing.ts";

const path = (name: string): string => fileURLToPath(new URL(`load/${name}`, import.meta.url));
const RATE = path("rate");
const OBJECTS = [path("calls.bpf.o"), "examples/execsnoop.bpf.o"];
const SIGNALS = ["SIGKILL", "SIGTERM", "SIGINT"] as const;
const TRACING = "/sys/kernel/tracing";
const KILLS = Number(process.env.BPFJIT_KILLS ?? 10);

/** Names of owners in the tracing files. */
const owners = (): string[] => [
  ...readdirSync(`${TRACING}/instances`).filter((name) => name.startsWith("bpfjit_")),
  ...(readFileSync(`${TRACING}/uprobe_events`, "utf8").match(/\bbpfjit_[0-9_]+/g) ?? []),
];
const ownedBy = ({ pid }: ChildProcess): string[] => owners().filter((name) => name.startsWith(`bpfjit_${pid}_`));
const isInstance = (name: string): boolean => existsSync(`${TRACING}/instances/${name}`);
const isRunning = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

const start = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [COMMAND, "trace", ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });

/** The command that it traces, when that has begun; null: it has not, or there is none. */
function commandOf({ pid }: ChildProcess): number | null {
  try {
    const [first = ""] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    return first !== "" && readlinkSync(`/proc/${first}/exe`) === RATE ? Number(first) : null;
  } catch {
    return null;
  }
}

/** Until it has something in the tracing files, or has ended. */
async function attached(child: ChildProcess): Promise<void> {
  while (isRunning(child) && ownedBy(child).length === 0) await pause(5);
}

describe.skipIf(!canProbe)("bpfjit trace", () => {
  let victim: ChildProcess;
  let beside: ChildProcess;
  /** with probes in files that all share */
  let probing: ChildProcess;
  let told = "";

  beforeAll(async () => {
    victim = spawn(RATE, ["300", "100000"], { stdio: "ignore" });
    beside = start([OBJECTS[0]!, "--json", "-p", String(victim.pid)]);
    beside.stdout!.on("data", (text) => {
      told += text;
    });
    probing = start(["examples/opensnoop.bpf.o", "-p", String(victim.pid)]);
    await Promise.all([beside, probing].map(attached));
    // the instance comes behind the probes
    while (ownedBy(probing).length === 0 || !ownedBy(probing).some(isInstance)) await pause(20);
  });
  /** process ids that the test must not leave behind, should it fail */
  const started = new Set<number>();
  afterAll(async () => {
    for (const child of [victim, beside, probing]) {
      child.kill("SIGKILL");
      if (isRunning(child)) await once(child, "exit");
    }
    for (const pid of started) if (processState(pid)?.isDead === false) process.kill(pid, "SIGKILL");
    // probes in libc that the killed ones leave slow everybody down
    await bpfjit(["trace", OBJECTS[0]!, "--", "true"]);
    expect(owners().filter(isAbandoned)).toEqual([]);
  });

  it(
    `leaves nothing, ${KILLS} times`,
    async () => {
      const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
      const random = makeRandom(seed);
      const theirs = [beside, probing].map(ownedBy);
      expect(theirs.map(({ length }) => length > 1)).toEqual([false, true]);
      for (let run = 0; run < KILLS; run++) {
        const signal = SIGNALS[random(3)]!;
        const target = random(2) === 0 ? ["-p", String(victim.pid)] : ["--", RATE, "300", "60"];
        const child = start([OBJECTS[random(2)]!, ...target]);
        started.add(child.pid!);
        let errors = "";
        child.stderr!.on("data", (text) => {
          errors += text;
        });
        // while it loads and attaches, or while it traces
        if (random(3) === 0) await pause(random(2000));
        else await attached(child).then(() => pause(random(4) * random(300)));
        const command = commandOf(child);
        if (command !== null) started.add(command);
        child.kill(signal);
        if (isRunning(child)) await once(child, "exit");
        const isGone = command !== null && processState(command)?.isDead !== false;
        const where = `FUZZ_SEED=${seed} run ${run} ${signal} ${child.exitCode} ${errors}`;
        expect([130, 0, null], where).toContain(child.exitCode);
        if (child.signalCode !== "SIGKILL") expect(ownedBy(child), where).toEqual([]);
        expect([victim, beside, probing].map(isRunning), where).toEqual([true, true, true]);
        expect(isGone, where).toBe(false);
        if (command !== null) process.kill(command);
        started.delete(child.pid!);
        started.delete(command ?? 0);
      }
      expect((await bpfjit(["trace", OBJECTS[0]!, "--", "true"])).code).toBe(0);
      expect(owners().filter(isAbandoned)).toEqual([]);
      expect([beside, probing].map(ownedBy)).toEqual(theirs);
    },
    60_000 + KILLS * 20_000,
  );

  it("reports when it is told to end, and lets the process run", async () => {
    beside.kill("SIGTERM");
    if (isRunning(beside)) await once(beside, "close");
    expect(beside.exitCode).toBe(130);
    expect(jsonLines(told).at(-1)).toMatchObject({ type: "summary", lost: 0 });
    expect(jsonLines(told).at(-1)!.events).toBeGreaterThan(300);
    expect(ownedBy(beside)).toEqual([]);
    expect(isRunning(victim)).toBe(true);
  });
});
