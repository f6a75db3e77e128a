/** Values by C type: what is written is read back, by copies and by views, and what does not fit is refused. */
import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { readValue, type Value, viewOf, writeValue } from "../../runtime/values/index.ts";
import type { CType } from "../../spec/index.ts";
import {
  array,
  BOOL,
  bits,
  CHAR,
  COMM,
  EVENT,
  EVERYTHING,
  int,
  KIND,
  member,
  S32,
  struct,
  U8,
  U16,
  U32,
  U64,
  WIDE,
} from "./types.ts";

/** Shared memory, as the arena is, at an odd place so that nothing relies on alignment. */
function place(bytes: number, offset = 4): { view: DataView; address: number } {
  return { view: new DataView(new SharedArrayBuffer(bytes + offset + 64)), address: offset };
}
function roundTrip(type: CType, value: Value): Value {
  const { view, address } = place(type.size);
  writeValue(type, view, address, value);
  return readValue(type, view, address);
}

const SAMPLE = {
  flag: true,
  small: 65_535,
  number: -7,
  big: -(2n ** 63n),
  address: 0xffff_8880_0000_1000n,
  real: 1.5,
  kind: "PROCESS_EXIT",
  low: 5,
  signed: -16,
  across: 0xfffff,
  wide: "HUGE",
  comm: "sh",
  mac: [2, 0, 0, 0, 0, 255],
  words: [1, 2, 0xffff_ffff],
  either: 0x1_0002,
  or: 2,
  inner: { a: 1, b: -1 },
  inners: [
    { a: 2, b: -2 },
    { a: 3, b: -3 },
  ],
  grid: [
    [1, 2],
    [3, 4],
    [5, 6],
  ],
};

describe("writeValue and readValue", () => {
  it("round-trip a struct with one of everything", () => {
    expect(roundTrip(EVERYTHING, SAMPLE)).toEqual(SAMPLE);
  });

  it.each<[string, CType, Value, Value]>([
    ["a u64 is a bigint", U64, 2 ** 40, 2n ** 40n],
    ["a u32 is a number", U32, 0xffff_ffffn, 0xffff_ffff],
    ["an unknown enumerator stays a number", KIND, 9, 9],
    ["an enumerator beyond 2^53", WIDE, 2n ** 64n - 1n, "HUGE"],
    ["text that fills its array has no zero", array(CHAR, 2), "ab", "ab"],
    ["a boolean", BOOL, 1, true],
    ["128 bits", int("__int128", 16, true), -(2n ** 100n), -(2n ** 100n)],
    ["bytes stand for any value", U32, Uint8Array.of(1, 2, 3, 4), 0x0403_0201],
    ["an empty array", array(U32, 0), [], []],
  ])("%s", (_, type, value, expected) => {
    expect(roundTrip(type, value)).toEqual(expected);
  });

  it("gives enums as numbers when asked", () => {
    const { view, address } = place(EVENT.size);
    writeValue(EVENT, view, address, { kind: "PROCESS_EXEC" });
    expect(readValue(EVENT, view, address, { enums: "number" })).toMatchObject({ kind: 1 });
  });

  it("makes padding and members left out zero, and touches nothing else", () => {
    const { view, address } = place(16);
    const bytes = new Uint8Array(view.buffer);
    bytes.fill(0xaa);
    writeValue(struct("padded", 8, [member("a", 0, U8), member("b", 4, S32)]), view, address, { a: 1 });
    expect([...bytes.subarray(address - 1, address + 9)]).toEqual([0xaa, 1, 0, 0, 0, 0, 0, 0, 0, 0xaa]);
  });

  it("leaves the bits around a bit-field alone", () => {
    const fields = struct("fields", 4, [bits("a", 0, 7, U32), bits("b", 7, 18, U32), bits("c", 25, 7, U32)]);
    expect(roundTrip(fields, { a: 0x7f, b: 0, c: 0x55 })).toEqual({ a: 0x7f, b: 0, c: 0x55 });
    expect(roundTrip(fields, { a: 0, b: 0x3ffff, c: 0 })).toEqual({ a: 0, b: 0x3ffff, c: 0 });
  });

  it("agree on random integers of every width, place and sign", () => {
    let state = 12_345;
    const random = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state;
    };
    for (let run = 0; run < 2000; run++) {
      const width = 1 + (random() % 64);
      const offset = random() % 32;
      const signed = (random() >>> 8) % 2 === 0;
      const raw = (BigInt(random()) << 32n) | BigInt(random());
      const value = signed ? BigInt.asIntN(width, raw) : BigInt.asUintN(width, raw);
      const type = struct("s", 16, [bits("x", offset, width, int("x", 8, signed))]);
      expect(roundTrip(type, { x: value })).toEqual({ x: value });
    }
  });

  it.each<[string, CType, Value, string]>([
    ["a number beyond its type", U8, 256, "value: 256 does not fit unsigned char"],
    ["a negative one for unsigned", U32, -1, "value: -1 does not fit unsigned int"],
    ["a fraction", S32, 1.5, "value: 1.5 does not fit int"],
    ["text that is too long", array(CHAR, 2), "abc", 'value: "abc" does not fit char[2]'],
    ["an unknown enumerator", KIND, "NONE", 'value: "NONE" does not fit enum kind'],
    ["too many elements", array(U16, 2), [1, 2, 3], "value: an array of 3 does not fit unsigned short[2]"],
    ["a wrong element, by its place", EVERYTHING, { words: [0, -1] }, "value.words[1]: -1 does not fit unsigned int"],
    ["a bit-field that is too wide", EVERYTHING, { low: 8 }, "value.low: 8 does not fit unsigned int"],
    ["an unknown member", EVENT, { tid: 1 }, "struct event has no member tid (value)"],
    ["bytes of another size", U32, Uint8Array.of(1), "value: 1 bytes (01) does not fit unsigned int"],
  ])("refuse %s", (_, type, value, message) => {
    const { view, address } = place(type.size);
    new Uint8Array(view.buffer).fill(0x55);
    expect(() => writeValue(type, view, address, value)).toThrow(
      expect.objectContaining({ code: "MAP_KEY_TYPE", message }),
    );
    expect(new Uint8Array(view.buffer).every((byte) => byte === 0x55)).toBe(true);
  });

  it("refuse memory that is too short, also for a type whose members lie outside it", () => {
    const view = new DataView(new ArrayBuffer(16));
    const liar = struct("liar", 4, [member("far", 1000, U64)]);
    expect(() => readValue(EVENT, view, 0)).toThrow(BpfError);
    expect(() => readValue(EVENT, view, -8)).toThrow(BpfError);
    expect(() => readValue(liar, view, 0)).toThrow(BpfError);
    expect(() => new (viewOf(liar))({ view }, 0)).toThrow(BpfError);
  });
});

describe("viewOf", () => {
  const { view, address } = place(EVERYTHING.size);
  writeValue(EVERYTHING, view, address, SAMPLE);
  const record = new (viewOf(EVERYTHING))({ view }, address);

  it("has a getter for every member, with the values that readValue gives", () => {
    expect(record).toMatchObject({ flag: true, small: 65_535, number: -7, big: -(2n ** 63n), real: 1.5, comm: "sh" });
    expect(record).toMatchObject({ low: 5, signed: -16, across: 0xfffff, either: 0x1_0002, kind: 2 });
    expect([...(record.mac as Uint8Array)]).toEqual(SAMPLE.mac);
    expect([...(record.words as Uint32Array)]).toEqual(SAMPLE.words);
    expect((record.inner as { b: number }).b).toBe(-1);
    expect((record.inners as { a: number }[]).map((inner) => inner.a)).toEqual([2, 3]);
    expect(record.grid).toEqual(SAMPLE.grid);
    expect(record.$copy()).toEqual(SAMPLE);
  });

  it("reads the memory as it is now, and another record when moved", () => {
    const memory = place(2 * EVENT.size);
    const event = new (viewOf(EVENT))({ view: memory.view }, memory.address);
    writeValue(EVENT, memory.view, memory.address, { pid: 1, comm: "one" });
    writeValue(EVENT, memory.view, memory.address + EVENT.size, { pid: 2, comm: "two" });
    expect([event.pid, event.comm]).toEqual([1, "one"]);
    event.$address += EVENT.size;
    expect([event.pid, event.comm]).toEqual([2, "two"]);
    writeValue(EVENT, memory.view, event.$address, { pid: 3, comm: "three" });
    expect([event.pid, event.comm]).toEqual([3, "three"]);
  });

  it("is one class a type", () => {
    expect(viewOf(EVENT)).toBe(viewOf(EVENT));
    expect(() => viewOf(U32)).toThrow(expect.objectContaining({ code: "USAGE" }));
  });

  it("tells texts apart that fall into one place of its cache", () => {
    const memory = place(16);
    const type = struct("named", 16, [member("comm", 0, COMM)]);
    const named = new (viewOf(type))({ view: memory.view }, memory.address);
    for (let index = 0; index < 5000; index++) {
      writeValue(type, memory.view, memory.address, { comm: `task/${index * 7919}` });
      expect(named.comm).toBe(`task/${index * 7919}`);
    }
  });
});
