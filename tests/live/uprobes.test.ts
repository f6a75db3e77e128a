/**
 * Probes of functions in user code: what programs see equals what the probed library itself writes down.
 * CALLS sets the number of calls (default 2000).
 */
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { load, type MapRecord, openLive } from "../../api/index.ts";
import { bpfjit } from "../command/command.ts";
import { canProbe, fixture } from "./tracing.ts";

const CALLS = Number(process.env.CALLS ?? 2000);
const folder = mkdtempSync(join(tmpdir(), "bpfjit-uprobes-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Call {
  readonly kind: number;
  readonly args: readonly bigint[];
  readonly address: bigint;
  readonly ip: bigint;
  readonly task: bigint;
  readonly time: bigint;
  readonly cookie: bigint;
  readonly text: string;
  readonly text_result: bigint;
}

const LIBRARY = fixture("libparts.so");

async function traceCalls(
  attach: (object: Awaited<ReturnType<typeof load>>) => void,
  calls: number,
  options: { readonly userMemory?: "capture" | "strict" | "none" } = {},
) {
  const log = join(folder, `log-${Math.random()}`);
  const object = await load(fixture("probes.bpf.o"), { runtimeOptions: { cpus: 64 } });
  try {
    attach(object);
    const records: Call[] = [];
    const source = await openLive({
      command: [fixture("caller"), log, String(calls)],
      commandOutput: 2,
      bufferKilobytes: 32 * 1024,
      ...options,
    });
    const summary = await object.run(source, {
      onRecord: ({ fields }: MapRecord) => records.push(fields as unknown as Call),
      types: { calls: "call" },
    });
    expect(summary.lost).toEqual([]);
    expect(summary.lostRecords).toBe(0n);
    expect(source.status).toMatchObject({ exitCode: 0 });
    const lines = readFileSync(log, "utf8").trim().split("\n");
    return { records, lines: lines.map((line) => line.split(" ")), reads: source.userReads };
  } finally {
    object.close();
  }
}

const hasChroot = spawnSync("chroot", ["--version"]).status === 0;

/** Files that this process has mapped. */
const mappedHere = (wanted: RegExp): string[] =>
  [
    ...new Set(
      readFileSync("/proc/self/maps", "utf8")
        .split("\n")
        .flatMap((line) => /\/.*$/.exec(line)?.[0] ?? []),
    ),
  ].filter((path) => wanted.test(path));

const signed = (value: bigint, bits: number): string => BigInt.asIntN(bits, value).toString();
const unsigned = (value: bigint, bits: number): string => BigInt.asUintN(bits, value).toString();

describe.skipIf(!canProbe)("a probed function", () => {
  it("shows the arguments, texts and results that its library logs", async () => {
    const { records, lines, reads } = await traceCalls(
      (object) => {
        object.attachUprobe(object.program("on_enter"), LIBRARY, { funcName: "combine", cookie: 7n });
        object.attachUprobe(object.program("on_return"), LIBRARY, { funcName: "combine", retprobe: true });
      },
      CALLS,
      { userMemory: "strict" },
    );
    expect(lines.length).toBe(CALLS);
    const entries = records.filter(({ kind }) => kind === 1);
    const returns = records.filter(({ kind }) => kind === 2);
    expect([entries.length, returns.length]).toEqual([CALLS, CALLS]);
    const seen = entries.map(({ args, text }, index) => [
      signed(args[0]!, 32),
      signed(args[1]!, 64),
      text,
      unsigned(args[3]!, 8),
      unsigned(args[4]!, 32),
      signed(args[5]!, 64),
      signed(returns[index]!.args[0]!, 64),
    ]);
    expect(seen).toEqual(lines.map((line) => [...line.slice(0, 6), line[8]]));
    expect(reads).toEqual({ captured: CALLS, late: 0, unknown: 0 });
    expect(new Set(entries.map(({ cookie }) => cookie))).toEqual(new Set([7n]));
    // in turn: entry, return, by time
    expect(records.map(({ kind }) => kind)).toEqual(entries.flatMap(() => [1, 2]));
    expect(records.every(({ time }, index) => index === 0 || time >= records[index - 1]!.time)).toBe(true);
    for (const [index, { address, ip }] of entries.entries()) {
      expect(ip).toBe(address);
      expect(returns[index]!.address).toBe(address);
      expect(returns[index]!.ip).not.toBe(ip);
    }
  }, 600_000);

  it("may be meant by a pattern, an offset in it or in the file, and one process alone", async () => {
    const { records } = await traceCalls((object) => {
      object.attachUprobe(object.program("on_same"), LIBRARY, { funcName: "s?m*", cookie: 1n });
      object.attachUprobe(object.program("on_same"), LIBRARY, { funcName: "same", offset: 0, cookie: 2n });
      object.attachUprobe(object.program("on_same"), LIBRARY, { funcName: "same", pid: 1, cookie: 3n });
    }, 5);
    const of = (cookie: bigint) => records.filter((call) => call.cookie === cookie).map(({ args }) => args[0]);
    expect(of(1n)).toEqual([0n, 1n, 2n, 3n, 4n]);
    expect(of(2n)).toEqual([0n, 1n, 2n, 3n, 4n]);
    expect(of(3n)).toEqual([]);
  }, 60_000);

  it("whose result is a text gives the one of that moment", async () => {
    const { records, reads } = await traceCalls(
      (object) => object.attachUprobe(object.program("on_label"), LIBRARY, { funcName: "label", retprobe: true }),
      100,
      { userMemory: "strict" },
    );
    expect(records.map(({ text }) => text)).toEqual(Array.from({ length: 100 }, (_, call) => `part ${call}`));
    expect(reads).toEqual({ captured: 100, late: 0, unknown: 0 });
  }, 60_000);

  it("whose memory nobody may read gives its registers", async () => {
    const { records, reads } = await traceCalls(
      (object) => object.attachUprobe(object.program("on_enter"), LIBRARY, { funcName: "combine" }),
      3,
      { userMemory: "none" },
    );
    expect(records.map(({ text_result }) => text_result)).toEqual([-14n, -14n, -14n]);
    expect(reads).toEqual({ captured: 0, late: 0, unknown: 3 });
  }, 60_000);

  it.skipIf(!hasChroot)(
    "is the one of the process's own files, where it has a root of its own",
    async () => {
      const root = join(folder, "root");
      const place = (path: string, inside: string): void => {
        mkdirSync(join(root, dirname(inside)), { recursive: true });
        copyFileSync(path, join(root, inside));
      };
      for (const path of [fixture("caller"), LIBRARY, ...mappedHere(/\/libc\.so\.6$/)]) place(path, path);
      for (const path of mappedHere(/\/ld-linux-x86-64\.so\.2$/)) place(path, "/lib64/ld-linux-x86-64.so.2");
      const child = spawn("chroot", [root, fixture("caller"), "/log", "100000000"], {
        stdio: "ignore",
        // there is no /proc, by which the loader knows where the program lies
        env: { ...process.env, LD_LIBRARY_PATH: dirname(LIBRARY) },
      });
      const object = await load(fixture("probes.bpf.o"), { runtimeOptions: { cpus: 64 } });
      try {
        await new Promise((resolve) => setTimeout(resolve, 300));
        object.attachUprobe(object.program("on_enter"), "parts", { funcName: "combine", cookie: 1n });
        object.attachUprobe(object.program("on_same"), LIBRARY, { funcName: "same", cookie: 2n });
        const source = await openLive({ pid: child.pid!, maxEvents: 200 });
        const seen: Call[] = [];
        await object.run(source, {
          onRecord: ({ fields }: MapRecord) => seen.push(fields as unknown as Call),
          types: { calls: "call" },
        });
        expect(seen.length).toBe(200);
        // it is somewhere between the two when it is attached to
        const first = seen[0]!.cookie;
        expect(seen.map(({ cookie }) => cookie)).toEqual(
          seen.map((_, index) => (index % 2 === 0 ? first : 3n - first)),
        );
      } finally {
        object.close();
        child.kill("SIGKILL");
      }
    },
    60_000,
  );

  it("that is not there is an error that says so, and leaves nothing behind", async () => {
    const attempt = (path: string, funcName: string) =>
      traceCalls((object) => object.attachUprobe(object.program("on_same"), path, { funcName }), 1);
    await expect(attempt(LIBRARY, "absent")).rejects.toMatchObject({ code: "ATTACH_TARGET", errno: "ENOENT" });
    await expect(attempt(LIBRARY, "a*sent")).rejects.toMatchObject({ code: "ATTACH_TARGET" });
    await expect(attempt("/absent", "same")).rejects.toMatchObject({ code: "ATTACH_TARGET" });
    await expect(attempt("absent-library", "same")).rejects.toMatchObject({ code: "ATTACH_TARGET" });
    await expect(attempt(fixture("caller.c"), "same")).rejects.toMatchObject({ code: "TRACED_FILE" });
    const left = readFileSync("/sys/kernel/tracing/uprobe_events", "utf8");
    expect(left).not.toContain(`bpfjit_${process.pid}_`);
  }, 60_000);

  it("whose section names no place is told so by the command", async () => {
    const { code, stderr } = await bpfjit(["trace", fixture("probes.bpf.o"), "--prog", "on_same", "--", "true"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /no event of a process runs program on_same(.|\n)*its section names no place; SEC\("uprobe\/…"\) does/,
    );
  }, 60_000);
});
