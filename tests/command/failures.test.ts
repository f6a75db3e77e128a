/** What the command says, and exits with, where something is missing, unsupported or cannot be written. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bpfjit, jsonLines, ROOT } from "./command.ts";

const CAPTURE = "examples/captures/sched.perf.data";

describe("the command says what is wrong", () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "bpfjit-failures-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it("and exits with 4 where a recording is compressed", async () => {
    const bytes = readFileSync(join(ROOT, CAPTURE));
    const path = join(folder, "compressed.perf.data");
    // Bit 27 of the feature bitmap, which follows the sections of the header at byte 72: HEADER_COMPRESSED.
    bytes[72 + 3]! |= 1 << 3;
    writeFileSync(path, bytes);
    const { code, stderr } = await bpfjit(["run", "examples/countcomm.bpf.o", "--input", path]);
    expect(stderr).toContain("perf record -z");
    expect(stderr).toContain("hint: record it again without -z");
    expect(code).toBe(4);
  });

  it("where no event of a capture runs a program", async () => {
    const { code, stderr } = await bpfjit(["run", "examples/protocols.bpf.o", "--input", CAPTURE, "--no-maps"]);
    expect(stderr).toContain("no event of a capture runs program count_protocols of type xdp");
    expect(code).toBe(0);
  });

  it("where verify is asked for a program that no object has", async () => {
    const { code, stdout, stderr } = await bpfjit(["verify", "--json", "--prog", "nope", "examples/opens.bpf.o"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("examples/opens.bpf.o has no program nope");
  });

  it("and of which object", async () => {
    const path = join(folder, "none.o");
    writeFileSync(path, "nothing");
    const { stderr } = await bpfjit(["verify", "examples/opens.bpf.o", path]);
    expect(stderr).toContain(`at ${path}, offset 0`);
  });

  it("where a folder stands for a file", async () => {
    const { code, stderr } = await bpfjit(["verify", "examples"]);
    expect(stderr).toContain("cannot read examples: it is a folder");
    expect(code).toBe(2);
  });

  it("where a result cannot be written", async () => {
    const packet = ["--prog", "count_protocols", "--data-in", "examples/packets/udp-53.bin"];
    const out = join(folder, "no", "such", "folder");
    const { code, stderr } = await bpfjit(["test-run", "examples/protocols.bpf.o", ...packet, "--data-out", out]);
    expect(stderr).toContain("[OUTPUT_UNWRITABLE]");
    expect(code).toBe(2);
  });
});

describe("options", () => {
  it("that are misspelt are named, with the one that may be meant", async () => {
    const { code, stderr } = await bpfjit(["run", "examples/opens.bpf.o", "--inputt", CAPTURE]);
    expect(stderr).toContain("unknown option '--inputt'");
    expect(stderr).toContain("Did you mean --input?");
    expect(code).toBe(2);
  });

  it("that are missing are named, with what to give", async () => {
    const run = await bpfjit(["run", "examples/opens.bpf.o"]);
    expect(run.stderr).toMatch(/--input CAPTURE is missing[\s\S]*hint: /);
    expect(run.code).toBe(2);
    const testRun = await bpfjit(["test-run", "examples/opens.bpf.o"]);
    expect(testRun.stderr).toMatch(/--prog NAME is missing[\s\S]*hint: /);
    expect(testRun.code).toBe(2);
  });
});

describe("exec --batch", () => {
  const EXIT_42 = "b70000002a0000009500000000000000";

  it("takes carriage returns, empty lines, and a last line without an end", async () => {
    const { code, stdout } = await bpfjit(
      ["exec", "--batch"],
      `{"id":1,"insns":"${EXIT_42}"}\r\n\r\n{"id":2,"insns":"${EXIT_42}"}`,
    );
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual([
      { id: 1, r0: "2a", mem: "" },
      { id: 2, r0: "2a", mem: "" },
    ]);
  });

  it("takes a line of megabytes", async () => {
    const mem = "5a".repeat(2_000_000);
    const { stdout } = await bpfjit(["exec", "--batch"], `${JSON.stringify({ id: 1, insns: EXIT_42, mem })}\n`);
    const [answer] = jsonLines(stdout);
    expect(answer!.r0).toBe("2a");
    expect(answer!.mem === mem).toBe(true);
  });

  it("answers bytes that are no text", async () => {
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 2654435761) >>> 16);
    const { code, stdout } = await bpfjit(["exec", "--batch"], bytes);
    expect(code).toBe(0);
    expect(jsonLines(stdout).every(({ id, error }) => id === null && error === "USAGE")).toBe(true);
  });
});
