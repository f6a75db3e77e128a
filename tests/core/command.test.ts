/** What the command takes for the target kernel: --btf, --kconfig, --prog-type. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bpfjit, jsonLines } from "../command/command.ts";
import { fixture } from "../object/libbpf.ts";
import { btfOf } from "./declarations.ts";

const folder = mkdtempSync(join(tmpdir(), "bpfjit-target-"));
const path = (name: string): string => join(folder, name);
const KCONFIG = "# Linux/x86 5.10.9 Kernel Configuration\nCONFIG_STRONG_AND_NOT_THERE=7\n";
beforeAll(() => {
  mkdirSync(path("kernel"));
  writeFileSync(path("kernel/vmlinux"), btfOf("int other;"));
  writeFileSync(path("empty"), "");
  writeFileSync(path("config"), KCONFIG);
  writeFileSync(path("config.gz"), gzipSync(KCONFIG));
  writeFileSync(path("broken.gz"), Uint8Array.of(0x1f, 0x8b, 1, 2, 3));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function verdictOf(object: string, program: string, ...options: string[]): Promise<unknown> {
  const { stdout } = await bpfjit(["verify", "--json", fixture(object), "-p", program, ...options]);
  return jsonLines(stdout)[0]?.verdict;
}

describe("the target kernel", () => {
  it("is the BTF that is given, as a file or a directory", async () => {
    const target = fixture("core-target");
    const lacks = async (btf: string): Promise<boolean> =>
      (await bpfjit(["verify", fixture("core"), "-p", "in_subprogram", "--btf", btf])).stdout.includes("struct task");
    expect(await lacks(target)).toBe(false);
    expect(await lacks(path("kernel"))).toBe(true);
    const { stdout } = await bpfjit(["inspect", fixture("core"), "--insns", "-p", "guarded", "--btf-file", target]);
    expect(stdout).toContain("struct task of the target has no fitting field gone");
  });

  it("has the configuration that is given, plain or compressed", async () => {
    expect(await verdictOf("optional", "setting", "--kconfig", path("empty"))).toBe("unloadable");
    for (const file of ["config", "config.gz"])
      expect(await verdictOf("optional", "setting", "--kconfig", path(file))).toBe("accepted");
    const { code, stderr } = await bpfjit(["verify", fixture("externs"), "--kconfig", path("broken.gz")]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("broken.gz")]);
  });

  it("has programs whose type is given", async () => {
    expect(await verdictOf("open", "no_section")).toBe("unloadable");
    expect(await verdictOf("open", "no_section", "--prog-type", "custom=socket_filter")).toBe("accepted");
    expect(await verdictOf("open", "no_section", "--prog-type", "no_section=xdp")).toBe("accepted");
    expect((await bpfjit(["verify", fixture("open"), "--prog-type", "custom=nothing"])).code).toBe(2);
  });
});
