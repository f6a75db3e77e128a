/**
 * Memory of traced processes: texts that system calls name, at their moment. `strace` says which they are, where it is
 * installed (Debian: strace).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { load, type MapRecord, openLive, type UserMemoryMode, type UserReads } from "../../api/index.ts";
import { canProbe, fixture } from "./tracing.ts";

const OPENSNOOP = fileURLToPath(new URL("../../examples/opensnoop.bpf.o", import.meta.url));
const hasStrace = spawnSync("strace", ["-V"]).status === 0;
const hasPython = spawnSync("python3", ["-V"]).status === 0;
const folder = mkdtempSync(join(tmpdir(), "bpfjit-memory-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function openedBy(
  command: readonly string[],
  userMemory: UserMemoryMode = "capture",
): Promise<{ readonly names: readonly string[]; readonly reads: UserReads }> {
  const object = await load(OPENSNOOP, { runtimeOptions: { cpus: 64 } });
  try {
    const names: string[] = [];
    const source = await openLive({ command, commandOutput: 2, userMemory });
    const summary = await object.run(source, {
      onRecord: ({ fields }: MapRecord) => names.push((fields as { filename: string }).filename),
    });
    expect(summary.lost).toEqual([]);
    return { names, reads: source.userReads };
  } finally {
    object.close();
  }
}

/** Names that strace sees opened, however the calls of several processes end. */
function stracedBy(command: readonly string[]): string[] {
  const log = join(folder, "strace");
  spawnSync("strace", ["-f", "-qq", "-s", "4096", "-e", "trace=open,openat,openat2,creat", "-o", log, ...command], {
    stdio: "ignore",
  });
  return readFileSync(log, "utf8")
    .split("\n")
    .flatMap((line) => /^\d+ +(?:open|openat|openat2|creat)\((?:AT_FDCWD, |\d+, )?"([^"]*)"/.exec(line)?.[1] ?? []);
}

const COMMANDS: Record<string, readonly string[]> = {
  "of several programs": [
    "sh",
    "-c",
    "exec > /dev/null; cat /etc/hostname /etc/passwd; ls -R /etc/apt; for i in 1 2 3; do cat /absent/$i; done 2>/dev/null",
  ],
  "of children at the same addresses": [
    "sh",
    "-c",
    "exec > /dev/null; (cat < /etc/hostname) & (cat < /etc/passwd) & (cat < /etc/group) & wait",
  ],
};

describe.skipIf(!canProbe)("names that a command opens", () => {
  it.skipIf(!hasStrace).for(Object.entries(COMMANDS))(
    "%s are those that strace sees",
    { timeout: 60_000 },
    async ([, command]) => {
      const { names, reads } = await openedBy(command);
      expect([...names].sort()).toEqual(stracedBy(command).sort());
      expect(reads).toEqual({ captured: names.length, late: 0, unknown: 0 });
    },
  );

  it.skipIf(!hasPython)(
    "are those of their moment, one after the other at the same address, of all lengths",
    async () => {
      const wanted = Array.from({ length: 400 }, (_, index) => `/absent/${"x".repeat((index * 13) % 240)}/${index}`);
      const script = join(folder, "opens.py");
      const code = [
        "import os",
        "for name in open(__file__ + '.names').read().split():",
        "  try: os.open(name, os.O_RDONLY)",
        "  except OSError: pass",
      ];
      writeFileSync(script, code.join("\n"));
      writeFileSync(`${script}.names`, wanted.join("\n"));
      const { names, reads } = await openedBy(["python3", "-S", script], "strict");
      expect(names.filter((name) => name.startsWith("/absent"))).toEqual(wanted);
      expect(reads.unknown).toBe(0);
    },
    60_000,
  );

  it("by a program of its own, without a C library, are there where it is the command itself", async () => {
    const { names, reads } = await openedBy([fixture("calls"), "/absent"], "strict");
    const first = ["a", "b", "c", "d", "e", "f"];
    expect(names).toEqual([...first.map((letter) => `${letter}absent`), ""]);
    // the last has an address at which the process has nothing
    expect(reads).toEqual({ captured: first.length, late: 0, unknown: 1 });
  }, 60_000);

  it("are not known where nothing was fetched, or the process has gone on", async () => {
    const none = await openedBy(["true"], "none");
    expect(new Set(none.names)).toEqual(new Set([""]));
    expect(none.reads).toEqual({ captured: 0, late: 0, unknown: none.names.length });
    const late = await openedBy(["sh", "-c", "exec 3< /etc/hostname; sleep 0.5"], "proc");
    expect(late.reads.captured).toBe(0);
    expect(late.reads.late + late.reads.unknown).toBe(late.names.length);
  }, 60_000);
});
