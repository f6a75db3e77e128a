/** BTF: what is decoded, and what hostile types may cost. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { readBtf } from "../../compiler/object/index.ts";
import { fixtureBytes } from "./libbpf.ts";

/** Kinds by number. */
const [INT, PTR, ARRAY, STRUCT, ENUM, FWD, TYPEDEF, CONST, FUNC, FUNC_PROTO, ENUM64] = [
  1, 2, 3, 4, 6, 7, 8, 10, 12, 13, 19,
];
const FLAG = 1 << 31;
const SIGNED = 1 << 24;

/** A type's words: name, kind, count, size or type, and what follows. */
type Words = readonly [name: string, kind: number, count: number, size: number, ...rest: (number | string)[]];

/** Strings among the words become their offsets. */
function writeBtf(types: readonly Words[], flags: readonly number[] = []): Uint8Array {
  const strings = [0];
  const known = new Map([["", 0]]);
  const offsetOf = (text: string): number => {
    const offset = known.get(text) ?? strings.length;
    if (!known.has(text)) strings.push(...new TextEncoder().encode(text), 0);
    known.set(text, offset);
    return offset;
  };
  const words = types.flatMap(([name, kind, count, size, ...rest], index) => [
    offsetOf(name),
    (kind << 24) | count | (flags.includes(index + 1) ? FLAG : 0),
    size,
    ...rest.map((word) => (typeof word === "string" ? offsetOf(word) : word)),
  ]);
  const bytes = new Uint8Array(24 + 4 * words.length + strings.length);
  const view = new DataView(bytes.buffer);
  [0x1eb9f, 24, 0, 4 * words.length, 4 * words.length, strings.length, ...words].forEach((word, index) => {
    view.setUint32(4 * index, word >>> 0, true);
  });
  bytes.set(strings, 24 + 4 * words.length);
  return bytes;
}

const btfOf = (types: readonly Words[], flags?: readonly number[]) => readBtf(writeBtf(types, flags));
const INT32: Words = ["int", INT, 0, 4, SIGNED | 32];

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof BpfError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

describe("types", () => {
  it("are found by name and kind, up to a flavour", () => {
    const btf = btfOf([
      INT32,
      ["task", STRUCT, 0, 0],
      ["task___old", STRUCT, 0, 0],
      ["task", TYPEDEF, 0, 1],
      ["task_", STRUCT, 0, 0],
      ["ta", STRUCT, 0, 0],
      ["a___b___c", STRUCT, 0, 0],
      ["___x", STRUCT, 0, 0],
    ]);
    expect(btf.findByName("task")).toBe(2);
    expect(btf.findByName("task", "typedef")).toBe(4);
    expect(btf.findByName("none")).toBeNull();
    expect([...btf.ownCandidates("task___new")]).toEqual([2, 3, 4]);
    expect([...btf.ownCandidates("a___b")]).toEqual([]);
    expect([...btf.ownCandidates("a___b___d")]).toEqual([7]);
    expect([...btf.ownCandidates("___x")]).toEqual([8]);
  });

  it("have sizes and alignments", () => {
    const btf = btfOf([
      INT32,
      ["", ARRAY, 0, 0, 1, 1, 6],
      ["", PTR, 0, 0],
      ["s", STRUCT, 2, 16, "a", 1, 0, "p", 3, 64],
      ["packed", STRUCT, 2, 12, "a", 1, 0, "p", 3, 32],
      ["s_t", TYPEDEF, 0, 4],
      ["", CONST, 0, 6],
      ["gone", FWD, 0, 0],
    ]);
    expect([1, 2, 3, 4, 5, 7, 8, 0].map((id) => btf.sizeOf(id))).toEqual([4, 24, 8, 16, 12, 16, null, null]);
    expect([1, 2, 3, 4, 5, 7, 8].map((id) => btf.alignOf(id))).toEqual([4, 4, 8, 8, 1, 8, null]);
  });

  it("become C types", () => {
    const btf = btfOf(
      [
        INT32,
        ["", STRUCT, 2, 8, "low", 1, (3 << 24) | 0, "high", 1, (29 << 24) | 3],
        ["pair_t", TYPEDEF, 0, 2],
        ["state", ENUM, 2, 4, "ON", 1, "OFF", 0xffffffff],
        ["wide", ENUM64, 1, 8, "BIG", 0, 0x80000000],
        ["", PTR, 0, 7],
        ["", CONST, 0, 3],
        ["", FUNC_PROTO, 0, 1],
        ["run", FUNC, 1, 8],
      ],
      [2, 4],
    );
    expect(btf.ctype(3)).toEqual({
      kind: "struct",
      name: "pair_t",
      size: 8,
      members: [
        { name: "low", offsetBits: 0, bitfieldBits: 3, type: btf.ctype(1) },
        { name: "high", offsetBits: 3, bitfieldBits: 29, type: btf.ctype(1) },
      ],
    });
    expect(btf.ctype(4)).toMatchObject({ signed: true, values: [{ value: 1 }, { value: -1 }] });
    expect(btf.ctype(5)).toMatchObject({
      kind: "enum",
      size: 8,
      values: [{ name: "BIG", value: "9223372036854775808" }],
    });
    expect(btf.ctype(6)).toEqual({ kind: "pointer", name: "pair_t *", size: 8, target: "pair_t" });
    expect(btf.ctype(9)).toEqual({ kind: "opaque", name: "run", size: 0 });
  });

  it("come out of the .BTF of an ELF file too", () => {
    const btf = readBtf(fixtureBytes("core-target"));
    expect(btf.typeById(btf.findByName("twins", "struct")!)).toMatchObject({ members: [{ name: "x" }, { name: "y" }] });
  });
});

describe("hostile types", () => {
  it("that refer to nothing are refused when touched", () => {
    expect(codeOf(() => btfOf([["", PTR, 0, 99]]).ctype(1))).toBe("BTF_MALFORMED");
    expect(codeOf(() => btfOf([["t", TYPEDEF, 0, 99]]).sizeOf(1))).toBe("BTF_MALFORMED");
  });

  it("that are cyclic end", () => {
    const btf = btfOf([
      ["a", TYPEDEF, 0, 2],
      ["b", TYPEDEF, 0, 1],
      ["self", STRUCT, 1, 8, "self", 3, 0],
      ["", ARRAY, 0, 0, 4, 4, 2],
      ["", PTR, 0, 5],
    ]);
    for (const id of [1, 3, 4])
      expect(
        codeOf(() => btf.ctype(id)),
        `type ${id}`,
      ).toBe("BTF_MALFORMED");
    expect(btf.sizeOf(1)).toBeNull();
    expect(btf.sizeOf(4)).toBeNull();
    expect(btf.alignOf(3)).toBeNull();
    expect(btf.ctype(5)).toMatchObject({ kind: "pointer" });
  });

  it("that unfold without measure stay small", () => {
    const levels = Array.from(
      { length: 30 },
      (_, level): Words => [`l${level}`, STRUCT, 2, 8, "a", level + 1, 0, "b", level + 1, 0],
    );
    const btf = btfOf([INT32, ...levels]);
    let nodes = 0;
    const walk = (type: ReturnType<typeof btf.ctype>): void => {
      nodes++;
      if (type.kind === "struct" || type.kind === "union") for (const member of type.members) walk(member.type);
    };
    walk(btf.ctype(31));
    expect(nodes).toBeLessThan(100_000);
    expect(btf.alignOf(31)).toBe(4);
  });

  it("that nest too deep are refused", () => {
    const levels = Array.from({ length: 5000 }, (_, level): Words => [`l${level}`, STRUCT, 1, 4, "a", level + 1, 0]);
    const btf = btfOf([INT32, ...levels]);
    expect(codeOf(() => btf.ctype(5001))).toBe("BTF_MALFORMED");
    expect(btf.alignOf(5001)).toBeNull();
  });

  it("with names that overlap cost no more than they weigh", () => {
    // Each name is the tail of one long string: 20,000 names of 100 kB would be 2 GB.
    const bytes = writeBtf([
      ["x".repeat(100_000), FWD, 0, 0],
      ...Array.from({ length: 20_000 }, (): Words => ["", FWD, 0, 0]),
    ]);
    const view = new DataView(bytes.buffer);
    for (let index = 1; index <= 20_000; index++) view.setUint32(24 + 12 * index, index + 1, true);
    const started = performance.now();
    const btf = readBtf(bytes);
    expect(codeOf(() => btf.findByName("xx"))).toBe("BTF_MALFORMED");
    expect(codeOf(() => btf.validate())).toBe("BTF_MALFORMED");
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("in a section that lies are refused", () => {
    const good = writeBtf([INT32]);
    for (const [offset, word] of [
      [0, 0x12345678],
      [4, 0xffffffff],
      [8, 0xfffffff0],
      [12, 0xffffffff],
      [12, 12],
      [16, 0],
      [20, 0xffffffff],
      [28, 31 << 24],
      [28, 0],
    ] as const) {
      const bytes = good.slice();
      new DataView(bytes.buffer).setUint32(offset, word, true);
      expect(
        codeOf(() => readBtf(bytes)),
        `word ${offset}`,
      ).toBe("BTF_MALFORMED");
    }
    for (let length = 0; length < good.length; length++)
      expect(
        codeOf(() => readBtf(good.subarray(0, length))),
        `${length} bytes`,
      ).toBe("BTF_MALFORMED");
  });
});

const KERNEL_BTF = "/sys/kernel/btf/vmlinux";
describe.skipIf(!existsSync(KERNEL_BTF))("the running kernel's BTF", () => {
  it("opens fast and has all it should", () => {
    const bytes = readFileSync(KERNEL_BTF);
    const started = performance.now();
    const btf = readBtf(bytes);
    const opened = performance.now() - started;
    const task = btf.findByName("task_struct", "struct")!;
    expect(btf.nameOf(task)).toBe("task_struct");
    // 10 ms on an idle machine
    expect(opened).toBeLessThan(1000);
    btf.validate();
    expect(btf.ctype(btf.findByName("pt_regs", "struct")!)).toMatchObject({ kind: "struct", name: "pt_regs" });
  });
});
