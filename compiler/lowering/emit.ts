/** The only file that knows binaryen: loads it when first needed (0.3–0.8 s, 100 MB), makes modules, optimises, encodes. */
import type binaryen from "binaryen";
import { BugError } from "../../base/errors.ts";
import { RARE_CALLS } from "../../spec/library.ts";
import type { LoweredFunction } from "./lower.ts";

export type Module = binaryen.Module;
/** An expression of binaryen's tree. Each may be used once. */
export type Expr = binaryen.ExpressionRef;
export type ValueType = binaryen.Type;

/** A module under construction with the types that go with it. */
export interface Wasm {
  readonly m: Module;
  readonly i32: ValueType;
  readonly i64: ValueType;
  readonly none: ValueType;
  readonly unreachable: ValueType;
  params(types: readonly ValueType[]): ValueType;
  /** functions of the library that the module started with: exported name → internal name */
  readonly library: ReadonlyMap<string, string>;
  /** Internal name of the table, null where there is none yet. */
  firstTable(): string | null;
}

export type OptimizeLevel = 0 | 1 | 2 | 3;

let loaded: Promise<typeof binaryen> | null = null;

/** A module that starts with `library`'s functions (null: empty). It exports none of them. */
export async function openModule(library: Uint8Array | null): Promise<Wasm> {
  loaded ??= import("binaryen").then((module) => module.default);
  const b = await loaded;
  const features =
    b.Features.Atomics |
    b.Features.BulkMemory |
    b.Features.BulkMemoryOpt |
    b.Features.SignExt |
    b.Features.MutableGlobals |
    b.Features.TailCall |
    b.Features.ReferenceTypes;
  const m = library === null ? new b.Module() : b.readBinary(library);
  m.setFeatures(features);
  return {
    m,
    i32: b.i32,
    i64: b.i64,
    none: b.none,
    unreachable: b.unreachable,
    params: (types) => b.createType([...types]),
    library: takeExports(b, m),
    firstTable: () => (m.getNumTables() === 0 ? null : b.getTableInfo(m.getTableByIndex(0)).name),
  };
}

function takeExports(b: typeof binaryen, m: Module): Map<string, string> {
  const functions = new Map<string, string>();
  for (let index = 0; index < m.getNumExports(); index++) {
    const { name, value, kind } = b.getExportInfo(m.getExportByIndex(index));
    if (kind === b.ExternalFunction) functions.set(name, value);
  }
  for (const name of functions.keys()) m.removeExport(name);
  return functions;
}

/**
 * Passes of binaryen's default pipeline that are left out. The first two build or walk trees as deep as the program is long
 * where every value is used once or clean-up labels nest, exhaust the stack there, and gain nothing: V8 does what they do.
 * The third would make one again of a main function and its copy for the batch loop.
 */
const SKIPPED_PASSES = ["simplify-locals", "merge-blocks", "duplicate-function-elimination"];
/**
 * Functions of the library that stay calls: large ones, whose call costs little beside what they do, and what is rarely
 * needed. Put into every place that calls them they would make small programs several times as large.
 */
const KEPT_CALLS = [
  "hash_update",
  "percpu_hash_update",
  "hash_delete",
  "percpu_hash_delete",
  "hash_find_again",
  ...RARE_CALLS,
];
/**
 * Largest function, in binaryen's nodes, that is put into all its callers: the short way of reserving and submitting a record,
 * which a call each would make twice as slow. Beyond it programs grow and nothing gets faster.
 */
const INLINE_NODES = 60;
/**
 * Instructions of a large function. Binaryen makes one expression of values that are used once: chains of three times as many
 * exhaust the stack of Node's main thread.
 */
const LARGE_FUNCTION_INSNS = 800;
/** What is worth doing to a large function: linear, whatever its shape, and as fast in the end as far as was measured. */
const LARGE_PASSES = [
  "dce",
  "remove-unused-names",
  "optimize-instructions",
  "precompute",
  "remove-unused-brs",
  "vacuum",
];

/** Optimises in place, `functions` and what they use. Level 0 only drops what nothing uses. */
export async function optimizeModule(
  wasm: Wasm,
  level: OptimizeLevel,
  functions: readonly LoweredFunction[],
): Promise<void> {
  const b = await loaded!;
  const { m } = wasm;
  m.runPasses(["remove-unused-module-elements"]);
  if (level === 0) return;
  b.setOptimizeLevel(level);
  b.setShrinkLevel(0);
  // A program's main function is called from its batch loop: inlining it saves a call per event.
  b.setAllowInliningFunctionsWithLoops(true);
  b.setAlwaysInlineMaxSize(INLINE_NODES);
  for (const name of KEPT_CALLS) {
    b.setPassArgument("no-inline", name);
    m.runPasses(["no-inline"]);
  }
  b.setPassArgument("no-inline", null);
  b.clearPassesToSkip();
  for (const pass of SKIPPED_PASSES) b.addPassToSkip(pass);
  const large = new Set(functions.filter(({ insns }) => insns > LARGE_FUNCTION_INSNS).map(({ name }) => name));
  if (large.size === 0) {
    m.optimize();
    return;
  }
  m.runPasses(["inlining", "remove-unused-module-elements"]);
  for (const name of functionsWithBody(b, m)) {
    if (large.has(name)) m.runPassesOnFunction(name, LARGE_PASSES);
    else m.optimizeFunction(name);
  }
}

function functionsWithBody(b: typeof binaryen, m: Module): string[] {
  const names: string[] = [];
  for (let index = 0; index < m.getNumFunctions(); index++) {
    const info = b.getFunctionInfo(m.getFunctionByIndex(index));
    if (info.module === null || info.module === "") names.push(info.name);
  }
  return names;
}

/** The binary; the module is disposed of. `names` keeps function names for profilers and stack traces. */
export async function encodeModule(wasm: Wasm, names: boolean): Promise<Uint8Array> {
  const b = await loaded!;
  b.setDebugInfo(names);
  const bytes = wasm.m.emitBinary();
  wasm.m.dispose();
  return bytes;
}

/** Throws BugError when binaryen finds the module invalid. Validation costs as much as a cheap pass. */
export function validateModule(wasm: Wasm): void {
  if (wasm.m.validate() === 0) throw new BugError("lowering made an invalid module");
}

/** The text of one function. */
export async function functionText(wasm: Wasm, name: string): Promise<string> {
  // The module's own method: in binaryen 132 the function that takes a module calls a method by its minified name.
  const text = wasm.m.emitText();
  const start = text.indexOf(`\n (func $${name} `);
  if (start < 0) return "";
  const end = text.indexOf("\n )", start);
  return text.slice(start + 1, end + 3);
}
