/** Instantiates the wasm library for a worker: its exports with the signatures of spec/library.ts. */
import { LIBRARY, type LIBRARY_IMPORTS, type LibraryName, type WasmType } from "../spec/index.ts";
import { libraryBytes } from "../wasm/index.ts";
import type { Arena } from "./arena.ts";

type Scalar<T extends WasmType> = T extends "i64" ? bigint : number;
type Parameters<P extends readonly WasmType[]> = { [K in keyof P]: Scalar<P[K]> };
type Result<R extends WasmType | null> = R extends WasmType ? Scalar<R> : undefined;
type Signature<F> = F extends {
  readonly params: infer P extends readonly WasmType[];
  readonly result: infer R extends WasmType | null;
}
  ? (...args: Parameters<P>) => Result<R>
  : never;

/**
 * The library's functions. Addresses that they return are signed where they lie above 2 GiB: take `>>> 0`.
 * A result of 64 bits, and a parameter, is a bigint: not for what runs per event.
 */
export type Library = { readonly [N in LibraryName]: Signature<(typeof LIBRARY)[N]> };

/** What the library imports from its host (spec/library.ts, LIBRARY_IMPORTS). */
export type LibraryHost = {
  readonly [N in keyof typeof LIBRARY_IMPORTS]: Signature<(typeof LIBRARY_IMPORTS)[N]>;
};

let compiled: WebAssembly.Module | null = null;

/** The compiled library; it is compiled once a process. */
export function libraryModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(libraryBytes());
  return compiled;
}

export interface LibraryOptions {
  readonly arena: Arena;
  /** address of the worker's block: Arena.worker() */
  readonly worker: number;
  /** the worker's table of programs, which run_events calls through */
  readonly table: WebAssembly.Table;
  readonly host: LibraryHost;
  /** default: the one that ships; tests give one that counts */
  readonly module?: WebAssembly.Module | undefined;
}

export function instantiateLibrary(options: LibraryOptions): Library {
  const instance = new WebAssembly.Instance(options.module ?? libraryModule(), {
    env: {
      memory: options.arena.memory,
      table: options.table,
      worker: new WebAssembly.Global({ value: "i32" }, options.worker),
    },
    host: { ...options.host },
  });
  const functions = Object.keys(LIBRARY).map((name) => [name, instance.exports[name]]);
  return Object.fromEntries(functions) as Library;
}
