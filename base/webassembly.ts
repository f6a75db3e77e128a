/**
 * The part of the WebAssembly JavaScript interface that bpfjit uses, for the compiler: neither @types/node nor the
 * ES libraries declare it, and `lib: dom` would declare a browser with it. Importing base/ is enough to see it.
 */
export {};

declare global {
  namespace WebAssembly {
    type ImportExportKind = "function" | "table" | "memory" | "global" | "tag";
    type ImportValue = Memory | Table | Global | ((...args: never[]) => unknown);
    type Imports = Record<string, Record<string, ImportValue>>;
    type Exports = Record<string, ExportedFunction | Memory | Table | Global>;
    type ExportedFunction = (...args: (number | bigint)[]) => unknown;

    class Memory {
      constructor(descriptor: { initial: number; maximum: number; shared?: boolean });
      readonly buffer: ArrayBufferLike;
      /** `delta` in pages of 64 KiB; returns the pages before */
      grow(delta: number): number;
    }
    class Table {
      constructor(descriptor: { element: "anyfunc"; initial: number; maximum?: number });
      readonly length: number;
      get(index: number): ExportedFunction | null;
      set(index: number, value: ExportedFunction | null): void;
      grow(delta: number): number;
    }
    class Global {
      constructor(descriptor: { value: "i32" | "i64"; mutable?: boolean }, value: number | bigint);
      value: number | bigint;
    }
    class Module {
      constructor(bytes: Uint8Array);
      static imports(module: Module): { module: string; name: string; kind: ImportExportKind }[];
      static exports(module: Module): { name: string; kind: ImportExportKind }[];
      static customSections(module: Module, name: string): ArrayBuffer[];
    }
    class Instance {
      constructor(module: Module, imports?: Imports);
      readonly exports: Exports;
    }
    class CompileError extends Error {}
    class LinkError extends Error {}
    class RuntimeError extends Error {}
    function compile(bytes: Uint8Array): Promise<Module>;
    function instantiate(module: Module, imports?: Imports): Promise<Instance>;
    function validate(bytes: Uint8Array): boolean;
  }
}
