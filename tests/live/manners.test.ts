/** How `bpfjit trace` begins and ends where others have a say: signals, readers that go away, processes that end, terminals. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { load, openLive } from "../../api/index.ts";
import { jsonLines, ROOT } from "../command/command.ts";
import { COMMAND, canTrace } from "./tracing.ts";

const path = (name: string): string => fileURLToPath(new URL(`load/${name}`, import.meta.url));
const CALLS = path("calls.bpf.o");
const RATE = path("rate");
const TRACING = "/sys/kernel/tracing";

/** Names that the process has in the tracing files. */
const ownedBy = ({ pid }: ChildProcess): string[] =>
  [
    ...readdirSync(`${TRACING}/instances`),
    ...(readFileSync(`${TRACING}/uprobe_events`, "utf8").match(/\w+/g) ?? []),
  ].filter((name) => name.startsWith(`bpfjit_${pid}_`));

/** Of the rings of its instance. */
function eventsReadBy({ pid }: ChildProcess): number {
  const instances = `${TRACING}/instances`;
  try {
    const name = readdirSync(instances).find((each) => each.startsWith(`bpfjit_${pid}_`));
    const cpus = `${instances}/${name}/per_cpu`;
    const texts = readdirSync(cpus).map((cpu) => readFileSync(`${cpus}/${cpu}/stats`, "utf8"));
    return texts.reduce((sum, text) => sum + Number(/^read events: (\d+)$/m.exec(text)?.[1]), 0);
  } catch {
    // it is made, or goes
    return 0;
  }
}

/** `bpfjit trace`, as it runs. */
class Tracer {
  readonly process: ChildProcess;
  stdout = "";
  stderr = "";
  readonly #closed: Promise<unknown>;

  constructor(...args: readonly string[]) {
    this.process = spawn(process.execPath, [COMMAND, "trace", ...args], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout!.setEncoding("utf8").on("data", (text) => {
      this.stdout += text;
    });
    this.process.stderr!.setEncoding("utf8").on("data", (text) => {
      this.stderr += text;
    });
    this.#closed = once(this.process, "close");
  }

  /** Until it has read hundreds of events. */
  async recording(): Promise<void> {
    while (eventsReadBy(this.process) < 300 && this.process.exitCode === null) await pause(50);
  }

  /** Its exit code; nothing of it is left then. */
  async end(): Promise<number | null> {
    await this.#closed;
    expect(ownedBy(this.process)).toEqual([]);
    return this.process.exitCode;
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** While a process makes a thousand events a second. */
async function besideRate(use: (victim: ChildProcess) => Promise<void>): Promise<void> {
  const victim = spawn(RATE, ["1000", "600"], { stdio: "ignore" });
  try {
    await use(victim);
  } finally {
    victim.kill("SIGKILL");
  }
}

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

describe.skipIf(!canTrace)("tracing", () => {
  it.for(["SIGINT", "SIGTERM", "SIGHUP"] as const)("a process ends with %s: reported, and it runs on", (signal) =>
    besideRate(async (victim) => {
      const tracer = new Tracer(CALLS, "--json", "-p", String(victim.pid));
      await tracer.recording();
      tracer.process.kill(signal);
      expect(await tracer.end()).toBe(130);
      const summary = jsonLines(tracer.stdout).at(-1)!;
      expect(summary).toMatchObject({ type: "summary", lost: 0 });
      expect(summary.events).toBeGreaterThan(100);
      expect([victim.exitCode, victim.signalCode]).toEqual([null, null]);
    }),
  );

  it("ends at once with a second signal", () =>
    besideRate(async (victim) => {
      const tracer = new Tracer(CALLS, "-p", String(victim.pid));
      await tracer.recording();
      tracer.process.kill("SIGINT");
      tracer.process.kill("SIGTERM");
      expect(await tracer.end()).toBe(130);
    }));

  it("ends with the process, however that ends", () =>
    besideRate(async (victim) => {
      const tracer = new Tracer(CALLS, "--json", "-p", String(victim.pid));
      await tracer.recording();
      victim.kill("SIGKILL");
      expect(await tracer.end()).toBe(0);
      expect(jsonLines(tracer.stdout).at(-1)!.events).toBeGreaterThan(100);
    }));

  it.for([
    { what: "text", options: [] },
    { what: "JSON", options: ["--json"] },
    { what: "a capture", options: ["-o", "-"] },
  ])("ends where nobody reads $what any more", async ({ options }) => {
    const script = "for i in $(seq 100); do sleep 0.1; done";
    const tracer = new Tracer("examples/execlog.bpf.o", ...options, "--", "sh", "-c", script);
    await once(tracer.process.stdout!, "data");
    tracer.process.stdout!.destroy();
    expect(await tracer.end()).toBe(0);
    // it did not come to the end
    expect(tracer.stderr).toBe("");
  });

  it("that is ended before everything is attached does not begin its command", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bpfjit-manners-"));
    try {
      await using object = await load(CALLS, { runtimeOptions: { cpus: 64 } });
      const source = await openLive({ command: ["touch", join(folder, "made")] });
      source.stop();
      expect(await object.run(source)).toMatchObject({ events: 0, lost: [] });
      await pause(500);
      expect({ hasBegun: source.hasBegun, isMade: existsSync(join(folder, "made")) }).toEqual({
        hasBegun: false,
        isMade: false,
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("leaves nothing where the process ends before everything is attached", async () => {
    const victim = spawn("sleep", ["100"]);
    await once(victim, "spawn");
    await using object = await load(CALLS, { runtimeOptions: { cpus: 64 } });
    const source = await openLive({ pid: victim.pid! });
    victim.kill("SIGKILL");
    await once(victim, "exit");
    await expect(object.run(source)).rejects.toMatchObject({ code: "TRACING_TARGET" });
    expect(readdirSync(`${TRACING}/instances`).filter((name) => name.startsWith(`bpfjit_${process.pid}_`))).toEqual([]);
  });
});
