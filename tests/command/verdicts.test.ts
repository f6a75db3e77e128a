/** `verify`, `test-run`, `inspect` and `exec`: their JSON and exit codes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bpfjit, jsonLines, ROOT } from "./command.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bpfjit-verdicts-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("bpfjit verify", () => {
  it("gives a line a program", async () => {
    const { code, stdout } = await bpfjit(["verify", "--json", "examples/runqlat.bpf.o", "examples/protocols.bpf.o"]);
    expect(code).toBe(0);
    const lines = jsonLines(stdout);
    expect(lines.map(({ program }) => program)).toEqual([
      "handle_wakeup",
      "handle_wakeup_new",
      "handle_switch",
      "count_protocols",
    ]);
    expect(lines[3]).toMatchObject({
      object: "examples/protocols.bpf.o",
      section: "xdp",
      type: "xdp",
      attachType: "xdp",
      verdict: "accepted",
      errno: null,
      message: null,
      source: null,
    });
  });

  it("reports an object that is none and goes on with the next", async () => {
    const path = join(folder, "none.bpf.o");
    writeFileSync(path, "no object");
    const { code, stdout } = await bpfjit(["verify", "--json", path, "examples/protocols.bpf.o"]);
    expect(code).toBe(1);
    expect(jsonLines(stdout).map(({ verdict }) => verdict)).toEqual(["unloadable", "accepted"]);
  });

  it("exits with 2 where a file cannot be read", async () => {
    expect((await bpfjit(["verify", join(folder, "missing.o")])).code).toBe(2);
  });
});

describe("bpfjit test-run", () => {
  it("answers as the contract says and writes what comes out", async () => {
    const out = join(folder, "out.bin");
    const packet = "examples/packets/udp-7777.bin";
    const args = [
      "test-run",
      "examples/protocols.bpf.o",
      "--prog",
      "count_protocols",
      "--data-in",
      packet,
      "--repeat",
      "3",
      "--data-out",
      out,
      "--json",
    ];
    const { code, stdout } = await bpfjit(args);
    expect(code).toBe(0);
    const [result] = jsonLines(stdout) as [
      Record<string, unknown> & { maps: Record<string, { key: string; value: string | string[] }[]> },
    ];
    expect(result).toMatchObject({ program: "count_protocols", retval: 1, ctxOut: null, repeat: 3, records: [] });
    expect(result.maps["protocol.bss"]).toEqual([{ key: "00000000", value: "0300000000000000" }]);
    expect(readFileSync(out).equals(readFileSync(join(ROOT, packet)))).toBe(true);
  });

  it("refuses what the kernel refuses", async () => {
    const short = join(folder, "short.bin");
    writeFileSync(short, Buffer.alloc(5));
    const { code, stderr } = await bpfjit([
      "test-run",
      "examples/protocols.bpf.o",
      "--prog",
      "count_protocols",
      "--data-in",
      short,
    ]);
    expect({ code, says: stderr.includes("EINVAL") }).toEqual({ code: 2, says: true });
  });
});

describe("bpfjit inspect", () => {
  it("shows instructions with their C lines, the graph and the Wasm text", async () => {
    const { code, stdout } = await bpfjit([
      "inspect",
      "examples/countcomm.bpf.o",
      "--insns",
      "--cfg",
      "--wat",
      "--maps",
      "--btf",
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain("call bpf_map_lookup_elem");
    expect(stdout).toMatch(/; count = map_lookup\(&counts, &key\); .*countcomm\.bpf\.c:\d+/);
    expect(stdout).toMatch(/block \d+ \(insns/);
    expect(stdout).toContain("(func $main:count_switch (param");
    expect(stdout).toMatch(/counts .*hash, key 16 B, value 8 B, 4096 entries/);
  });
});

describe("bpfjit exec", () => {
  const EXIT_42 = "b70000002a0000009500000000000000";

  it("prints r0 in hexadecimal", async () => {
    expect(await bpfjit(["exec"], EXIT_42)).toEqual({ code: 0, stdout: "2a\n", stderr: "" });
  });

  it("gives memory by r1 and its length by r2", async () => {
    // r0 = *(u64 *)(r1 + 0); r0 += r2; exit
    const { stdout } = await bpfjit(["exec", "0100000000000080"], "79100000000000000f200000000000009500000000000000");
    expect(stdout).toBe("8000000000000009\n");
  });

  it("prints nothing and exits with 1 where a program is rejected, with 3 where it faults", async () => {
    const outside = "79100800000000009500000000000000";
    const rejected = await bpfjit(["exec", "00"], outside);
    expect({ ...rejected, stderr: rejected.stderr.includes("REJECTED") }).toEqual({
      code: 1,
      stdout: "",
      stderr: true,
    });
    const faulting = await bpfjit(["exec", "--no-verify", "00"], outside);
    expect({ ...faulting, stderr: faulting.stderr.includes("MEMORY_FAULT") }).toEqual({
      code: 3,
      stdout: "",
      stderr: true,
    });
  });

  it("takes what is no program", async () => {
    expect((await bpfjit(["exec"], "zz")).code).toBe(1);
    expect((await bpfjit(["exec"], "b700")).code).toBe(1);
    expect((await bpfjit(["exec", "xyz"], EXIT_42)).code).toBe(2);
  });

  it("answers every line of a batch, the bad ones too, in their order", async () => {
    const lines = [
      { id: 1, insns: EXIT_42, mem: "", verify: true },
      "not json",
      { id: "two", insns: "7a01000011223344b7000000000000009500000000000000", mem: "0000000000000000", verify: true },
      { id: 3, insns: "b7", mem: "" },
      { id: 4, insns: "79100800000000009500000000000000", mem: "00", verify: true },
      { id: 5, insns: "79100800000000009500000000000000", mem: "00", verify: false },
      { id: 6, insns: "05ffffff00000000", mem: "", verify: false, more: 1 },
      { id: 7, insns: 12 },
      { id: 8, insns: EXIT_42 },
    ];
    const { code, stdout } = await bpfjit(
      ["exec", "--batch"],
      lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"),
    );
    expect(code).toBe(0);
    const answers = jsonLines(stdout);
    expect(answers.map(({ id }) => id)).toEqual([1, null, "two", 3, 4, 5, 6, 7, 8]);
    expect(answers[0]).toEqual({ id: 1, r0: "2a", mem: "" });
    expect(answers[2]).toEqual({ id: "two", r0: "0", mem: "1122334400000000" });
    expect(answers.slice(3, 8).map(({ error }) => error)).toEqual([
      "INSN_MALFORMED",
      "REJECTED",
      "MEMORY_FAULT",
      expect.any(String),
      "USAGE",
    ]);
    expect(answers[8]).toMatchObject({ r0: "2a" });
  });
});

describe("the command", () => {
  it("lists itself, and exits with 2 where it is used wrongly", async () => {
    const help = await bpfjit(["--help"]);
    expect(help.code).toBe(0);
    for (const command of ["run", "test-run", "verify", "exec", "inspect", "bench"])
      expect(help.stdout).toContain(command);
    expect((await bpfjit(["run", "examples/countcomm.bpf.o"])).code).toBe(2);
    expect((await bpfjit(["nonsense"])).code).toBe(2);
  });
});
