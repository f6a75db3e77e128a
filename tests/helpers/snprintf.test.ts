/**
 * bpf_snprintf against the kernel: each case is a format, the size of the target, and arguments. The kernel runs a program
 * that calls the helper with the format in a frozen map; ours is called on a buffer laid out the same way.
 */
import { describe, expect, it } from "vitest";
import { HELPER_IMPLEMENTATIONS } from "../../helpers/index.ts";
import { askKernel, isRecordedKernel, type KernelJob, recordedAnswers } from "../runtime/kernel.ts";
import { TestHost } from "./host.ts";

/** A number is an argument as it stands; a string or bytes stand for the address of a copy. */
type Argument = bigint | string | Uint8Array;
interface Case {
  readonly format: string | Uint8Array;
  readonly size: number;
  readonly args: readonly Argument[];
}
interface Answer {
  /** 0, or the errno of the load: the verifier refuses formats that are wrong */
  readonly load: number;
  /** what the helper returned, signed */
  readonly result: number;
  /** the target afterwards, hexadecimal, without what was not touched */
  readonly text: string;
}

const TARGET_BYTES = 256;
const TEXT_AT = 8;
const UNTOUCHED = 0xee;
const touched = (target: Uint8Array): string => hex(target).replace(/(ee)+$/, "");
const bytesOf = (text: string | Uint8Array): Uint8Array =>
  typeof text === "string" ? new TextEncoder().encode(text) : text;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const latin = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

const one = (format: string, ...args: Argument[]): Case => ({ format, size: 64, args });
const sized = (size: number, format: string, ...args: Argument[]): Case => ({ format, size, args });

const INTEGERS = [
  "%d",
  "%i",
  "%u",
  "%x",
  "%X",
  "%ld",
  "%li",
  "%lu",
  "%lx",
  "%lX",
  "%lld",
  "%lli",
  "%llu",
  "%llx",
  "%llX",
];
const VALUES = [
  0n,
  1n,
  42n,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0001n,
  0x7fff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_fff6n,
];
const PADDINGS = ["", "5", "05", "-5", "+", " ", "+5", " 05", "-05", "+-8", "0+ -3", "20", "00012"];

const CASES: readonly Case[] = [
  ...INTEGERS.flatMap((format) => VALUES.map((value) => one(`<${format}>`, value))),
  ...PADDINGS.flatMap((padding) => [
    ...["d", "x", "lld", "llX", "px", "c", "s", "pks"].map((letter) => {
      const argument = letter === "s" || letter === "pks" ? "ab" : letter === "c" ? 65n : 0xffff_ffff_ffff_ffd6n;
      return one(`<%${padding}${letter}>`, argument);
    }),
    one(`<%${padding}pI4>`, latin("\x01\x02\x03\xff")),
    one(`<%${padding}p>`, 0n),
    one(`<%${padding}ps>`, 0x1234n),
    one(`<%${padding}pB>`, 0x1234n),
  ]),
  // plain text
  one(""),
  one("plain"),
  one("100%%"),
  one("%%%%d"),
  one("a\tb\n"),
  one("gr\u00fc\u00df"),
  one("bell\x07"),
  one("del\x7f"),
  { format: latin("\x80\xff%d\xa0"), size: 64, args: [7n] },
  { format: latin("%\xe4d"), size: 64, args: [7n] },
  // refused formats
  ...["%", "%%%", "%y", "%.3d", "%*d", "%#x", "%hd", "%zu", "%o", "%f", "%llld", "%lc", "%ls", "%5", "%-", "%l"].map(
    (f) => one(f, 1n),
  ),
  ...[
    "%sa",
    "%s1",
    "%pksx",
    "%pusx",
    "%pk",
    "%pu",
    "%pa",
    "%p1",
    "%pi",
    "%pI",
    "%pI5",
    "%pi7",
    "%pe",
    "%pd",
    "%pV",
  ].map((f) => one(f, "text")),
  // what may follow
  ...["%s", "%s ", "%s.", "%s%%", "%s\n", "%s_", "%pks,"].map((f) => one(f, "text")),
  one("%p_", 0n),
  { format: latin("%s\xa1"), size: 64, args: ["x"] },
  { format: latin("%s\xe1"), size: 64, args: ["x"] },
  { format: latin("%s\xa0"), size: 64, args: ["x"] },
  one("%pxabc-", 0x12n),
  one("%pxabc%d", 0x12n, 3n),
  one("%pSabc %d", 0x12n, 3n),
  one("%pBabc %d", 0x12n, 3n),
  one("%pI4abc %d", latin("\x01\x02\x03\xff"), 3n),
  // pointers
  one("%px", 0xffff_8880_0000_1234n),
  one("%px %px", 0n, 0xffff_ffff_ffff_ffffn),
  one("%p", 0xffff_ffff_ffff_fff2n),
  one("%pK", 0n),
  one("%pi4", latin("\x01\x02\x03\xff")),
  one("%pI6", latin("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\xab\xcd")),
  one("%pi6", latin("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\xab\xcd")),
  one("%pI4|%pI6", 0n, 0x1234n),
  one("%ps|%pS|%pB", 0n, 5n, 0xffff_0000_0000_0000n),
  // strings
  one("%s", ""),
  one("%s|%s", "first", "second"),
  one("[%10s][%-10s][%2s]", "abc", "abc", "abc"),
  one("%s|%s", 0n, "after"),
  one("%pks|%pus|", 0x1000n, 0x1000n),
  one("%pus", "kernel memory"),
  sized(200, "%s", "x".repeat(100)),
  // characters beside words: the packed buffer is not aligned behind them
  one("%c%d%c%lld%s%c", 65n, -1n & 0xffff_ffff_ffff_ffffn, 66n, 0x1234_5678_9abcn, "str", 67n),
  one("%c", 0x141n),
  one("%c%c", 0n, 65n),
  // size of the target
  ...[0, 1, 2, 5, 6, 7].map((size) => sized(size, "%s", "hello")),
  ...[0, 1, 3, 9].map((size) => sized(size, "ab%dcd%5d|", 12n, 34n)),
  ...[0, 4, 7].map((size) => sized(size, "%pI4 %d %s", latin("\x01\x02\x03\xff"), 3n, "tail")),
  ...[0, 4, 7].map((size) => sized(size, "%pks %d %s", "kernel", 3n, "tail")),
  sized(20, "%100d", 5n),
  sized(20, "%-100d|", 5n),
  // numbers of arguments
  one("%d"),
  one("%d %d", 1n),
  one("none", 1n, 2n),
  one("%d", 1n, 2n, 3n),
  sized(200, Array(12).fill("%d").join(","), ...Array.from({ length: 12 }, (_, i) => BigInt(i))),
  sized(200, Array(13).fill("%d").join(","), ...Array.from({ length: 13 }, (_, i) => BigInt(i))),
  // the packed buffer of 512 bytes
  sized(200, "%s%s", "x".repeat(300), "y".repeat(100)),
  sized(200, "%s%s|", "x".repeat(300), "y".repeat(300)),
  sized(200, "%s%s%d", "x".repeat(300), "y".repeat(300), 5n),
  sized(200, "%s%s%s", "x".repeat(300), "y".repeat(210), "z"),
  sized(200, "%s%s%s", "x".repeat(300), "y".repeat(209), "z"),
  sized(200, "%s%s%c", "x".repeat(300), "y".repeat(209), 65n),
  sized(200, "%s%s%c", "x".repeat(300), "y".repeat(210), 65n),
  sized(200, "%s%d", "x".repeat(507), 65n),
  sized(200, "%s%d", "x".repeat(508), 65n),
  sized(200, "%s%lld", "x".repeat(503), 65n),
  sized(200, "%s%lld", "x".repeat(504), 65n),
  sized(200, "%s%pI4", "x".repeat(508), latin("\x01\x02\x03\xff")),
  sized(200, "%s%pI4", "x".repeat(507), latin("\x01\x02\x03\xff")),
  sized(256, "%pI4|%s", latin("\x01\x02\x03\xff"), "x".repeat(240)),
];

/** Where arguments and what they point to lie in the argument map: 16 words, then the copies. */
const COPIES_AT = 128;
const ARGUMENT_MAP_BYTES = 2048;

interface Layout {
  readonly memory: Uint8Array;
  /** argument index → offset of its copy */
  readonly pointers: ReadonlyMap<number, number>;
}

function layOut(args: readonly Argument[]): Layout {
  const memory = new Uint8Array(ARGUMENT_MAP_BYTES);
  const view = new DataView(memory.buffer);
  const pointers = new Map<number, number>();
  let at = COPIES_AT;
  args.forEach((argument, index) => {
    if (typeof argument === "bigint") {
      view.setBigUint64(8 * index, argument, true);
      return;
    }
    const bytes = bytesOf(argument);
    memory.set(bytes, at);
    pointers.set(index, at);
    at += bytes.length + 1;
  });
  return { memory, pointers };
}

/** Instruction slots as hexadecimal, for what the program of a case needs. */
function slot(opcode: number, dst: number, src: number, off: number, imm: number): string {
  const bytes = Buffer.alloc(8);
  bytes[0] = opcode;
  bytes[1] = (src << 4) | dst;
  bytes.writeInt16LE(off, 2);
  bytes.writeInt32LE(imm | 0, 4);
  return bytes.toString("hex");
}
const mapValue = (dst: number, map: number, off: number): string => slot(0x18, dst, 2, 0, map) + slot(0, 0, 0, 0, off);
const move = (dst: number, imm: number): string => slot(0xb7, dst, 0, 0, imm);

function jobOf({ format, size, args }: Case): KernelJob {
  const { memory, pointers } = layOut(args);
  const terminated = Buffer.concat([bytesOf(format), Buffer.alloc(1)]);
  const map = (data: Uint8Array, flags: number) =>
    ({ type: 2, key: 4, value: data.length, entries: 1, flags, data: hex(data), freeze: flags !== 0 }) as const;
  const insns = [
    mapValue(6, 0, 0),
    mapValue(7, 2, 0),
    ...[...pointers].map(([index, offset]) => mapValue(1, 2, offset) + slot(0x7b, 7, 1, 8 * index, 0)),
    mapValue(1, 0, TEXT_AT),
    move(2, size),
    mapValue(3, 1, 0),
    slot(0xbf, 4, 7, 0, 0),
    move(5, 8 * args.length),
    slot(0x85, 0, 0, 0, 165),
    slot(0x7b, 6, 0, 0, 0),
    move(0, 0),
    slot(0x95, 0, 0, 0, 0),
  ];
  return {
    type: 1,
    license: "GPL",
    insns: insns.join(""),
    maps: [map(new Uint8Array(TEXT_AT + TARGET_BYTES).fill(UNTOUCHED), 0), map(terminated, 1 << 7), map(memory, 0)],
    runs: [{ dataIn: "00".repeat(14) }],
    read: [0],
  };
}

function kernelAnswers(): Answer[] {
  return askKernel(CASES.map(jobOf)).map(({ load, values }) => {
    if (load !== 0) return { load, result: 0, text: "" };
    const value = Buffer.from(values["0"]!, "hex");
    return { load, result: value.readInt32LE(0), text: touched(value.subarray(TEXT_AT)) };
  });
}

function ourAnswer({ format, size, args }: Case): Answer {
  const host = new TestHost();
  const { memory, pointers } = layOut(args);
  const data = host.place(memory);
  for (const [index, offset] of pointers) host.setPointer(data + 8 * index, data + offset);
  const text = host.place(Buffer.concat([bytesOf(format), Buffer.alloc(1)]));
  const target = host.place(new Uint8Array(TARGET_BYTES).fill(UNTOUCHED));
  const result = HELPER_IMPLEMENTATIONS.bpf_snprintf(host, target, size, text, data, 8 * args.length)!;
  return { load: 0, result: result | 0, text: touched(host.bytes.subarray(target, target + TARGET_BYTES)) };
}

const recorded = recordedAnswers(new URL("./recorded/snprintf.json", import.meta.url), kernelAnswers);

describe("bpf_snprintf", () => {
  it.each(CASES.map((test, index) => ({ test, expected: recorded[index]!, name: nameOf(test) })))(
    "$name",
    ({ test, expected }) => {
      const ours = ourAnswer(test);
      // The verifier refuses what bpf_snprintf() itself would answer with -EINVAL.
      if (expected.load !== 0) expect(ours.result).toBe(-22);
      else expect(ours).toEqual(expected);
    },
  );

  it.skipIf(!isRecordedKernel)("the recorded answers are this kernel's", () => {
    expect(kernelAnswers()).toEqual(recorded);
  });

  it("hides an address behind a stand-in that is always the same", () => {
    const print = (address: bigint): string => {
      const { text } = ourAnswer(one("%p", address));
      return Buffer.from(text, "hex").toString("latin1").replace(/\0+$/, "");
    };
    expect(print(0xffff_8880_0000_1000n)).toMatch(/^00000000[0-9a-f]{8}$/);
    expect(print(0xffff_8880_0000_1000n)).toBe(print(0xffff_8880_0000_1000n));
    expect(print(0xffff_8880_0000_1000n)).not.toBe(print(0xffff_8880_0000_2000n));
  });
});

function nameOf({ format, size, args }: Case): string {
  const shown = args.map((arg) => (typeof arg === "bigint" ? arg.toString(16) : hex(bytesOf(arg)).slice(0, 20)));
  return `${JSON.stringify(Buffer.from(bytesOf(format)).toString("latin1"))} into ${size}: ${shown.join(" ")}`;
}
