/** Objects that lie: each is refused with the right code, at the right size, in little time. */
import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { type BpfObject, readObject } from "../../compiler/object/index.ts";
import {
  EXEC,
  GLOBAL_FUNC,
  GLOBAL_NONE,
  GLOBAL_OBJECT,
  LOCAL_SECTION,
  type RelocationPlan,
  relocationSection,
  type SymbolPlan,
  writeElf,
  writeInsns,
} from "./elf-writer.ts";

const EXIT = [0x95, 0, 0, 0] as const;
const CALL = [0x85, 0x10, 0, -1] as const;
const LOAD = [0x18, 1, 0, 0] as const;
const HIGH = [0, 0, 0, 0] as const;
const MOVE = [0xb7, 0, 0, 1] as const;
/** What is linear takes a fraction of this even on a busy machine; what is quadratic takes more. */
const MOST_MS = 10_000;
const NOBITS = 8;
const R_64 = 1;
const R_32 = 10;

const fn = (name: string, section: number, slot: number, slots: number): SymbolPlan => ({
  name,
  info: GLOBAL_FUNC,
  section,
  value: 8 * slot,
  size: 8 * slots,
});

/** One program in section 1, relocated. */
function program(
  insns: Parameters<typeof writeInsns>[0],
  relocations: RelocationPlan[] = [],
  symbols: SymbolPlan[] = [],
) {
  return writeElf(
    [{ name: "xdp", flags: EXEC, bytes: writeInsns(insns) }, relocationSection("xdp", 1, relocations)],
    [fn("prog", 1, 0, insns.length), ...symbols],
  );
}

function codeOf(bytes: Uint8Array): string {
  try {
    const [outcome] = readObject(bytes).programs;
    return outcome === undefined ? "no program" : outcome.ok ? "ok" : outcome.error.code;
  } catch (error) {
    if (error instanceof BpfError) return `throws ${error.code}`;
    throw error;
  }
}

const insnsOf = (object: BpfObject): number =>
  object.programs.reduce((sum, outcome) => sum + (outcome.ok ? outcome.program.insns.length : 0), 0);

describe("header and sections", () => {
  const good = program([MOVE, EXIT]);
  const patched = (change: (view: DataView) => void): Uint8Array => {
    const bytes = good.slice();
    change(new DataView(bytes.buffer));
    return bytes;
  };

  it("are read where they are right", () => {
    expect(codeOf(good)).toBe("ok");
  });

  it.each([
    ["no magic", (view: DataView) => view.setUint8(0, 0), "ELF_MALFORMED"],
    ["32 bits", (view: DataView) => view.setUint8(4, 1), "ELF_MALFORMED"],
    ["big-endian", (view: DataView) => view.setUint8(5, 2), "ELF_MALFORMED"],
    ["an executable", (view: DataView) => view.setUint16(16, 2, true), "ELF_MALFORMED"],
    ["x86-64", (view: DataView) => view.setUint16(18, 62, true), "ELF_MALFORMED"],
    ["section headers outside", (view: DataView) => view.setBigUint64(40, 1n << 60n, true), "ELF_TRUNCATED"],
    ["no section headers", (view: DataView) => view.setBigUint64(40, 0n, true), "ELF_MALFORMED"],
    ["65,279 sections", (view: DataView) => view.setUint16(60, 65279, true), "ELF_TRUNCATED"],
    ["names in section 99", (view: DataView) => view.setUint16(62, 99, true), "ELF_MALFORMED"],
    ["odd section headers", (view: DataView) => view.setUint16(58, 40, true), "ELF_MALFORMED"],
  ])("%s: refused", (_, change, code) => {
    expect(codeOf(patched(change))).toBe(`throws ${code}`);
  });

  it("are refused at any truncation", () => {
    for (let length = 0; length < good.length; length++)
      expect(codeOf(good.subarray(0, length)), `${length} bytes`).toMatch(/^throws ELF_/);
  });

  it("must not overlap", () => {
    const bytes = writeInsns([MOVE, EXIT]);
    const overlapping = writeElf(
      [
        { name: "xdp", flags: EXEC, bytes },
        { name: "tc", flags: EXEC, offset: 72, size: 16 },
      ],
      [],
    );
    expect(codeOf(overlapping)).toBe("throws ELF_MALFORMED");
  });

  it("may claim a large .bss, but not any", () => {
    const zeroes = (size: number) => writeElf([{ name: ".bss", type: NOBITS, size }], []);
    expect(readObject(zeroes(1 << 20)).maps[0]?.valueSize).toBe(1 << 20);
    expect(codeOf(zeroes(2 ** 40))).toBe("throws UNSUPPORTED_FEATURE");
  });

  it("need a symbol table", () => {
    const bytes = good.slice();
    const view = new DataView(bytes.buffer);
    view.setUint32(bytes.length - 64 * 3 + 4, 1, true);
    expect(codeOf(bytes)).toBe("throws ELF_MALFORMED");
  });
});

describe("symbols", () => {
  it.each([
    ["past the end", 0, 24],
    ["before the end of time", 2 ** 52, 16],
    ["in the middle of an instruction", 4, 8],
    ["of half an instruction", 0, 12],
    ["of nothing", 0, 0],
  ])("of a function %s: refused", (_, value, size) => {
    const bytes = writeElf(
      [{ name: "xdp", flags: EXEC, bytes: writeInsns([MOVE, EXIT]) }],
      [{ name: "prog", info: GLOBAL_FUNC, section: 1, value, size }],
    );
    expect(codeOf(bytes)).toBe("throws SYMBOL_MALFORMED");
  });
});

describe("relocations", () => {
  it.each([
    ["inside an instruction", [MOVE, EXIT], { offset: 4, type: R_64, symbol: 1 }, "RELOCATION_MALFORMED"],
    ["of a move", [MOVE, EXIT], { offset: 0, type: R_64, symbol: 1 }, "RELOCATION_MALFORMED"],
    ["of the second slot", [LOAD, HIGH, EXIT], { offset: 8, type: R_64, symbol: 1 }, "RELOCATION_MALFORMED"],
    ["of a load that is cut off", [EXIT, LOAD], { offset: 8, type: R_64, symbol: 1 }, "RELOCATION_MALFORMED"],
    ["to symbol 99", [CALL, EXIT], { offset: 0, type: R_32, symbol: 99 }, "RELOCATION_MALFORMED"],
    ["of another type", [CALL, EXIT], { offset: 0, type: R_64, symbol: 1 }, "RELOCATION_MALFORMED"],
    ["of type 77", [LOAD, HIGH, EXIT], { offset: 0, type: 77, symbol: 1 }, "RELOCATION_MALFORMED"],
    ["to a program", [CALL, EXIT], { offset: 0, type: R_32, symbol: 1 }, "RELOCATION_UNRESOLVED"],
    ["to code as data", [LOAD, HIGH, EXIT], { offset: 0, type: R_64, symbol: 1 }, "RELOCATION_UNRESOLVED"],
    ["to the null symbol", [LOAD, HIGH, EXIT], { offset: 0, type: R_64, symbol: 0 }, "RELOCATION_UNRESOLVED"],
    ["outside the section", [MOVE, EXIT], { offset: 800, type: R_64, symbol: 1 }, "throws RELOCATION_MALFORMED"],
  ] as const)("%s: refused", (_, insns, relocation, code) => {
    expect(codeOf(program(insns, [relocation]))).toBe(code);
  });

  it("to special sections and unknown externs are refused", () => {
    const to = (symbol: Partial<SymbolPlan>) =>
      codeOf(
        program(
          [LOAD, HIGH, EXIT],
          [{ offset: 0, type: R_64, symbol: 2 }],
          [{ name: "x", info: GLOBAL_OBJECT, section: 0xfff2, value: 8, size: 8, ...symbol }],
        ),
      );
    expect(to({})).toBe("RELOCATION_UNRESOLVED");
    expect(to({ section: 0xff00 })).toBe("RELOCATION_UNRESOLVED");
    expect(to({ section: 50 })).toBe("RELOCATION_UNRESOLVED");
    expect(to({ section: 0, info: GLOBAL_NONE })).toBe("BTF_MISSING");
  });

  it("twice for one instruction are refused", () => {
    const twice = { offset: 0, type: R_32, symbol: 1 };
    expect(codeOf(program([CALL, EXIT], [twice, twice]))).toMatch(/^RELOCATION_/);
  });
});

describe("calls", () => {
  /** `count` subprograms of two slots, each calling the next; the last returns. */
  function chain(count: number): Uint8Array {
    const text = Array.from(
      { length: count },
      (_, index) => [index < count - 1 ? [0x85, 0x10, 0, 1] : MOVE, EXIT] as const,
    );
    return writeElf(
      [
        { name: "xdp", flags: EXEC, bytes: writeInsns([CALL, EXIT]) },
        { name: ".text", flags: EXEC, bytes: writeInsns(text.flat() as never) },
        relocationSection("xdp", 1, [{ offset: 0, type: R_32, symbol: 2 }]),
      ],
      [
        fn("prog", 1, 0, 2),
        { name: "", info: LOCAL_SECTION, section: 2, value: 0, size: 0 },
        ...Array.from({ length: count }, (_, index) => fn(`f${index}`, 2, 2 * index, 2)),
      ],
    );
  }

  it("are linked in order", () => {
    const [outcome] = readObject(chain(3)).programs;
    if (!outcome?.ok) throw outcome?.error;
    expect(outcome.program.insns.map(({ opcode, imm }) => [opcode, imm])).toEqual([
      [0x85, 1],
      [0x95, 0],
      [0x85, 1],
      [0x95, 0],
      [0x85, 1],
      [0x95, 0],
      [0xb7, 1],
      [0x95, 0],
    ]);
  });

  it("may form chains longer than JavaScript's stack", () => {
    const bytes = chain(60_000);
    const started = performance.now();
    expect(insnsOf(readObject(bytes))).toBe(120_002);
    expect(performance.now() - started).toBeLessThan(MOST_MS);
  });

  it("of a subprogram by itself end", () => {
    const bytes = writeElf(
      [
        { name: "xdp", flags: EXEC, bytes: writeInsns([CALL, EXIT]) },
        { name: ".text", flags: EXEC, bytes: writeInsns([CALL, EXIT]) },
        relocationSection("xdp", 1, [{ offset: 0, type: R_32, symbol: 2 }]),
        relocationSection(".text", 2, [{ offset: 0, type: R_32, symbol: 2 }]),
      ],
      [fn("prog", 1, 0, 2), fn("f", 2, 0, 2)],
    );
    expect(insnsOf(readObject(bytes))).toBe(4);
  });

  it("to nowhere are refused", () => {
    expect(codeOf(program([[0x85, 0x10, 0, 5], EXIT]))).toBe("RELOCATION_UNRESOLVED");
  });

  it("cannot make a small file large", () => {
    // 2,000 programs that each contain the same 20,000 instructions: 40 million of them in 350 kB.
    const programs = 2_000;
    const slots = 20_000;
    const body = Array.from({ length: slots }, (_, index) => (index < slots - 1 ? MOVE : EXIT));
    const bytes = writeElf(
      [
        {
          name: "xdp",
          flags: EXEC,
          bytes: writeInsns(Array.from({ length: programs }, () => [CALL, EXIT] as const).flat()),
        },
        { name: ".text", flags: EXEC, bytes: writeInsns(body) },
        relocationSection(
          "xdp",
          1,
          Array.from({ length: programs }, (_, index) => ({ offset: 16 * index, type: R_32, symbol: 1 })),
        ),
      ],
      [fn("f", 2, 0, slots), ...Array.from({ length: programs }, (_, index) => fn(`p${index}`, 1, 2 * index, 2))],
    );
    const started = performance.now();
    const object = readObject(bytes);
    expect(performance.now() - started).toBeLessThan(MOST_MS);
    expect(insnsOf(object)).toBeLessThan(5_000_000);
    expect(object.programs.at(-1)).toMatchObject({ ok: false, error: { code: "UNSUPPORTED_FEATURE" } });
  });
});
