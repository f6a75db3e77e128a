/**
 * USDT probes of a running program: operands in registers and memory, semaphores, and what is left when bpfjit is killed.
 * KILLS sets how often that is at a random moment (default 4); FUZZ_SEED repeats a run.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it } from "vitest";
import { load, type MapRecord, openLive } from "../../api/index.ts";
import { makeRandom } from "../sources/damage.ts";
import { COMMAND, canProbe, fixture } from "./tracing.ts";

const PROGRAM = fixture("orders");
const KILLS = Number(process.env.KILLS ?? 4);
const TRACING = "/sys/kernel/tracing";

/** The program under test: commands in, lines out. */
class Orders {
  readonly process: ChildProcess = spawn(PROGRAM, { stdio: ["pipe", "pipe", "inherit"] });
  readonly #lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();

  async line(): Promise<string> {
    return (await this.#lines.next()).value as string;
  }
  say(command: string): void {
    this.process.stdin!.write(`${command}\n`);
  }
  async pid(): Promise<number> {
    return Number((await this.line()).slice("pid ".length));
  }
  async semaphore(): Promise<number> {
    this.say("semaphore");
    return Number((await this.line()).slice("semaphore ".length));
  }
  /** Passes the probes; what the program says that it passed to them. */
  async fire(times: number): Promise<string[][]> {
    this.say(`fire ${times}`);
    const lines: string[][] = [];
    for (let line = await this.line(); line !== "done"; line = await this.line()) lines.push(split(line));
    return lines;
  }
}

/** `order ID PRICE NAME`; names have blanks */
const split = (line: string): string[] => /^order (\S+) (\S+) (.*)$/.exec(line)!.slice(1);

const started: ChildProcess[] = [];
function startOrders(): Orders {
  const orders = new Orders();
  started.push(orders.process);
  return orders;
}
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

interface Found {
  readonly values: readonly bigint[];
  readonly results: readonly bigint[];
  readonly cookie: bigint;
  readonly count: bigint;
  readonly text: string;
}

async function trace(pid: number, probes: Readonly<Record<string, string>>, during: () => Promise<void>) {
  const object = await load(fixture("probes.bpf.o"), { runtimeOptions: { cpus: 64 } });
  try {
    const source = await openLive({ pid, userMemory: "strict" });
    for (const [program, probe] of Object.entries(probes)) {
      for (const { name, args } of source.usdtHooks(probe)) {
        object.attachUsdt(object.program(program), name, { args, cookie: BigInt(args.length) });
      }
    }
    const found: Found[] = [];
    const running = object.run(source, {
      onRecord: ({ fields }: MapRecord) => found.push(fields as unknown as Found),
      types: { founds: "found" },
    });
    await Promise.race([until(() => groups(`bpfjit_${process.pid}_`).some(isEnabled)), running]);
    await during();
    source.stop();
    await running;
    return found;
  } finally {
    object.close();
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 1000) throw new Error("it does not come to pass");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Groups of probe events whose names begin so. */
function groups(prefix: string): string[] {
  const text = readFileSync(`${TRACING}/uprobe_events`, "utf8");
  return [...new Set(text.split("\n").flatMap((line) => /^[pr]:([^/]+)\//.exec(line)?.[1] ?? []))].filter((name) =>
    name.startsWith(prefix),
  );
}

const isEnabled = (group: string): boolean =>
  readdirSync(`${TRACING}/instances`).some((name) => {
    try {
      return readFileSync(`${TRACING}/instances/${name}/events/${group}/enable`, "latin1").startsWith("1");
    } catch {
      return false;
    }
  });

describe.skipIf(!canProbe)("a USDT probe", () => {
  it("gives its operands: registers, memory, constants, and the texts they point to", async () => {
    const orders = startOrders();
    const pid = await orders.pid();
    let fired: string[][] = [];
    const found = await trace(pid, { on_order: `${PROGRAM}:shop:order` }, async () => {
      fired = await orders.fire(50);
    });
    expect(fired.length).toBe(50);
    expect(found.map(({ values, text }) => [...values.map((value) => BigInt.asIntN(64, value)), text])).toEqual(
      fired.map(([id, price, name]) => {
        const number = BigInt(id!);
        return [number, BigInt(price!), expect.anything(), number * 3n, 77n, -number, name];
      }),
    );
    for (const { results, count } of found) {
      expect(results).toEqual([0n, 0n, 0n, 0n, 0n, 0n]);
      expect(count).toBe(6n);
    }
  }, 60_000);

  it("at several places with operands of their own is a hook for each, and may have them in a table", async () => {
    const orders = startOrders();
    const pid = await orders.pid();
    const probes = { on_order: `${PROGRAM}:shop:twice`, on_indexed: `${PROGRAM}:shop:indexed` };
    let fired: string[][] = [];
    const found = await trace(pid, probes, async () => {
      fired = await orders.fire(4);
    });
    const byOperands = (args: string) => found.filter(({ cookie }) => cookie === BigInt(args.length));
    expect(byOperands("8@%rdi").map(({ values }) => values[0])).toEqual([1n, 2n, 3n, 4n]);
    expect(byOperands("-4@$5").map(({ values }) => values[0])).toEqual([5n, 5n, 5n, 5n]);
    const sold = await trace(pid, { on_indexed: `${PROGRAM}:shop:sold` }, async () => {
      await orders.fire(3);
    });
    expect(sold.map(({ values }) => values.slice(0, 2))).toEqual([1n, 2n, 3n].map((id) => [id * 1000003n, 1n]));
    expect(byOperands("8@(%rax,%rdi,8)").map(({ values }) => values[0])).toEqual(
      fired.map(([id, price]) => BigInt(price!) + (BigInt(id!) & 3n)),
    );
  }, 60_000);

  it("has its semaphore raised while it is traced, in children too, and lowered afterwards", async () => {
    const orders = startOrders();
    const pid = await orders.pid();
    expect(await orders.semaphore()).toBe(0);
    await trace(pid, { on_order: `${PROGRAM}:shop:order` }, async () => {
      expect(await orders.semaphore()).toBe(1);
      orders.say("fork");
      await orders.pid();
      expect(await orders.semaphore()).toBe(1);
    });
    expect(await orders.semaphore()).toBe(0);
  }, 60_000);

  it("that a killed bpfjit left raised is lowered by the next start, which leaves living ones alone", async () => {
    const orders = startOrders();
    const pid = await orders.pid();
    const killed = await startTracer(pid);
    const other = startOrders();
    const living = await startTracer(await other.pid());
    // the kernel counts the place once, whoever listens, and in every process that has it
    expect([await orders.semaphore(), await other.semaphore()]).toEqual([1, 1]);
    killed.kill("SIGKILL");
    await until(() => killed.signalCode !== null);
    expect(await orders.semaphore()).toBe(1);
    expect(groups(`bpfjit_${killed.pid}_`).length).toBe(1);
    // any start: of another process, with other programs
    await openLive({ command: ["true"] });
    expect(groups(`bpfjit_${killed.pid}_`)).toEqual([]);
    expect(groups(`bpfjit_${living.pid}_`).length).toBe(1);
    expect([await orders.semaphore(), await other.semaphore()]).toEqual([1, 1]);
    living.kill("SIGKILL");
    await until(() => living.signalCode !== null);
    expect([await orders.semaphore(), await other.semaphore()]).toEqual([1, 1]);
    await openLive({ command: ["true"] });
    expect([await orders.semaphore(), await other.semaphore()]).toEqual([0, 0]);
    expect(groups(`bpfjit_${living.pid}_`)).toEqual([]);
    expect((await orders.fire(1)).length).toBe(1);
  }, 60_000);

  it(
    `whose tracers are killed at random moments, ${KILLS} times, is lowered by the next start`,
    async () => {
      const orders = startOrders();
      const pid = await orders.pid();
      const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
      const random = makeRandom(seed);
      for (let run = 0; run < KILLS; run++) {
        // before it has probes, while it makes or has them, and while it takes them away
        const child = spawnTracer(pid);
        const traces = random(3) > 0;
        if (traces) await until(() => child.exitCode !== null || groups(`bpfjit_${child.pid}_`).length > 0);
        await pause(random(traces ? 300 : 3000));
        if (random(4) === 0) child.kill("SIGTERM");
        await pause(random(2) * random(100));
        child.kill("SIGKILL");
        await until(() => child.signalCode !== null || child.exitCode !== null);
        expect([0, 1], `FUZZ_SEED=${seed} run ${run}`).toContain(await orders.semaphore());
      }
      await openLive({ command: ["true"] });
      expect(await orders.semaphore(), `FUZZ_SEED=${seed}`).toBe(0);
      for (const child of started) expect(groups(`bpfjit_${child.pid}_`)).toEqual([]);
      expect((await orders.fire(1)).length).toBe(1);
    },
    20_000 + KILLS * 20_000,
  );

  it("that the file does not have is an error that lists those it has", async () => {
    const { pid } = startOrders().process;
    const source = await openLive({ pid: pid! });
    expect(() => source.usdtHooks(`${PROGRAM}:shop:absent`)).toThrow(/has no USDT probe shop:absent/);
    await expect(trace(pid!, { on_order: "libc:shop:order" }, async () => {})).rejects.toMatchObject({
      code: "ATTACH_TARGET",
    });
    await expect(trace(pid!, { on_order: "order" }, async () => {})).rejects.toMatchObject({ errno: "EINVAL" });
  }, 60_000);
});

/** A bpfjit of its own that traces the probe `order` until it is told to end. */
async function startTracer(pid: number): Promise<ChildProcess> {
  const child = spawnTracer(pid);
  await until(() => child.exitCode !== null || groups(`bpfjit_${child.pid}_`).some(isEnabled));
  return child;
}

function spawnTracer(pid: number): ChildProcess {
  const args = [COMMAND, "trace", "sections.bpf.o", "--prog", "on_order", "-p", String(pid)];
  const child = spawn(process.execPath, args, { cwd: fixture(""), stdio: ["ignore", "ignore", "inherit"] });
  started.push(child);
  return child;
}
