/** BTF of 100 MB that is made to cost: it ends soon, in bounded memory, with an answer or a typed error. */
import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { readBtf, readObject } from "../../compiler/object/index.ts";
import { type CoreCase, writeObject } from "./object.ts";

const MB = 1 << 20;
const SIZE = 100 * MB;
/** far above what any takes (one to three seconds), as machines are busy */
const MOST_MS = 30_000;
const MOST_BYTES = 1500 * MB;

const [STRUCT, TYPEDEF, ENUM] = [4, 8, 6];

/** `words` fill the types until `types` bytes; strings fill the rest. */
function btfOf(typeBytes: number, fill: (view: DataView, end: number) => void, strings: string): Uint8Array {
  const types = typeBytes - (typeBytes % 4);
  const text = new TextEncoder().encode(`\0${strings}\0`);
  const bytes = new Uint8Array(24 + types + text.length);
  const view = new DataView(bytes.buffer);
  [0x1eb9f, 24, 0, types, types, text.length].forEach((word, index) => {
    view.setUint32(4 * index, word, true);
  });
  fill(new DataView(bytes.buffer, 24, types), types);
  bytes.set(text, 24 + types);
  return bytes;
}

/** Types of `words` each, over and over; the rest is a struct of as many members as it takes. */
function repeat(words: (id: number) => readonly number[]): (view: DataView, end: number) => void {
  return (view, end) => {
    let id = 1;
    let at = 0;
    for (const length = 4 * words(1).length; at + length <= end; at += length, id++)
      words(id).forEach((word, index) => {
        view.setUint32(at + 4 * index, word, true);
      });
    // What is left is too short for a type of that kind: fill up with heads of 12 bytes where they fit.
    for (; at + 12 <= end; at += 12) view.setUint32(at + 4, TYPEDEF << 24, true);
  };
}

const whole = (bytes: number, unit: number): number => bytes - (bytes % unit);
const MEMBERS = 65_535;
const BIG_STRUCT = 12 + 12 * MEMBERS;

const HOSTILE: Readonly<Record<string, () => Uint8Array>> = {
  "nothing but types of one name": () =>
    btfOf(
      whole(SIZE, 12),
      repeat(() => [1, STRUCT << 24, 0]),
      "s",
    ),
  "typedefs, each of the one before": () =>
    btfOf(
      whole(SIZE, 12),
      repeat((id) => [1, TYPEDEF << 24, id - 1]),
      "s",
    ),
  "a circle of typedefs": () =>
    btfOf(
      whole(SIZE, 12),
      repeat((id) => [1, TYPEDEF << 24, id + 1]),
      "s",
    ),
  "structs of as many unnamed members as there can be, each of the next": () =>
    btfOf(
      whole(SIZE, BIG_STRUCT),
      (view, end) => {
        for (let at = 0, id = 1; at < end; at += BIG_STRUCT, id++) {
          view.setUint32(at, 1, true);
          view.setUint32(at + 4, (STRUCT << 24) | MEMBERS, true);
          view.setUint32(at + 8, 4, true);
          for (let member = 0; member < MEMBERS; member++)
            view.setUint32(at + 12 + 12 * member + 4, at + BIG_STRUCT < end ? id + 1 : id, true);
        }
      },
      "s",
    ),
  "one name of 50 MB, shared by types": () =>
    btfOf(
      whole(SIZE / 2, 20),
      repeat(() => [1, (ENUM << 24) | 1, 4, 1, 0]),
      "s".repeat(SIZE / 2),
    ),
  "names that overlap": () =>
    btfOf(
      whole(SIZE / 2, 12),
      repeat((id) => [1 + (id % (SIZE / 2)), STRUCT << 24, 0]),
      "s".repeat(SIZE / 2),
    ),
  zeroes: () => new Uint8Array(SIZE),
  "an ELF file of sections all over": () => {
    const bytes = new Uint8Array(SIZE);
    bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(40, 64n, true);
    view.setUint16(58, 64, true);
    view.setUint16(60, 0, true);
    view.setBigUint64(64 + 32, BigInt(whole(SIZE - 64, 64) / 64), true);
    return bytes;
  },
};

const CASES: readonly Pick<CoreCase, "kind" | "access" | "form" | "held">[] = [
  { kind: "fieldOffset", access: "0:0", form: "mov", held: 0n },
  { kind: "typeMatches", access: "0", form: "mov", held: 1n },
];

describe("hostile BTF of 100 MB", () => {
  it.each(Object.entries(HOSTILE))(
    "%s",
    (_, make) => {
      const bytes = make();
      const before = process.memoryUsage().rss;
      const started = performance.now();
      for (const test of CASES)
        expect(unexpected(() => relocate({ ...test, types: "struct s { int a; };", type: "s" }, bytes))).toBeNull();
      expect(performance.now() - started).toBeLessThan(MOST_MS);
      expect(process.memoryUsage().rss - before).toBeLessThan(MOST_BYTES);
    },
    2 * MOST_MS,
  );
});

function relocate(test: CoreCase, target: Uint8Array): void {
  const targetBtf = readBtf(target);
  targetBtf.findByName("nothing");
  for (const outcome of readObject(writeObject(test), { targetBtf }).programs)
    if (!outcome.ok && !(outcome.error instanceof BpfError)) throw outcome.error as unknown;
}

function unexpected(action: () => void): unknown {
  try {
    action();
    return null;
  } catch (error) {
    return error instanceof BpfError ? null : error;
  }
}
