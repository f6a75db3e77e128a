/** The assembled library against its table in spec/library.ts. */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LIBRARY, LIBRARY_IMPORTS, MAP_OPERATIONS, MAP_TYPES, type WasmType } from "../../spec/index.ts";
import { buildLibrary, generatedSource } from "../../wasm/build.ts";
import { libraryBytes } from "../../wasm/index.ts";

const TYPE_CODES: Record<WasmType, number> = { i32: 0x7f, i64: 0x7e };

/** Signatures of the exported functions, read from the binary: the API of WebAssembly does not tell them. */
function exportedSignatures(bytes: Uint8Array): Map<string, { params: number[]; results: number[] }> {
  let at = 8;
  const types: { params: number[]; results: number[] }[] = [];
  const functions: number[] = [];
  let imported = 0;
  const found = new Map<string, { params: number[]; results: number[] }>();
  const leb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  };
  const text = (): string => {
    const length = leb();
    at += length;
    return Buffer.from(bytes.subarray(at - length, at)).toString();
  };
  const list = (): number[] => Array.from({ length: leb() }, () => bytes[at++]!);
  const limits = (): void => {
    const flags = leb();
    leb();
    if ((flags & 1) !== 0) leb();
  };
  while (at < bytes.length) {
    const section = bytes[at++]!;
    const end = leb() + at;
    if (section === 1) {
      for (let count = leb(); count > 0; count--) {
        at++;
        types.push({ params: list(), results: list() });
      }
    } else if (section === 2) {
      for (let count = leb(); count > 0; count--) {
        text();
        text();
        const kind = bytes[at++]!;
        if (kind === 0) {
          functions.push(leb());
          imported++;
        } else if (kind === 1) {
          at++;
          limits();
        } else if (kind === 2) limits();
        else at += 2;
      }
    } else if (section === 3) {
      for (let count = leb(); count > 0; count--) functions.push(leb());
    } else if (section === 7) {
      for (let count = leb(); count > 0; count--) {
        const name = text();
        const kind = bytes[at++]!;
        const index = leb();
        if (kind === 0) found.set(name, types[functions[index]!]!);
      }
    }
    at = end;
  }
  expect(imported).toBe(Object.keys(LIBRARY_IMPORTS).length);
  return found;
}

describe("the wasm library", () => {
  it("exports exactly the functions of spec/library.ts, with their signatures", () => {
    const exported = exportedSignatures(libraryBytes());
    expect([...exported.keys()].sort()).toEqual(Object.keys(LIBRARY).sort());
    for (const [name, { params, result }] of Object.entries(LIBRARY)) {
      expect(exported.get(name), name).toEqual({
        params: params.map((type: WasmType) => TYPE_CODES[type]),
        results: result === null ? [] : [TYPE_CODES[result]],
      });
    }
  });

  it("imports the shared memory, the table, the worker and what LIBRARY_IMPORTS lists", () => {
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(libraryBytes()));
    expect(imports.map(({ module, name, kind }) => `${module}.${name} ${kind}`).sort()).toEqual(
      [
        "env.memory memory",
        "env.table table",
        "env.worker global",
        ...Object.keys(LIBRARY_IMPORTS).map((name) => `host.${name} function`),
      ].sort(),
    );
  });

  it("is what the committed sources assemble to", async () => {
    const committed = readFileSync(new URL("../../wasm/library.gen.ts", import.meta.url), "utf8");
    expect(generatedSource(await buildLibrary())).toBe(committed);
  });

  it("serves every storage that a map type has", () => {
    for (const type of MAP_TYPES) if (type.storage !== null) expect(MAP_OPERATIONS).toHaveProperty(type.storage);
    for (const operations of Object.values(MAP_OPERATIONS))
      for (const name of Object.values(operations)) expect(LIBRARY).toHaveProperty(name);
  });
});
