/** Codec, printer and parser of text assembly, held against clang and against each other. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { toHex } from "../../base/index.ts";
import {
  assembleProgram,
  decodeInsns,
  encodeInsns,
  parseAssembly,
  printInsn,
  printProgram,
} from "../../compiler/asm/index.ts";
import { commandRuns } from "../kernel/commands.ts";
import { Random } from "../random/rng.ts";
import { LLVM_FORMS, OTHER_FORMS } from "./forms.ts";

const bytesOf = (text: string) => toHex(encodeInsns(parseAssembly(text).insns));

describe("every form", () => {
  test("prints as it was written", () => {
    for (const text of OTHER_FORMS) expect(printInsn(parseAssembly(text).insns, 0)).toBe(text);
  });
  test("prints as llvm-objdump does", () => {
    for (const text of LLVM_FORMS) expect(printInsn(parseAssembly(text).insns, 0, { style: "objdump" })).toBe(text);
  });
  test("in decimal too", () => {
    for (const text of LLVM_FORMS) {
      const insns = parseAssembly(text).insns;
      const plain = printInsn(insns, 0);
      expect(parseAssembly(plain).insns, plain).toEqual(insns);
    }
  });
});

// clang's encoding of LLVM_FORMS, so that reader and writer cannot agree on something wrong. Recorded with UPDATE=1.
describe("the encoding is clang's", () => {
  const recordedFile = new URL("recorded/llvm-forms.hex", import.meta.url);
  const clang = ["clang", "clang-19", "clang-20", "clang-18"].find((name) => commandRuns(name, ["--version"]));
  const recorded = () => readFileSync(recordedFile, "utf8").trim().split("\n");

  test("recorded", () => {
    expect(LLVM_FORMS.map(bytesOf)).toEqual(recorded());
  });
  test.skipIf(clang === undefined)("live", () => {
    const words = clangEncodes(clang!, LLVM_FORMS);
    if (process.env.UPDATE === "1") writeFileSync(recordedFile, `${words.join("\n")}\n`);
    expect(LLVM_FORMS.map(bytesOf)).toEqual(words);
  });
});

/** Each form's bytes as clang writes them into .text, an instruction a section so that none runs into the next. */
function clangEncodes(clang: string, forms: readonly string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), "bpfjit-asm-"));
  try {
    writeFileSync(join(folder, "forms.s"), `${forms.join("\n")}\n`);
    execFileSync(clang, ["--target=bpf", "-mcpu=v4", "-c", "forms.s", "-o", "forms.o"], { cwd: folder });
    const elf = readFileSync(join(folder, "forms.o"));
    const text = textSection(elf);
    const words: string[] = [];
    for (let at = 0; at < text.length; ) {
      const length = text[at] === 0x18 ? 16 : 8;
      words.push(toHex(text.subarray(at, at + length)));
      at += length;
    }
    return words;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function textSection(elf: Buffer): Uint8Array {
  const sections = Number(elf.readBigUInt64LE(0x28));
  const header = (index: number) => sections + 64 * index;
  const names = Number(elf.readBigUInt64LE(header(elf.readUInt16LE(0x3e)) + 24));
  for (let index = 0; index < elf.readUInt16LE(0x3c); index++) {
    const at = header(index);
    const name = names + elf.readUInt32LE(at);
    if (elf.toString("latin1", name, name + 6) !== ".text\0") continue;
    const offset = Number(elf.readBigUInt64LE(at + 24));
    return elf.subarray(offset, offset + Number(elf.readBigUInt64LE(at + 32)));
  }
  throw new Error("no .text");
}

describe("any bytes survive the round trip", () => {
  const random = new Random(1);
  const randomSlots = (count: number) => {
    const bytes = new Uint8Array(8 * count);
    for (let i = 0; i < bytes.length; i++) {
      // Mostly small fields, so that many slots are near what has a mnemonic.
      bytes[i] = random.below(4) === 0 || i % 8 === 0 ? random.below(256) : random.below(2) * random.below(12);
    }
    return bytes;
  };
  test("as a program with labels", () => {
    for (let round = 0; round < 300; round++) {
      const bytes = randomSlots(1 + random.below(20));
      const text = printProgram(decodeInsns(bytes));
      expect(toHex(encodeInsns(parseAssembly(text).insns)), text).toBe(toHex(bytes));
      expect(printProgram(parseAssembly(text).insns)).toBe(text);
    }
  });
  test("every opcode, with zero and with other fields", () => {
    for (let opcode = 0; opcode < 256; opcode++)
      for (const fields of ["00" + "0000" + "00000000", "21" + "0100" + "00000000", "02" + "0000" + "10000000"]) {
        const bytes = Uint8Array.from(Buffer.from(opcode.toString(16).padStart(2, "0") + fields, "hex"));
        for (const style of ["plain", "objdump"] as const) {
          const text = printInsn(decodeInsns(bytes), 0, { style });
          // objdump writes the call of a subprogram as that of a helper
          if (style === "objdump" && opcode === 0x85) continue;
          expect(bytesOf(text), text).toBe(toHex(bytes));
        }
      }
  });
});

describe("labels, maps and directives", () => {
  test("a program with everything", () => {
    const { program, assembly } = assembleProgram(`
; prog: xdp name=filter section=xdp license=MIT
; map: counts hash key=4 value=8 max=16 flags=1
; map: .rodata array key=4 value=4 max=1 frozen initial=01020304
  r1 = map[counts] ll ; the first
  r2 = map[.rodata][2] ll
again: if r1 == 0 goto out
  call helper // ours
  r3 = func callback ll
  goto again
out: exit
helper:
  r0 = 0
  exit
.globl callback
callback:
  r0 = 1
  exit
`);
    expect(program).toMatchObject({ name: "filter", type: "xdp", section: "xdp", license: "MIT" });
    expect(program.maps.map((map) => [map.name, map.type, map.maxEntries, map.frozen])).toEqual([
      ["counts", "hash", 16, false],
      [".rodata", "array", 1, true],
    ]);
    expect(program.functions).toEqual([
      { insnIndex: 0, name: "filter", linkage: "global" },
      { insnIndex: 10, name: "helper", linkage: "static" },
      { insnIndex: 12, name: "callback", linkage: "global" },
    ]);
    expect(assembly.comments).toContainEqual({ line: 5, text: "the first", insnIndex: 0 });
    expect(program.insns[2]).toEqual({ opcode: 0x18, dst: 2, src: 2, off: 0, imm: 1 });
    expect(program.insns[3]!.imm).toBe(2);
    expect(program.insns[4]!.off).toBe(4);
    const printed = printProgram(program.insns, {
      maps: program.maps.map((map) => map.name),
      labels: new Map(program.functions.map((fn) => [fn.insnIndex, fn.name])),
    });
    expect(printed).toMatchInlineSnapshot(`
      "filter:
        r1 = map[counts] ll
        r2 = map[.rodata][2] ll
      L4:
        if r1 == 0 goto L9
        call helper
        r3 = func callback ll
        goto L4
      L9:
        exit
      helper:
        r0 = 0
        exit
      callback:
        r0 = 1
        exit
      "
    `);
    const maps = ["counts", ".rodata"];
    expect(parseAssembly(printed, { maps }).insns).toEqual(program.insns);
  });
});

describe("malformed text", () => {
  test.each([
    ["r1 = ", 1, /a value/],
    ["exit\nr1 + 1", 2, /no assignment/],
    ["r1 = w2", 1, /cannot be mixed/],
    ["r1 = 0x80000000", 1, /does not fit/],
    ["r1 = 0x123456789abcdef01 ll", 1, /64 bits/],
    [`r1 = ${"9".repeat(100)}`, 1, /64 bits/],
    ["goto nowhere", 1, /no label nowhere/],
    ["a:\na:\nexit", 2, /twice/],
    ["r16 = 0", 1, /unknown instruction/],
    ["r1 = *(u32 *)(r2 + 32768)", 1, /16 bits/],
    ["r1 = *(s64 *)(r2 + 0)", 1, /no sign-extending/],
    ["r1 = atomic_fetch_add((u64 *)(r2 + 0), r3)", 1, /same register/],
    ["r1 = cmpxchg_64(r2 + 0, r1, r3)", 1, /works on r0/],
    ["lock *(u16 *)(r2 + 0) += w1", 1, /u32 or u64/],
    ["exit exit", 1, /after the instruction/],
    ["r1 = map[nope] ll", 1, /no map nope/],
    ["r1 = 5 @", 1, /unexpected "@"/],
    [".globl f\nexit", 1, /no label f/],
    ["; prog: nonsense", 1, /no program type/],
    ["; prog: xdp color=red", 1, /unknown field/],
    ["; map: m hash key=x", 1, /not a number/],
  ])("%j", (text, line, message) => {
    let thrown: unknown;
    try {
      assembleProgram(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: "ASM_SYNTAX", where: { line } });
    expect((thrown as Error).message).toMatch(message);
  });
  test("a jump that is too far names the way out", () => {
    const text = `goto end\n${"r0 = 0\n".repeat(40_000)}end: exit`;
    expect(() => parseAssembly(text)).toThrow(/too far/);
    expect(parseAssembly(text.replace("goto", "gotol")).insns[0]!.imm).toBe(40_000);
  });
  test("bytes cut short", () => {
    expect(() => decodeInsns(new Uint8Array(9))).toThrow(expect.objectContaining({ code: "INSN_MALFORMED" }));
  });
});

test("fuzz: only ASM_SYNTAX escapes", () => {
  const random = new Random(7);
  const seeds = [...LLVM_FORMS, ...OTHER_FORMS, "; map: m hash key=4 value=8 max=1", "; prog: raw mem=8", "l: goto l"];
  const alphabet = " \t;:()[]*+-=<>&|^%/!.,0123456789abcdefrwsux_$@\"'\\\u00e9\u{1f600}\0\n";
  let parsed = 0;
  for (let round = 0; round < 20_000; round++) {
    let text = seeds[random.below(seeds.length)]!;
    for (let edits = random.below(4); edits > 0; edits--) {
      const at = random.below(text.length + 1);
      const piece =
        random.below(3) === 0 ? seeds[random.below(seeds.length)]! : alphabet[random.below(alphabet.length)]!;
      text = text.slice(0, at) + piece + text.slice(at + random.below(4));
    }
    try {
      assembleProgram(text);
      parsed++;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ASM_SYNTAX")
        throw new Error(`escaped for ${JSON.stringify(text)}`, { cause: error });
    }
  }
  expect(parsed).toBeGreaterThan(500);
});
