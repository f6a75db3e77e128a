/**
 * Pages of the kernel's tracing ring: recorded ones against the kernel's own text of them (pages/record.sh), made ones for what
 * no recording shows, and damaged ones, which end in a CaptureError and nothing else. FUZZ_RUNS sets how many; FUZZ_SEED repeats.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CaptureError } from "../../base/index.ts";
import { parseFormat } from "../../runtime/sources/format.ts";
import { parsePageLayout, payloadBytesOf, payloadOf, takePage } from "../../runtime/sources/live/page.ts";
import { damage, makeRandom } from "../sources/damage.ts";

const file = (name: string): Buffer => readFileSync(new URL(`pages/${name}`, import.meta.url));
const LAYOUT = parsePageLayout(file("header_page").toString());
const FORMATS = file("formats")
  .toString()
  .split(/^(?=name:)/m)
  .map((text) => parseFormat(text, "recorded"));

interface Taken {
  readonly time: number;
  readonly name: string;
  readonly pid: number;
  readonly bytes: number;
}

function take(bytes: Uint8Array, base = { low: 0, high: 0 }) {
  const words = new Int32Array(Math.ceil(bytes.length / 4) + LAYOUT.bytes);
  new Uint8Array(words.buffer).set(bytes);
  const marks = new Uint16Array(1 << 16);
  for (const [index, { id }] of FORMATS.entries()) marks[id] = index + 1;
  const records: Taken[] = [];
  const push = (time: number, record: number, mark: number): void => {
    const payload = payloadOf(words, record);
    const pid = words[(payload >>> 2) + 1]!;
    records.push({ time, name: FORMATS[mark - 1]!.name, pid, bytes: payloadBytesOf(words, record) });
  };
  let missed: bigint | null = 0n;
  for (let page = 0; page < bytes.length; page += LAYOUT.bytes) {
    const summary = takePage(words, page, LAYOUT, base, { marks, push });
    missed = missed === null || summary.missed === null ? null : missed + summary.missed;
  }
  return { records, missed };
}

describe("recorded pages", () => {
  const bytes = file("pages.bin");
  const lines = file("trace.txt")
    .toString()
    .split("\n")
    .flatMap((line) => {
      const [, pid, seconds, name] = /-(\d+) +\[\d+\] \S+ +(\d+\.\d+): (\w+)/.exec(line) ?? [];
      return pid === undefined ? [] : [{ pid: Number(pid), seconds: Number(seconds), name: name! }];
    });

  it("hold what the kernel's text says", () => {
    const { records } = take(bytes);
    expect(records.length).toBe(lines.length);
    expect(records.length).toBeGreaterThan(500);
    const seen = records.map(({ time, name, pid }) => ({ pid, microseconds: Math.round(time / 1000), name }));
    const expected = lines.map(({ pid, seconds, name }) => ({
      pid,
      microseconds: Math.round(seconds * 1e6),
      name: name.replace(/^sys_(?!enter)/, "sys_enter_"),
    }));
    expect(seen).toEqual(expected);
  });

  it("tell that records were overwritten before them: a full page has no room to say how many, the statistics do", () => {
    expect(/^overrun: [1-9]/m.test(file("stats.txt").toString())).toBe(true);
    expect(take(bytes).missed).toBeNull();
    expect(take(bytes.subarray(LAYOUT.bytes)).missed).toBe(0n);
  });

  it("hold records longer than their own length says, and times further apart than their own time says", () => {
    const { records } = take(bytes);
    expect(Math.max(...records.map(({ bytes: length }) => length))).toBeGreaterThan(28 * 4);
    const gaps = records.map(({ time }, index) => time - (records[index - 1]?.time ?? time));
    expect(Math.max(...gaps)).toBeGreaterThan(2 ** 27);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0);
  });

  it("are counted from a point in time, exactly", () => {
    const [first] = take(bytes).records;
    const high = Math.floor(first!.time / 2 ** 32);
    const low = (first!.time % 2 ** 32) - 5;
    expect(take(bytes, { low, high }).records[0]!.time).toBe(5);
  });
});

describe("made pages", () => {
  const TYPE = FORMATS[0]!.id;
  const page = (entries: readonly number[], flags = 0, behind: readonly number[] = []): Uint8Array => {
    const words = new Uint32Array(LAYOUT.bytes / 4);
    // the time of the page: 3 * 2^32 + 1000
    words.set([1000, 3, entries.length * 4 + flags, 0, ...entries, ...behind]);
    return new Uint8Array(words.buffer);
  };
  const entry = (type: number, delta: number): number => (delta * 32 + type) >>> 0;
  const base = { low: 0, high: 3 };
  const RECORD = [TYPE, 7];

  it("with an absolute time", () => {
    // 3 * 2^32 + 5000 in 59 bits: 27 beside the type, the rest behind it
    const upper = 3 * 32;
    const { records } = take(page([entry(31, 5000), upper, entry(2, 10), ...RECORD]), base);
    expect(records.map(({ time }) => time)).toEqual([5010]);
  });

  it("with a record that was taken back, and with a filled end", () => {
    const taken = take(page([entry(29, 3), 8, 0, entry(2, 4), ...RECORD, entry(29, 0), 99]), base);
    expect(taken.records.map(({ time, pid }) => ({ time, pid }))).toEqual([{ time: 1007, pid: 7 }]);
  });

  it("with losses that are not counted", () => {
    expect(take(page([entry(2, 0), ...RECORD], 0x8000_0000), base).missed).toBeNull();
    expect(take(page([entry(2, 0), ...RECORD], 0xc000_0000, [12, 1]), base).missed).toBe(12n + (1n << 32n));
  });

  it.for([
    ["a record beyond its end", [entry(5, 0), ...RECORD]],
    ["a record of no length", [entry(0, 0), 0]],
    ["a long record without a length", [entry(0, 0)]],
  ] as const)("with %s are refused", ([, entries]) => {
    expect(() => take(page(entries), base)).toThrow(CaptureError);
  });

  it("with more than they hold are refused", () => {
    expect(() => take(page([], LAYOUT.bytes))).toThrow(CaptureError);
  });
});

it("damaged pages end in a CaptureError, or in records", () => {
  const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = makeRandom(seed);
  const bytes = file("pages.bin").subarray(0, LAYOUT.bytes);
  for (let run = 0; run < Number(process.env.FUZZ_RUNS ?? 300); run++) {
    try {
      const damaged = new Uint8Array(LAYOUT.bytes);
      damaged.set(damage(bytes, random).subarray(0, LAYOUT.bytes));
      take(damaged);
    } catch (error) {
      expect(error, `FUZZ_SEED=${seed}`).toBeInstanceOf(CaptureError);
    }
  }
});

it("a kernel with pages of another form is refused", () => {
  expect(() => parsePageLayout("")).toThrow(CaptureError);
  expect(parsePageLayout(file("header_page").toString())).toEqual({ timestamp: 0, commit: 8, data: 16, bytes: 4096 });
});
