/**
 * Every kind of CO-RE relocation in every instruction form: as libbpf does it. What libbpf made of each case is in cases.txt;
 * BPFJIT_LIBBPF_ORACLE (see tests/object/oracle.c) asks it anew, and with UPDATE=1 writes its answers there.
 */
import { execFileSync, type StdioOptions } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fromHex } from "../../base/index.ts";
import { encodeInsns } from "../../compiler/asm/codec.ts";
import { CORE_KINDS } from "../../compiler/object/core/kinds.ts";
import { readBtf, readObject } from "../../compiler/object/index.ts";
import { ORACLE } from "../object/libbpf.ts";
import { type CoreCase, writeObject } from "./object.ts";
import { readTable, resultOf, targetOf, writeTable } from "./table.ts";

const blocks = readTable();

function relocate(test: CoreCase, target: Uint8Array): string {
  const object = readObject(writeObject(test), { name: "case", targetBtf: readBtf(target) });
  const [outcome] = object.programs;
  return outcome?.ok ? resultOf(encodeInsns(outcome.program.insns), test.form) : "error";
}

describe("recorded libbpf", () => {
  it.each(blocks)("$title", (block) => {
    const target = targetOf(block);
    const mine = block.lines.flatMap(({ access, cells }) =>
      cells.map(({ form, test }) => `${access} | ${form} ${relocate(test, target)}`),
    );
    const recorded = block.lines.flatMap(({ access, cells }) =>
      cells.map(({ form, result }) => `${access} | ${form} ${result}`),
    );
    expect(mine).toEqual(recorded);
  });

  it("knows every kind with success, failure and poison, 200 cases and more", () => {
    const results = new Map<string, Set<string>>();
    let count = 0;
    for (const { lines } of blocks)
      for (const { cells } of lines)
        for (const { test, result } of cells) {
          count++;
          const seen = results.get(test.kind) ?? new Set();
          results.set(test.kind, seen.add(/=/.test(result) ? "value" : result));
        }
    expect(count).toBeGreaterThanOrEqual(200);
    expect([...results.keys()].sort()).toEqual([...CORE_KINDS].sort());
    for (const kind of CORE_KINDS) expect(results.get(kind), kind).toContain("value");
  });
});

describe.skipIf(ORACLE === null)("libbpf", () => {
  it("answers as recorded", { timeout: 120_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "bpfjit-core-"));
    try {
      const before = JSON.stringify(
        blocks.map(({ lines }) => lines.map(({ cells }) => cells.map((cell) => cell.result))),
      );
      for (const block of blocks) {
        writeFileSync(join(folder, "target"), targetOf(block));
        for (const { cells } of block.lines) for (const cell of cells) cell.result = ask(folder, cell.test);
      }
      if (process.env.UPDATE === "1") writeTable(blocks);
      else
        expect(
          JSON.stringify(blocks.map(({ lines }) => lines.map(({ cells }) => cells.map((cell) => cell.result)))),
        ).toBe(before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

const STDIO: StdioOptions = ["ignore", "pipe", "ignore"];

function ask(folder: string, test: CoreCase): string {
  const path = join(folder, "case.bpf.o");
  writeFileSync(path, writeObject(test));
  const options = { encoding: "utf8" as const, stdio: STDIO };
  const printed: string = execFileSync(ORACLE!, [path, join(folder, "target")], options);
  const lines = printed
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const loaded = lines.find(({ load }) => load !== undefined);
  return loaded === undefined ? "error" : resultOf(fromHex(loaded.insns)!, test.form);
}
