/**
 * Reading files that are probed: functions, notes, system calls, and names of places. Damaged files give an AttachError, and
 * nothing else ever escapes. FUZZ_RUNS sets the number of random damages (default 300); FUZZ_SEED repeats a run.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { AttachError } from "../../base/index.ts";
import type { SourceWorld, WantedHook } from "../../runtime/source.ts";
import { systemCallSites } from "../../runtime/sources/live/probes/code.ts";
import { fileOffset, memoryElf, readElf, withElfFile } from "../../runtime/sources/live/probes/elf.ts";
import { findFunction, matchFunctions } from "../../runtime/sources/live/probes/functions.ts";
import { readUsdtProbes, usdtVariants } from "../../runtime/sources/live/probes/notes.ts";
import { functionsOf } from "../../runtime/sources/live/probes/symbols.ts";
import {
  functionTargetName,
  parseFunctionTarget,
  parseUsdtTarget,
  usdtTargetName,
} from "../../runtime/sources/live/probes/target.ts";
import { makeProbing } from "../../runtime/sources/live/probes/user-memory.ts";
import { tracefsAt } from "../../runtime/sources/live/tracefs.ts";
import { damage, makeRandom } from "../sources/damage.ts";
import { fixture } from "./tracing.ts";

const FILES = ["libparts.so", "libversions.so", "orders", "caller", "calls"];
const image = (name: string) => readElf(memoryElf(new Uint8Array(readFileSync(fixture(name))), name));
const codeOf = (action: () => unknown): string | null => {
  try {
    action();
    return null;
  } catch (error) {
    return (error as AttachError).code;
  }
};

describe("functions", () => {
  it("are found by name and by pattern, where they lie in the file", () => {
    const library = image("libparts.so");
    const same = findFunction(library, "same");
    const address = functionsOf(library, "dynamic").find(({ name }) => name === "same")!.address;
    expect(same).toEqual({ name: "same", offset: fileOffset(library, address) });
    expect(matchFunctions(library, "sa?e")).toEqual([same]);
    expect(
      matchFunctions(library, "*_log")
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["close_log", "open_log"]);
    expect(codeOf(() => findFunction(library, "sam"))).toBe("ATTACH_TARGET");
    // used by the program, defined elsewhere
    expect(codeOf(() => findFunction(image("caller"), "combine"))).toBe("ATTACH_TARGET");
    expect(withElfFile(fixture("libparts.so"), (file) => findFunction(file, "same"))).toEqual(same);
  });
});

describe("functions that a name alone does not tell", () => {
  const library = image("libversions.so");
  const offsetOf = (wanted: string) => findFunction(library, wanted).offset;

  it("are of the default version, or of the one that is asked for", () => {
    expect(offsetOf("measure")).toBe(offsetOf("measure@TWO"));
    expect(offsetOf("measure@@TWO")).toBe(offsetOf("second_measure"));
    expect(offsetOf("measure@ONE")).toBe(offsetOf("first_measure"));
    expect(() => findFunction(library, "measure@THREE")).toThrow(
      /no function measure@THREE, but measure@ONE, measure@TWO/,
    );
    expect(
      matchFunctions(library, "meas*")
        .map(({ offset }) => offset)
        .sort(),
    ).toEqual([offsetOf("first_measure"), offsetOf("second_measure")].sort());
  });

  it("are refused where there are two, or where it is chosen at run time; a pattern leaves those out", () => {
    expect(() => offsetOf("twin")).toThrow(/has 2 functions twin/);
    expect(() => offsetOf("fast")).toThrow(/fast .* is an IFUNC/);
    expect(codeOf(() => matchFunctions(library, "fas*"))).toBe("ATTACH_TARGET");
    expect(matchFunctions(library, "twi*").length).toBe(2);
    expect(offsetOf("soft")).toBeGreaterThan(0);
  });
});

describe("USDT notes", () => {
  it("tell places, operands and the semaphore", () => {
    const probes = readUsdtProbes(image("orders"));
    expect(probes.map(({ provider, name, args }) => `${provider}:${name} ${args}`)).toEqual([
      "shop:order -4@%edi 8@%rsi 8@%rdx -4@-44(%rsp) 4@$77 -2@-46(%rsp)",
      "shop:indexed 8@(%rax,%rdi,8)",
      "shop:twice 8@%rdi",
      "shop:twice -4@$5",
      expect.stringMatching(/^shop:sold 4@\d+\(%rip\) 4@\$1$/),
    ]);
    expect(probes.map(({ semaphore }) => semaphore !== null)).toEqual([true, false, false, false, false]);
    expect(usdtVariants(probes, "shop", "twice").length).toBe(2);
    expect(usdtVariants([...probes, ...probes], "shop", "twice").map(({ length }) => length)).toEqual([2, 2]);
    expect(usdtVariants(probes, "shop", "absent")).toEqual([]);
    expect(readUsdtProbes(image("libparts.so"))).toEqual([]);
  });

  it("whose operands lie beside the code tell how far from the place, where the file has their symbols", () => {
    const orders = new Uint8Array(readFileSync(fixture("orders")));
    const argsWith = (operands: string) => {
      const bytes = new Uint8Array(orders);
      const at = Buffer.from(orders).indexOf("4@stock+12(%rip) 4@$1\0");
      bytes.set(Buffer.from(`${operands}\0`.padEnd(22, "\0")), at);
      return readUsdtProbes(readElf(memoryElf(bytes, "orders"))).at(-1)!.args;
    };
    const distanceOf = (operands: string) => Number(/@(-?\d+)\(/.exec(argsWith(operands))![1]);
    const distance = distanceOf("4@stock+12(%rip)");
    expect(distanceOf("8@12+stock(%rip)")).toBe(distance);
    expect(distanceOf("8@0x10+stock-4(%rip)")).toBe(distance);
    expect(distanceOf("8@stock(%rip)")).toBe(distance - 12);
    for (const kept of ["4@absent+12(%rip)", "4@0x10(%rip)", "4@-8(%rip)"]) expect(argsWith(kept)).toBe(kept);
  });
});

/** A program of one segment of code, at 0x1000 in the file. */
function program(code: readonly number[]) {
  const bytes = new Uint8Array(0x1000 + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(32, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 5, true);
  view.setUint32(72, 0x1000, true);
  view.setUint32(80, 0x40_1000, true);
  view.setUint32(96, code.length, true);
  bytes.set(code, 0x1000);
  return readElf(memoryElf(bytes, "made"));
}

const bytesOf = (text: string): number[] => text.match(/[0-9a-f]{2}/g)!.map((byte) => Number.parseInt(byte, 16));
const sites = (text: string) =>
  systemCallSites(program([0xc3, ...bytesOf(text)]), () => true).map(
    ({ offset, number, args }) => `${offset - 0x1001}: ${number} ${args.map((name) => name ?? "-").join(" ")}`,
  );

describe("system calls in code", () => {
  const cases: Record<string, readonly [string, readonly string[]]> = {
    "right behind the number": ["b801010000 0f05", ["0: 257 di si dx r10 r8 r9"]],
    "behind moves of registers": ["b801010000 4889fe bf9cffffff 0f05", ["0: 257 - di dx r10 r8 r9"]],
    "behind a move of 32 bits, which is not the whole register": ["b801010000 89fe 0f05", ["0: 257 di - dx r10 r8 r9"]],
    "behind numbered registers, loads and addresses": [
      "b829000000 4989ca 4c8b442408 488d7c2410 0f05",
      ["0: 41 - si dx cx - r9"],
    ],
    "behind 64-bit constants and cleared registers": [
      "b829000000 48be8877665544332211 31d2 4531c9 0f05",
      ["0: 41 di - - r10 r8 -"],
    ],
    "with the number in a store's way": ["b829000000 48897c2408 4889bc2410000000 0f05", ["0: 41 di si dx r10 r8 r9"]],
    "not where the number is the rest of another instruction": ["41b801010000 0f05", []],
    "not where the number is changed": ["b801010000 89c8 0f05", []],
    "not behind what is not followed": ["b801010000 e800000000 0f05", []],
    "not with a number that no call has": ["b8ffff0000 0f05", []],
    "with the number in a register": ["4889f8 4889f7 4889d6 4889ca 0f05", ["9: ax di si cx r10 r8 r9"]],
    "with the number in one that is moved last": ["4889f7 4889d6 4889f8 0f05", ["6: di di si dx r10 r8 r9"]],
    "with the number in a register, behind loads and stores": [
      "4c8b4c2410 4c895c2408 0f05 488b7a08 488b7210 488b5218 0f05",
      ["5: ax di si dx r10 r8 r9", "20: ax di si - r10 r8 r9"],
    ],
    "not with the number in memory": ["4889f7 488b442408 0f05", []],
    "not with the number in a register behind a single move": ["89f8 0f05 c3 4889f7 0f05", []],
    twice: ["b801000000 0f05 b83c000000 0f05", ["0: 1 di si dx r10 r8 r9", "7: 60 di si dx r10 r8 r9"]],
  };
  it.for(Object.entries(cases))("%s", ([, [code, expected]]) => {
    expect(sites(code)).toEqual(expected);
  });

  it("are found in a program without a C library", () => {
    const found = systemCallSites(image("calls"), (number) => number === 257);
    expect(found.filter(({ number }) => number === 257).length).toBe(3);
    expect(found.every(({ args }) => args[1] !== null)).toBe(true);
  });
});

describe("a kernel without probes in user code", () => {
  const tracefs = { ...tracefsAt("/nonexistent"), exists: () => false };
  const place = { tracefs, owner: "nobody", target: { pid: 1 }, world: {} as SourceWorld };
  const reads = { texts: true, memory: true, owner: false };

  it("refuses such programs by name", () => {
    const wanted: WantedHook[] = [{ kind: "uprobe", name: "libc:malloc", address: 0, reads }];
    expect(() => makeProbing("capture").prober.open(place, wanted)).toThrow(
      /uprobe libc:malloc .*CONFIG_UPROBE_EVENTS/,
    );
  });

  it("has memory of processes read late", () => {
    const wanted: WantedHook[] = [{ kind: "tracepoint", name: "syscalls/sys_enter_openat", address: 0, reads }];
    expect(makeProbing("capture").userMemory(place, wanted).events).toEqual([]);
  });
});

describe("names of places", () => {
  it("are read as libbpf reads them", () => {
    const place = { path: "/lib/libc.so.6", function: "malloc", offset: 0, semaphore: null, pid: null };
    const cases = {
      "/lib/libc.so.6:malloc": place,
      "/lib/libc.so.6:malloc+0x10": { ...place, offset: 16 },
      "/lib/libc.so.6:malloc+16(0x20)#7": { ...place, offset: 16, semaphore: 32, pid: 7 },
      "/lib/libc.so.6:0x1234": { ...place, function: null, offset: 0x1234 },
      "/a:b/c d#1:f*": { ...place, path: "/a:b/c d#1", function: "f*" },
    };
    for (const [text, target] of Object.entries(cases)) {
      expect(parseFunctionTarget("uprobe", text), text).toEqual(target);
      expect(parseFunctionTarget("uprobe", functionTargetName(target)), text).toEqual(target);
    }
    const probe = { path: "/bin/node", provider: "node", name: "gc__start", variant: 0, pid: null };
    expect(parseUsdtTarget("/bin/node:node:gc__start")).toEqual(probe);
    for (const target of [probe, { ...probe, variant: 2, pid: 5 }, { ...probe, path: "libc" }]) {
      expect(parseUsdtTarget(usdtTargetName(target))).toEqual(target);
    }
    for (const text of ["", "malloc", "/bin/sh:", ":malloc", "/bin/sh:a+b", "/bin/sh:a(b)"]) {
      expect(
        codeOf(() => parseFunctionTarget("uprobe", text)),
        text,
      ).toBe("ATTACH_TARGET");
    }
    for (const text of ["", "a", "a:b", "a::b", "a:b:"]) {
      expect(
        codeOf(() => parseUsdtTarget(text)),
        text,
      ).toBe("ATTACH_TARGET");
    }
  });
});

const RUNS = Number(process.env.FUZZ_RUNS ?? 300);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);

describe("a damaged file", () => {
  const whole = FILES.map((name) => new Uint8Array(readFileSync(fixture(name))));

  function readAll(bytes: Uint8Array): void {
    const file = readElf(memoryElf(bytes, "damaged"));
    for (const use of [
      () => readUsdtProbes(file),
      () => functionsOf(file, "dynamic"),
      () => functionsOf(file, "static"),
      () => matchFunctions(file, "*"),
      () => systemCallSites(file, () => true),
    ]) {
      try {
        use();
      } catch (error) {
        if (!(error instanceof AttachError)) throw error;
      }
    }
  }

  it("that is cut off anywhere is an error", () => {
    for (let length = 0; length < whole[1]!.length; length += 97) {
      expect(
        codeOf(() => readAll(whole[1]!.subarray(0, length))),
        `${length} bytes`,
      ).toBe("TRACED_FILE");
    }
  });

  it("that is none, or for another machine, is an error", () => {
    for (const bytes of [new Uint8Array(0), new TextEncoder().encode("#!/bin/sh\n".repeat(20))]) {
      expect(codeOf(() => readAll(bytes))).toBe("TRACED_FILE");
    }
    const other = Uint8Array.from(whole[0]!);
    other[18] = 183;
    expect(codeOf(() => readAll(other))).toBe("TRACED_FILE");
    expect(codeOf(() => withElfFile("/dev/null", () => 0))).toBe("TRACED_FILE");
    expect(codeOf(() => withElfFile("/absent", () => 0))).toBe("ATTACH_TARGET");
    expect(codeOf(() => withElfFile("/", () => 0))).toBe("TRACED_FILE");
  });

  it(`never escapes as anything but an AttachError (${RUNS} runs, seed ${SEED})`, () => {
    const random = makeRandom(SEED);
    for (let run = 0; run < RUNS; run++) {
      const bytes = damage(whole[run % whole.length]!, random);
      try {
        readAll(bytes);
      } catch (error) {
        if (!(error instanceof AttachError)) throw new Error(`run ${run} of seed ${SEED} escaped`, { cause: error });
      }
    }
  }, 3_600_000);
});
