/**
 * Who runs at an event of a live process, against what processes that live shortly write of themselves: names, numbers, parents,
 * users and cgroups, through forks, threads, execve and ends.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { bpfjit, jsonLines } from "../command/command.ts";
import { canTrace } from "./tracing.ts";

const path = (name: string): string => fileURLToPath(new URL(`tasks/${name}`, import.meta.url));
/** Columns of what lives.c writes. */
const COLUMNS = ["mark", "scene", "tid", "pid", "ppid", "uid", "gid", "cgroup", "comm", "parent"] as const;
type Row = Record<(typeof COLUMNS)[number], string>;

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

describe.skipIf(!canTrace)("tasks of a command", () => {
  const cgroup = canTrace ? makeCgroup() : null;
  let folder = "";
  let rows: Row[] = [];
  const told = new Map<string, Partial<Row>>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "bpfjit-tasks-"));
    const file = join(folder, "log");
    // others than root write to them too
    chmodSync(folder, 0o755);
    for (const [name, bytes] of [
      [file, 0],
      [`${file}.marks`, 4],
    ] as const) {
      writeFileSync(name, Buffer.alloc(bytes));
      chmodSync(name, 0o666);
    }
    const { code, stdout } = await bpfjit([
      "trace",
      path("who.bpf.o"),
      "--json",
      "--",
      path("lives"),
      file,
      cgroup ?? "-",
    ]);
    const lines = jsonLines(stdout);
    expect(lines.at(-1)).toMatchObject({ type: "summary", lost: 0, command: { exitCode: 0 } });
    expect(code).toBe(0);
    for (const { type, fields } of lines) {
      if (type !== "record") continue;
      const texts = Object.entries(fields as object).map(([name, value]) => [name, String(value)]);
      const { mark, ...who } = Object.fromEntries(texts) as Row;
      told.set(mark, who);
    }
    rows = readFileSync(file, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => Object.fromEntries(line.split("\t").map((text, index) => [COLUMNS[index]!, text])) as Row);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
    if (cgroup !== null) rmdirSync(cgroup);
  });

  it("are who they say they are, at every mark", () => {
    const wanted = rows.map(({ mark, scene, ...who }) => ({ scene, ...who }));
    const got = rows.map(({ mark, scene }) => ({ scene, ...told.get(mark) }));
    expect(got).toEqual(wanted);
    expect(told.size).toBe(rows.length);
    expect(rows.length).toBeGreaterThan(230);
  });

  it.skipIf(cgroup === null)("are seen to be moved", () => {
    const groupOf = (wanted: string): string => rows.find(({ scene }) => scene === wanted)!.cgroup;
    expect(groupOf("moved to a cgroup")).not.toBe(groupOf("child"));
  });
});

/** A cgroup of the test's own in the unified hierarchy; null: there is none. */
function makeCgroup(): string | null {
  const root = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/self/mounts", "utf8"))?.[1];
  if (root === undefined) return null;
  try {
    const made = join(root, `bpfjit-test-${process.pid}`);
    mkdirSync(made);
    return made;
  } catch {
    return null;
  }
}
