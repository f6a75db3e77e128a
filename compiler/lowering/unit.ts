/** What the functions of one module share: the module under construction and what it imports. */
import { CPU, EXPORT, IMPORT, LIBRARY, type LibraryName, WORKER } from "../../spec/index.ts";
import type { Expr, ValueType, Wasm } from "./emit.ts";
import type { PlaceTable } from "./places.ts";

export const mainName = (program: string): string => EXPORT.main + program;
export const subprogramName = (program: string, insnIndex: number): string => `sub:${program}:${insnIndex}`;

const WORKER_GLOBAL = "env.worker";
const TABLE = "env.table";

/** Imports are added when first used. */
export class Unit {
  readonly wasm: Wasm;
  /** null: the code does not say where it is */
  readonly profile: PlaceTable | null;
  readonly #imported = new Set<string>();

  constructor(wasm: Wasm, profile: PlaceTable | null = null) {
    this.wasm = wasm;
    this.profile = profile;
    wasm.m.addGlobalImport(WORKER_GLOBAL, IMPORT.env, IMPORT.worker, wasm.i32, false);
    if (wasm.m.hasMemory()) return;
    // 65536 pages: the largest there can be, so that a memory of any maximum may be given.
    wasm.m.setMemory(1, 65_536, null, [], true, false, MEMORY);
    wasm.m.addMemoryImport(MEMORY, IMPORT.env, IMPORT.memory, true);
  }

  worker(): Expr {
    return this.wasm.m.global.get(WORKER_GLOBAL, this.wasm.i32);
  }

  /** IMPORT.places or IMPORT.entries. */
  profileGlobal(name: "places" | "entries"): Expr {
    const { m, i32 } = this.wasm;
    const internal = `${IMPORT.env}.${name}`;
    this.#import(internal, () => {
      m.addGlobalImport(internal, IMPORT.env, IMPORT[name], i32, false);
    });
    return m.global.get(internal, i32);
  }

  /** Address of the CPU block of the run under way. */
  cpu(): Expr {
    return this.wasm.m.i32.load(WORKER.cpu, 4, this.worker());
  }

  /** Lowest stack address in use. */
  stackPointer(): Expr {
    return this.wasm.m.i32.load(CPU.sp, 4, this.cpu());
  }

  setStackPointer(value: Expr): Expr {
    return this.wasm.m.i32.store(CPU.sp, 4, this.cpu(), value);
  }

  /** Address of a map's descriptor, or of its first value. */
  mapAddress(map: number, kind: "descriptor" | "value"): Expr {
    const { m, i32 } = this.wasm;
    const module = kind === "descriptor" ? IMPORT.map : IMPORT.mapValue;
    const name = `${module}.${map}`;
    this.#import(name, () => {
      m.addGlobalImport(name, module, String(map), i32, false);
    });
    return m.global.get(name, i32);
  }

  /** Table that programs lie in, for tail calls. */
  table(): string {
    const { m } = this.wasm;
    const existing = this.wasm.firstTable();
    if (existing !== null) return existing;
    m.addTable(TABLE, 0, -1);
    m.addTableImport(TABLE, IMPORT.env, IMPORT.table);
    return TABLE;
  }

  library(name: LibraryName, operands: readonly Expr[]): Expr {
    const { params, result } = LIBRARY[name];
    const { wasm } = this;
    const type = (text: "i32" | "i64"): ValueType => (text === "i32" ? wasm.i32 : wasm.i64);
    const resultType = result === null ? wasm.none : type(result);
    const inside = wasm.library.get(name);
    if (inside !== undefined) return wasm.m.call(inside, [...operands], resultType);
    return this.hostCall(IMPORT.library, name, params.map(type), operands, resultType);
  }

  /** A call of an imported function; declares the import. */
  hostCall(
    module: string,
    name: string,
    params: readonly ValueType[],
    operands: readonly Expr[],
    result: ValueType,
  ): Expr {
    const { m } = this.wasm;
    const internal = `${module}.${name}`;
    this.#import(internal, () => {
      m.addFunctionImport(internal, module, name, this.wasm.params(params), result);
    });
    return m.call(internal, [...operands], result);
  }

  #import(name: string, add: () => void): void {
    if (this.#imported.has(name)) return;
    this.#imported.add(name);
    add();
  }
}

const MEMORY = "env.memory";
