/**
 * What decides how an object compiles, as one hash: the programs and maps as the object layer leaves them, the BTF that the
 * verifier looks into, the level of optimisation, this version of bpfjit. Whatever has no influence once an object is read
 * (how options were spelled, where a file lies, line information) is left out, so that it changes no key.
 */
import { createHash, type Hash } from "node:crypto";
import { createRequire } from "node:module";
import { BugError } from "../base/index.ts";
import { Btf, encodeInsns, isWideImmediate, type Program } from "../compiler/front.ts";
import { ABI_VERSION } from "../spec/index.ts";
import { PSEUDO_LD } from "../spec/isa.ts";
import { libraryBytes } from "../wasm/index.ts";
import type { Compilation } from "./compilation.ts";

/** 64 hexadecimal digits. */
export function compilationKey({ programs, maps, ...object }: Compilation): string {
  const hash = createHash("sha256");
  feed(hash, { version: packageVersion(), abi: ABI_VERSION, libraryBytes: libraryBytes(), ...object });
  feed(hash, maps);
  for (const program of programs) {
    feed(hash, decisiveOf(program, maps));
    // what a profile shows
    if (object.profile) feed(hash, [program.lines, program.functions]);
  }
  return hash.digest("hex");
}

/** Without what the verifier only words its messages with. */
function decisiveOf(program: Program, maps: Compilation["maps"]): Record<string, unknown> {
  const { lines: _lines, targetSymbols, insns, ...rest } = program;
  return {
    ...rest,
    insns: encodeInsns(insns),
    maps: program.maps === maps ? "the object's" : program.maps,
    symbols: targetSymbols === undefined ? null : listedVariables(program, targetSymbols),
  };
}

/** Names of the kernel variables in it that are listed. The verifier asks of no others: kernel-variable.ts. */
export function listedVariables(
  { insns, targetBtf, modules = [] }: Pick<Program, "insns" | "targetBtf" | "modules">,
  symbols: NonNullable<Program["targetSymbols"]>,
): string[] {
  return insns.flatMap((insn, index) => {
    if (!isWideImmediate(insn) || insn.src !== PSEUDO_LD.BTF_ID) return [];
    const module = insns[index + 1]?.imm ?? 0;
    const btf = module === 0 ? targetBtf : modules[module - 1]?.btf;
    if (!btf || insn.imm < 0 || insn.imm >= btf.typeCount) return [];
    const name = btf.nameOf(insn.imm);
    return symbols.get(name) === undefined ? [] : [name];
  });
}

const packageVersion = (): string =>
  (createRequire(import.meta.url)("bpfjit/package.json") as { readonly version: string }).version;

/** Takes a value in so that no two different ones read the same: each part says its kind and its length. */
function feed(hash: Hash, value: unknown): void {
  if (typeof value === "string") hash.update(`s${Buffer.byteLength(value)}:`).update(value);
  else if (value === null || typeof value !== "object") hash.update(`${typeof value}:${String(value)};`);
  else if (value instanceof Uint8Array) hash.update(`b${value.length}:`).update(value);
  else if (value instanceof Btf) hash.update(`t${btfHash(value)};`);
  else if (value instanceof Map) feedAll(hash, "m", [...value].flat());
  else if (Array.isArray(value)) feedAll(hash, "l", value);
  else feedAll(hash, "o", sortedEntries(value));
}

function feedAll(hash: Hash, kind: string, values: readonly unknown[]): void {
  hash.update(`${kind}${values.length}:`);
  for (const value of values) feed(hash, value);
}

/** An absent field and one that is undefined are the same. */
function sortedEntries(value: object): unknown[] {
  const prototype = Object.getPrototypeOf(value);
  // a class may hold what its fields do not show
  if (prototype !== Object.prototype && prototype !== null) throw new BugError("a compilation holds what has no key");
  return Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flat();
}

const BTF_HASHES = new WeakMap<Btf, string>();

/** Of its bytes and those that it is split on; a kernel's are megabytes, so once each. */
function btfHash(btf: Btf): string {
  let known = BTF_HASHES.get(btf);
  if (known === undefined) {
    known = createHash("sha256")
      .update(btf.base === null ? "" : btfHash(btf.base))
      .update(btf.bytes)
      .digest("hex");
    BTF_HASHES.set(btf, known);
  }
  return known;
}
