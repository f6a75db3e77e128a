/** Objects come out as libbpf would hand them to the kernel: recorded answers, or libbpf itself where BPFJIT_LIBBPF_ORACLE is set. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readBtf, readObject } from "../../compiler/object/index.ts";
import { askOracle, differences, fixture, fixtureBytes, ORACLE, recordedAnswer } from "./libbpf.ts";

const FIXTURES = ["subprograms", "maps", "data", "core", "struct-ops"];
const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));

const readFixture = (name: string) =>
  readObject(fixtureBytes(name), {
    name: `${name}.bpf.o`,
    targetBtf: name === "core" ? readBtf(fixtureBytes("core-target")) : null,
  });

describe("recorded libbpf", () => {
  it.each(FIXTURES)("%s", (name) => {
    expect(differences(readFixture(name), recordedAnswer(name))).toEqual([]);
  });
});

describe.skipIf(ORACLE === null)("libbpf", () => {
  it.each(FIXTURES)("%s", (name) => {
    const target = name === "core" ? fixture("core-target") : undefined;
    expect(differences(readFixture(name), askOracle(fixture(name), target))).toEqual([]);
  });

  it.each(ORACLE === null ? [] : readdirSync(EXAMPLES).filter((file) => file.endsWith(".bpf.o")))("%s", (file) => {
    const object = readObject(readFileSync(EXAMPLES + file), { name: file });
    expect(differences(object, askOracle(EXAMPLES + file))).toEqual([]);
  });
});
