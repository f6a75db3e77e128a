/** Maps shown in intervals: in a panel on a terminal, one after the other in a pipe. `script` (util-linux) makes the terminal. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { bpfjit, ROOT } from "../command/command.ts";
import { Terminal } from "./terminal.ts";
import { COMMAND, canTrace } from "./tracing.ts";

const path = (name: string): string => fileURLToPath(new URL(`load/${name}`, import.meta.url));
const hasScript = spawnSync("script", ["--version"]).status === 0;
const ROWS = 30;
const LINES = 50;
/** Prints lines itself, and makes a call with each. */
const TALKER = `for line in $(seq ${LINES}); do echo line $line; ${path("rate")} 10 0.1 > /dev/null; done`;
const SCROLL_ALL = "\x1b[r";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

describe.skipIf(!canTrace)("maps told in intervals", () => {
  it.skipIf(!hasScript)("stand at the lower edge of a terminal, and what a command prints scrolls above", async () => {
    const words = [process.execPath, COMMAND, "trace", path("calls.bpf.o"), "--map", "calls.bss", "--interval", "0.2"];
    const command = `stty rows ${ROWS} cols 80; exec ${words.join(" ")} -- sh -c '${TALKER}'`;
    const child = spawn("script", ["-qec", command, "/dev/null"], { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part) => {
      text += part;
    });
    await once(child, "close");

    // the panel goes once, at the end
    const [running = "", ended = "", ...more] = text.split(SCROLL_ALL);
    expect(more).toEqual([]);
    const terminal = new Terminal(ROWS);
    terminal.write(running);
    const panel = terminal.rows.slice(-5);
    expect(panel[0]).toBe("");
    expect(panel[1]).toMatch(/^calls\.bss \(array, 1 entry\)$/);
    expect(panel[3]).toMatch(/^last_time +\d+$/);
    // as many panels as intervals, of which one is seen
    expect(running.split("calls.bss").length).toBeGreaterThan(5);
    expect(terminal.rows.filter((row) => row.startsWith("calls.bss")).length).toBe(1);

    terminal.write(SCROLL_ALL + ended);
    const all = [...terminal.above, ...terminal.rows].filter((row) => row !== "");
    expect(all.slice(0, LINES)).toEqual(Array.from({ length: LINES }, (_, index) => `line ${index + 1}`));
    expect(all[LINES]).toMatch(/^calls\.bss/);
    expect(all.at(-1)).toMatch(/events in .* the command ended with 0$/);
  });

  it("come one after the other in a pipe, with their time", async () => {
    const options = ["--interval", "0.2", "--map", "calls.bss"];
    const { code, stdout } = await bpfjit([
      "trace",
      path("calls.bpf.o"),
      ...options,
      "--",
      path("rate"),
      "1000",
      "1.5",
    ]);
    expect(code).toBe(0);
    expect(stdout).not.toContain("\x1b");
    expect(stdout.match(/^\d\d:\d\d:\d\d\n\ncalls\.bss \(array, 1 entry\)$/gm)!.length).toBeGreaterThan(2);
  });

  it("come where nothing happens too", async () => {
    const options = ["--interval", "0.2", "--map", "calls.bss"];
    const { stdout } = await bpfjit(["trace", path("calls.bpf.o"), ...options, "--", "sleep", "1.5"]);
    expect(stdout.match(/^\d\d:\d\d:\d\d$/gm)!.length).toBeGreaterThan(2);
  });
});
