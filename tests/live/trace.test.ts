/**
 * `bpfjit trace` on commands and processes: what the kernel recorded is what programs see. BPFJIT_TRACE_RUNS says how often
 * execsnoop is run (default 1).
 */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { load, openLive } from "../../api/index.ts";
import { bpfjit, jsonLines } from "../command/command.ts";
import { canProbe, canTrace } from "./tracing.ts";

const path = (name: string): string => fileURLToPath(new URL(`load/${name}`, import.meta.url));
const CALLS = path("calls.bpf.o");
const RUNS = Number(process.env.BPFJIT_TRACE_RUNS ?? 1);
const REFUSED = path("refused.bpf.o");
const RATE = path("rate");
const INSTANCES = "/sys/kernel/tracing/instances";

// each starts the command several times, which takes its time on a busy machine
vi.setConfig({ testTimeout: 180_000 });

interface Summary {
  readonly events: number;
  readonly records: number;
  readonly lost: number;
  readonly cpuShare: number;
  readonly command: { readonly exitCode: number | null; readonly signal: string | null } | null;
}

/** What `trace --json` says at the end of the programs of calls.bpf.c, and what else there is. */
async function traceCalls(...args: readonly string[]) {
  const { code, stdout, stderr } = await bpfjit(["trace", CALLS, "--json", ...args]);
  const lines = jsonLines(stdout);
  const entries = (name: string) =>
    lines.filter((line) => line.type === "map" && line.name === name).map((line) => line.entries as readonly Entry[]);
  const counts = entries("calls").map((each) => each.map(({ fields }) => fields.value));
  const summary = lines.find(({ type }) => type === "summary") as unknown as Summary;
  return { code, counts, variables: entries("calls.bss").at(-1)?.[0]?.value, summary, stderr };
}
interface Entry {
  readonly value: string;
  readonly fields: { readonly key: number; readonly value: number };
}
/** last_time and backwards of calls.bpf.c */
const NEVER_BACKWARDS = /^[0-9a-f]{16}0{16}$/;

describe.skipIf(!canProbe)("execsnoop", () => {
  const SCRIPT = "for i in 1 2 3; do /bin/true; done";

  it(
    `prints exactly the files that were executed, in order, ${RUNS} times`,
    async () => {
      for (let run = 0; run < RUNS; run++) {
        const { code, stdout, stderr } = await bpfjit(["trace", "examples/execsnoop.bpf.o", "--", "sh", "-c", SCRIPT]);
        const lines = stdout.trimEnd().split("\n");
        expect(lines, stderr).toEqual([
          expect.stringMatching(
            /^execs: pid=\d+ uid=0 comm="sh" args="(\/\S*\/)?sh -c for i in 1 2 3; do \/bin\/true; done"$/,
          ),
          ...Array(3).fill(expect.stringMatching(/^execs: pid=\d+ uid=0 comm="true" args="\/bin\/true"$/)),
        ]);
        expect(new Set(lines.map((line) => /pid=\d+/.exec(line)?.[0])).size).toBe(4);
        expect(code).toBe(0);
      }
    },
    60_000 * RUNS,
  );

  it("tells the same in JSON, with what was counted", async () => {
    const { code, stdout } = await bpfjit(["trace", "examples/execsnoop.bpf.o", "--json", "--", "sh", "-c", SCRIPT]);
    const lines = jsonLines(stdout);
    const execs = lines.filter(({ type }) => type === "record").map(({ fields }) => fields as Record<string, unknown>);
    expect(execs.map(({ comm, args, uid }) => ({ comm, args, uid }))).toEqual([
      { comm: "sh", args: expect.stringMatching(/sh -c for i in 1 2 3; do \/bin\/true; done$/), uid: 0 },
      ...Array(3).fill({ comm: "true", args: "/bin/true", uid: 0 }),
    ]);
    expect(new Set(execs.map(({ pid }) => pid)).size).toBe(4);
    expect(lines.at(-1)).toMatchObject({ type: "summary", events: 8, records: 4, lost: 0, command: { exitCode: 0 } });
    expect(code).toBe(0);
  });
});

describe.skipIf(!canTrace)("a command", () => {
  it("has the waiting times of its threads drawn by runqlat", async () => {
    const script = "for i in 1 2 3 4 5; do sleep 0.01 & done; wait";
    const { code, stdout } = await bpfjit(["trace", "examples/runqlat.bpf.o", "--", "sh", "-c", script]);
    expect(stdout).toMatch(/hists \(hash, 1 entry\)\n +value +count\n(?: +\d+ \.\. +\d+ +\d+ *█*[▏▎▍▌▋▊▉]?\n)+/);
    expect(code).toBe(0);
  });

  it("on several CPUs has its events in order of time", async () => {
    const several = `${RATE} 20000 1 & ${RATE} 20000 1 & ${RATE} 20000 1 & wait`;
    const { counts, variables, summary } = await traceCalls("--", "sh", "-c", several);
    expect(summary.lost).toBe(0);
    expect(counts[0]!.filter((count) => count === 20_000).length).toBe(3);
    expect(variables).toMatch(NEVER_BACKWARDS);
  });

  it("tells its own exit status, and does not become bpfjit's", async () => {
    expect(await traceCalls("--", "sh", "-c", "exit 7")).toMatchObject({
      code: 0,
      summary: { command: { exitCode: 7, signal: null } },
    });
    expect(await traceCalls("--", "sh", "-c", "kill -KILL $$")).toMatchObject({
      code: 0,
      summary: { command: { exitCode: null, signal: "SIGKILL" } },
    });
  });

  it("runs on after --max-events and --duration", async () => {
    const most = await traceCalls("--max-events", "77", "--", RATE, "1000", "2");
    expect(most).toMatchObject({ code: 0, counts: [[77]], summary: { events: 77, command: null } });
    const short = await traceCalls("--duration", "2", "--", RATE, "1000", "10");
    expect(short).toMatchObject({ code: 0, summary: { command: null } });
    expect(short.summary.events).toBeGreaterThan(0);
    expect(short.summary.events).toBeLessThan(10_000);
  });

  it("has its maps told in intervals", async () => {
    const { counts } = await traceCalls("--interval", "0.2", "--map", "calls", "--", RATE, "1000", "1");
    expect(counts.length).toBeGreaterThan(2);
    const told = counts.flat();
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(1000);
  });

  it("prints among the results, but not among JSON", async () => {
    const text = await bpfjit(["trace", CALLS, "--no-maps", "--", "echo", "hello"]);
    expect(text.stdout).toBe("hello\n");
    const json = await bpfjit(["trace", CALLS, "--json", "--no-maps", "--", "echo", "hello"]);
    expect(jsonLines(json.stdout).map(({ type }) => type)).toEqual(["summary"]);
    expect(json.stderr).toBe("hello\n");
  });
});

describe.skipIf(!canTrace)("a process", () => {
  it("with many threads is seen with those that it starts, and its children, until it ends", async () => {
    const child = spawn(path("threads"), ["50", "1000"], { stdio: ["pipe", "ignore", "inherit"] });
    try {
      await using object = await load(CALLS, { runtimeOptions: { cpus: 64 } });
      const source = await openLive({ pid: child.pid! });
      const run = object.run(source);
      await recording(process.pid);
      child.stdin!.write("\n");
      const summary = await run;
      expect(summary).toMatchObject({ events: 100_007, lost: [], truncated: null, aborted: false });
      const counted = object.map("calls").entries();
      expect(new Map(counted).get(child.pid!)).toBe(100_000n);
      expect(source.status).toBeNull();
      // a source can be run once
      await expect(object.run(source)).rejects.toMatchObject({ code: "CLOSED" });
    } finally {
      child.kill();
    }
  });

  it("is let go by stop(), with everything that was recorded", async () => {
    const child = spawn(RATE, ["1000", "60"], { stdio: "ignore" });
    try {
      await using object = await load(CALLS, { runtimeOptions: { cpus: 64 } });
      const source = await openLive({ pid: child.pid! });
      const run = object.run(source);
      await recording(process.pid);
      await new Promise((resolve) => setTimeout(resolve, 300));
      source.stop();
      expect((await run).events).toBeGreaterThan(200);
      expect(child.exitCode).toBeNull();
      expect(instancesOf(process.pid)).toEqual([]);
    } finally {
      child.kill();
    }
  });
});

describe("what cannot be traced", () => {
  it.for([
    [["-p", "999999999"], /there is no process 999999999/],
    [["--", "no-such-command"], /there is no command no-such-command/],
    [["--", "/etc/passwd"], /\/etc\/passwd is not executable/],
    [[], /give a process with -p, or a command/],
    [["-p", "1", "--", "true"], /give a process with -p, or a command/],
    [["--duration", "soon", "--", "true"], /--duration must be a number of seconds/],
    [["--user-memory", "some", "--", "true"], /--user-memory is/],
  ] as const)("%s is said", async ([args, message]) => {
    if (!canTrace && !/give|must|is$/.test(message.source)) return;
    const { code, stdout, stderr } = await bpfjit(["trace", CALLS, ...args]);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it.skipIf(!canTrace).for([
    ["no_event", 2, /this kernel has no event syscalls\/sys_enter_of_no_kernel/],
    ["no_arguments", 4, /raw tracepoint cgroup_mkdir cannot be fed/],
    ["no_kprobe", 4, /kprobe do_unlinkat cannot be traced/],
  ] as const)("program %s is refused by name, and the command does not run", async ([program, status, message]) => {
    const { code, stdout, stderr } = await bpfjit(["trace", REFUSED, "--prog", program, "--", "echo", "ran"]);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/hint: /);
    expect({ code, stdout }).toEqual({ code: status, stdout: "" });
  });

  it.skipIf(!canTrace)("leaves out what --prog does not name", async () => {
    const { code, stdout } = await bpfjit(["trace", REFUSED, "--prog", "count_exec", "--json", "--", "true"]);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ events: 1 });
    expect(code).toBe(0);
  });

  it.skipIf(!canTrace)("nothing is, without the rights", () => {
    // given up when all is imported, which others may not be allowed to read
    const script = `
      import { openSource } from "${LIVE}/open.js";
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      ${told("openSource({ pid: 1 })")}
    `;
    const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    expect(stderr).toMatch(/TRACING_UNAVAILABLE EACCES the kernel's tracing files are for root only/);
  });

  it.skipIf(!canTrace || !has("unshare"))("nothing is, without tracefs", () => {
    const script = `umount -a -t tracefs; exec ${process.execPath} --input-type=module -e '${OPEN}'`;
    const { stderr } = spawnSync("unshare", ["-m", "sh", "-c", script], { encoding: "utf8" });
    expect(stderr).toMatch(/TRACING_UNAVAILABLE ENOENT tracefs is not mounted/);
  });

  it.skipIf(!canTrace || !has("unshare"))("nothing is, where the tracing files can only be read", () => {
    const script = `mount -o remount,bind,ro /sys/kernel/tracing; exec ${process.execPath} --input-type=module -e '${OPEN}'`;
    const { stderr } = spawnSync("unshare", ["-m", "sh", "-c", script], { encoding: "utf8" });
    expect(stderr).toMatch(
      /TRACING_UNAVAILABLE EACCES the kernel's tracing files in \/sys\/kernel\/tracing can only be read/,
    );
  });

  it.skipIf(!canTrace || !has("unshare"))("nothing is, with process numbers of a container", () => {
    const args = ["--pid", "--fork", "--mount-proc", process.execPath, "--input-type=module", "-e", OPEN];
    const { stderr } = spawnSync("unshare", args, { encoding: "utf8" });
    expect(stderr).toMatch(/TRACING_UNAVAILABLE EOPNOTSUPP process numbers are a container's/);
  });

  it("nothing is, on another system", async () => {
    const platform = Object.getOwnPropertyDescriptor(process, "platform")!;
    Object.defineProperty(process, "platform", { ...platform, value: "darwin" });
    try {
      await expect(openLive({ pid: 1 })).rejects.toMatchObject({ code: "TRACING_UNAVAILABLE" });
    } finally {
      Object.defineProperty(process, "platform", platform);
    }
  });
});

const told = (call: string): string =>
  `try { ${call}; } catch (error) { console.error(error.code, error.errno, error.message); }`;
const LIVE = new URL("../../dist/runtime/sources/live", import.meta.url).href;
/** Opens a source, in a process of its own. */
const OPEN = `
  import { openLive } from "${LIVE}/index.js";
  ${told("await openLive({ pid: 1 })")}
`;

const has = (command: string): boolean => spawnSync(command, ["--version"]).status === 0;

const instancesOf = (pid: number): string[] =>
  readdirSync(INSTANCES).filter((name) => name.startsWith(`bpfjit_${pid}_`));

/** Resolves when an instance of that process records calls. */
async function recording(pid: number): Promise<void> {
  for (;;) {
    for (const name of instancesOf(pid)) {
      const enabled = readFileSync(join(INSTANCES, name, "events/syscalls/sys_enter_getppid/enable"), "utf8");
      if (enabled.startsWith("1")) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
