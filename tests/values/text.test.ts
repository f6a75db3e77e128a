/** Values as people read them. */
import { describe, expect, it } from "vitest";
import {
  formatEntries,
  formatHistogram,
  formatValue,
  hexDump,
  histogramOf,
  type Value,
  writeValue,
} from "../../runtime/values/index.ts";
import type { CType } from "../../spec/index.ts";
import { array, BOOL, COMM, EVENT, KIND, member, POINTER, S64, struct, U8, U16, U32, U64, union } from "./types.ts";

function bytesOf(type: CType, value: Value): Uint8Array {
  const bytes = new Uint8Array(type.size);
  writeValue(type, new DataView(bytes.buffer), 0, value);
  return bytes;
}
function text(type: CType, value: Value): string {
  return formatValue(type, new DataView(bytesOf(type, value).buffer), 0);
}

describe("formatValue", () => {
  it.each<[CType, Value, string]>([
    [U64, 2n ** 63n, "9223372036854775808"],
    [S64, -1n, "-1"],
    [BOOL, true, "true"],
    [KIND, 2, "PROCESS_EXIT"],
    [KIND, 7, "7"],
    [POINTER, 0xffff_8880_0000_1000n, "0xffff888000001000"],
    [COMM, 'a "b"', '"a \\"b\\""'],
    [array(U8, 4), [192, 0, 2, 1], "c0000201"],
    [array(U16, 3), [1, 2, 3], "[1, 2, 3]"],
    [EVENT, { time: 5, pid: 7, kind: 1, comm: "sh" }, '{ time = 5, pid = 7, kind = PROCESS_EXEC, comm = "sh" }'],
    [struct("empty", 0, []), {}, "{}"],
    [struct("outer", 4, [member("", 0, union("", 4, [member("whole", 0, U32)]))]), { whole: 3 }, "{ whole = 3 }"],
  ])("%#", (type, value, expected) => {
    expect(text(type, value)).toBe(expected);
  });

  it("cuts long arrays and says how long they are", () => {
    expect(text(array(U16, 40), [])).toMatch(/^\[(0, ){32}… 40 in all\]$/);
  });
});

describe("formatHistogram", () => {
  it("draws ranges, counts and bars", () => {
    expect(formatHistogram([2n, 0n, 8n, 1n, 0n], "usecs")).toBe(
      [
        "     usecs  count",
        "  0 ..   1      2  ██████████",
        "  2 ..   3      0",
        "  4 ..   7      8  ████████████████████████████████████████",
        "  8 ..  15      1  █████",
      ].join("\n"),
    );
  });
  it("shows what is small beside what is large", () => {
    expect(formatHistogram([1n, 1_000_000n]).split("\n")[1]).toMatch(/ 1 {2}▏$/);
  });
  it("has room for every slot of 64", () => {
    expect(formatHistogram(Array.from({ length: 64 }, () => 1n))).toContain("18446744073709551615");
  });
  it("says that nothing was counted", () => {
    expect(formatHistogram([0n, 0n])).toBe("(empty)");
  });
});

const HIST = struct("hist", 108, [member("slots", 0, array(U32, 27))]);
const KEYED = struct("keyed", 24, [member("comm", 0, COMM), member("slots", 16, array(U32, 2))]);

describe("formatEntries", () => {
  it("finds histograms by their slots", () => {
    expect(histogramOf(HIST)).toEqual({ offsetBytes: 0, slots: 27, slotBytes: 4 });
    expect(histogramOf(EVENT)).toBeNull();
    expect(histogramOf(struct("other", 8, [member("slots", 0, array(POINTER, 1))]))).toBeNull();
  });

  it("draws a histogram for each key, without a heading where there is one", () => {
    const entry = { key: bytesOf(U32, 0), value: bytesOf(HIST, { slots: [0, 4] }) };
    const drawn = formatEntries({ keyType: U32, valueType: HIST }, [entry], { unit: "usecs" });
    expect(drawn.split("\n")[0]).toBe("     usecs  count");
    expect(drawn).toContain("  2 ..   3      4  ████");
    expect(formatEntries({ keyType: U32, valueType: HIST }, [entry, entry])).toMatch(/^key 0\n[\s\S]*\n\nkey 0\n/);
    const named = { key: bytesOf(U32, 1), value: bytesOf(KEYED, { comm: "sh", slots: [1] }) };
    expect(formatEntries({ keyType: U32, valueType: KEYED }, [named])).toContain('key 1, comm "sh"');
  });

  it("lists counts from the largest down, text without quotes", () => {
    const keyType = struct("command", 16, [member("comm", 0, COMM)]);
    const entries = [
      { key: bytesOf(keyType, { comm: "sh" }), value: bytesOf(U64, 9n) },
      { key: bytesOf(keyType, { comm: "swapper/0" }), value: bytesOf(U64, 120n) },
    ];
    expect(formatEntries({ keyType, valueType: U64 }, entries)).toBe(
      ["comm       value", "swapper/0    120", "sh             9"].join("\n"),
    );
  });

  it("gives members of keys and values columns of their own", () => {
    const valueType = struct("traffic", 16, [member("packets", 0, U64), member("bytes", 8, U64)]);
    const value = (packets: number): Uint8Array => bytesOf(valueType, { packets, bytes: packets * 100 });
    const entries = [{ key: bytesOf(U32, 17), value: [value(1), value(0), value(20)] }];
    expect(formatEntries({ keyType: U32, valueType }, entries)).toBe(
      ["cpu  key  packets  bytes", "  0   17        1    100", "  2   17       20   2000"].join("\n"),
    );
  });

  it("leaves zeros out of long tables and says how many", () => {
    const entries = Array.from({ length: 40 }, (_, index) => ({
      key: bytesOf(U32, index),
      value: bytesOf(U64, index === 7 ? 3n : 0n),
    }));
    expect(formatEntries({ keyType: U32, valueType: U64 }, entries)).toBe(
      ["key  value", "  7      3", "… and 39 that are zero"].join("\n"),
    );
    expect(formatEntries({ keyType: U32, valueType: U64 }, entries.slice(0, 2))).toContain("  1      0");
  });

  it("shows data maps variable by variable", () => {
    const variables = [
      { name: "dropped", offsetBytes: 0, sizeBytes: 8, type: U64 },
      { name: "unknown", offsetBytes: 8, sizeBytes: 2, type: null },
    ];
    const entry = { key: bytesOf(U32, 0), value: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0, 1, 2) };
    expect(formatEntries({ keyType: U32, valueType: null, variables }, [entry])).toBe(
      ["variable  value", "dropped   5", "unknown   0102"].join("\n"),
    );
  });

  it("falls back to hexadecimal without types, or where the bytes are not of the type", () => {
    const entries = [{ key: Uint8Array.of(1, 2), value: Uint8Array.of(3) }];
    expect(formatEntries({ keyType: null, valueType: null }, entries)).toBe("key   value\n0102  03");
    expect(formatEntries({ keyType: U32, valueType: EVENT }, entries)).toContain("0102");
    expect(formatEntries({ keyType: null, valueType: null }, [])).toBe("(empty)");
  });
});

describe("hexDump", () => {
  it("shows offset, bytes and text", () => {
    const bytes = new TextEncoder().encode("sixteen bytes ok, then more\n");
    expect(hexDump(bytes)).toBe(
      [
        "000000  73 69 78 74 65 65 6e 20  62 79 74 65 73 20 6f 6b  sixteen bytes ok",
        "000010  2c 20 74 68 65 6e 20 6d  6f 72 65 0a              , then more.",
      ].join("\n"),
    );
    expect(hexDump(new Uint8Array(0))).toBe("");
  });
});
