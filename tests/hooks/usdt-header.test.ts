/** Programs with libbpf's usdt.bpf.h as it is, of the versions that the machine has, and all kinds of operands. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { load } from "../../api/index.ts";

const SOURCE = fileURLToPath(new URL("usdt-header.c", import.meta.url));
const FOLDER = mkdtempSync(join(tmpdir(), "bpfjit-usdt-"));
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

const CLANG = ["clang-19", "clang"].find((name) => spawnSync(name, ["--version"]).status === 0);
const INCLUDES = [join(process.env.BPFJIT_CORPUS ?? "/tmp/corpus", "build/inc"), "/usr/include"].filter((folder) =>
  existsSync(join(folder, "bpf/usdt.bpf.h")),
);
/** The newest has operands with an index register. */
const INDEXED = INCLUDES.filter((folder) => readFileSync(join(folder, "bpf/usdt.bpf.h"), "utf8").includes("_SIB"));

function build(folder: string, machine: "x86" | "arm64"): string {
  const object = join(FOLDER, `${machine}.bpf.o`);
  const flags = ["-g", "-O2", "--target=bpf", "-mcpu=v3", `-D__TARGET_ARCH_${machine}`, `-I${folder}`];
  const includes = ["-I/usr/include", "-I/usr/include/x86_64-linux-gnu"];
  const built = spawnSync(CLANG!, [...flags, ...includes, "-c", SOURCE, "-o", object], { encoding: "utf8" });
  expect(built.stderr).toBe("");
  return object;
}

async function loadHeader(folder: string, machine: "x86" | "arm64") {
  const architecture = machine === "x86" ? "x86_64" : machine;
  const object = await load(build(folder, machine), { architecture });
  const found: unknown[] = [];
  const reading = object.openRecords(({ fields }) => found.push(fields), { types: { records: "found" } });
  const program = object.program("on_order");
  return {
    attach: (args: string, cookie = 0n) => object.attachUsdt(program, "./shop:shop:order", { args, cookie }),
    found: () => {
      reading.drain();
      return found.splice(0);
    },
  };
}
const bytes = (...values: bigint[]): Uint8Array => new Uint8Array(new BigInt64Array(values).buffer);

describe.skipIf(CLANG === undefined || INCLUDES.length === 0)("usdt.bpf.h", () => {
  it.each(INCLUDES)("of %s finds constants, registers and user memory", async (folder) => {
    const { attach, found } = await loadHeader(folder, "x86");
    const link = attach("-4@$-7 8@%rax -4@-20(%rbp) 2@%r9w", 2n ** 63n);
    const memory = [{ address: 0x1000n - 20n, bytes: bytes(-2n) }];
    link.hook.fire({ bp: 0x1000, ax: 5, r9: 0x1_ffff }, { memory });
    expect(found()).toEqual([{ a: -7n, b: 5n, c: -2n, d: 0xffffn, cookie: -(2n ** 63n), count: 4 }]);
    // memory that did not come with the event, and fewer operands than the program asks for
    link.hook.fire({ bp: 0x9000, ax: 6 });
    link.detach();
    attach("1@%al").hook.fire({ ax: -1 });
    expect(found()).toEqual([
      { a: -7n, b: 6n, c: expect.any(BigInt), d: 0n, cookie: -(2n ** 63n), count: 4 },
      { a: 255n, b: expect.any(BigInt), c: expect.any(BigInt), d: expect.any(BigInt), cookie: 0n, count: 1 },
    ]);
  });

  it.each(INDEXED)("of %s finds memory by base, index and scale", async (folder) => {
    const { attach, found } = await loadHeader(folder, "x86");
    const memory = [{ address: 0x2000n, bytes: bytes(1n, 2n, -3n) }];
    attach("8@(%rdi,%rsi,8) -8@8(%rdi,%rsi,8) 4@-8(%rdi,%rsi)").hook.fire({ di: 0x2000, si: 1 }, { memory });
    const [first] = found();
    expect(first).toMatchObject({ a: 2n, b: -3n, count: 3 });
  });

  it.each(INCLUDES)("of %s finds the operands of arm64", async (folder) => {
    const { attach, found } = await loadHeader(folder, "arm64");
    const memory = [{ address: 0x1000n + 16n, bytes: bytes(77n) }];
    const { hook } = attach("-4@5 8@x1 8@[sp, 16] -1@w20", 4n);
    hook.fire({ x1: -1, sp: 0x1000, x20: 0xff }, { memory });
    expect(found()).toEqual([{ a: 5n, b: -1n, c: 77n, d: -1n, cookie: 4n, count: 4 }]);
  });
});
