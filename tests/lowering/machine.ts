/** The smallest world that a compiled module runs in: memory, a worker block, a CPU with a stack, an empty table. */
import { CPU, EVENT, EXPORT, FAULT, IMPORT, type LibraryName, WORKER } from "../../spec/index.ts";
import { libraryBytes } from "../../wasm/index.ts";

const WORKER_ADDRESS = 0x1_0040;
const CPU_ADDRESS = 0x1_0100;
const STACK_FLOOR = 0x2_0000;
const STACK_TOP = 0x3_0000;
/** Where data of a test lies; free from here on. */
export const DATA = 0x4_0000;

type WasmFunction = (...args: unknown[]) => unknown;

export class Fault extends Error {
  readonly code: number;
  readonly insnIndex: number;
  constructor(code: number, insnIndex: number) {
    super(`${code === FAULT.memory ? "memory" : "budget"} fault at ${insnIndex}`);
    this.code = code;
    this.insnIndex = insnIndex;
  }
}

/** Instantiates `wasm` over a fresh memory. `imports` adds to or replaces functions of "helper". */
export class Machine {
  readonly memory = new WebAssembly.Memory({ initial: 16, maximum: 1024, shared: true });
  readonly table = new WebAssembly.Table({ initial: 8, element: "anyfunc" });
  readonly globals: Record<string, Record<string, number>> = { [IMPORT.map]: {}, [IMPORT.mapValue]: {} };
  readonly helpers: Record<string, WasmFunction> = {};
  readonly view = new DataView(this.memory.buffer);
  readonly bytes = new Uint8Array(this.memory.buffer);

  constructor() {
    this.view.setUint32(WORKER_ADDRESS + WORKER.cpu, CPU_ADDRESS, true);
    this.view.setUint32(CPU_ADDRESS + CPU.sp, STACK_TOP, true);
    this.view.setUint32(CPU_ADDRESS + CPU.stackFloor, STACK_FLOOR, true);
  }

  instantiate(wasm: Uint8Array): WebAssembly.Exports {
    const imports = {
      [IMPORT.env]: { [IMPORT.memory]: this.memory, [IMPORT.table]: this.table, [IMPORT.worker]: WORKER_ADDRESS },
      [IMPORT.map]: this.globals[IMPORT.map],
      [IMPORT.mapValue]: this.globals[IMPORT.mapValue],
      [IMPORT.helper]: this.helpers,
      [IMPORT.host]: {
        [IMPORT.fault]: (code: number, insnIndex: number) => {
          throw new Fault(code, insnIndex);
        },
        now: () => {},
        contended: () => {},
        task_struct: () => 0,
        read_foreign: () => -14,
      },
    };
    const module = new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>);
    return new WebAssembly.Instance(module, imports as unknown as WebAssembly.Imports).exports;
  }

  /** The library by itself, on this memory. */
  library(name: LibraryName): WasmFunction {
    this.#library ??= this.instantiate(libraryBytes());
    return this.#library[name] as WasmFunction;
  }
  #library: WebAssembly.Exports | undefined;

  /** Runs main of a program on the ctx at `ctx`; r0, unsigned. The stack pointer must come back. */
  run(exports: WebAssembly.Exports, program: string, ctx: number = DATA): bigint {
    const main = exports[EXPORT.main + program] as (ctx: number) => bigint;
    const r0 = BigInt.asUintN(64, main(ctx));
    const stackPointer = this.view.getUint32(CPU_ADDRESS + CPU.sp, true);
    if (stackPointer !== STACK_TOP) throw new Error(`the stack pointer is ${stackPointer.toString(16)} after the run`);
    return r0;
  }

  /** Runs a program over events whose ctx addresses are given, from an array of EVENT records at `events`. */
  batch(exports: WebAssembly.Exports, program: string, contexts: readonly number[], events = DATA + 0x1_0000): number {
    contexts.forEach((ctx, index) => {
      this.view.setUint32(events + index * EVENT.bytes + EVENT.ctx, ctx, true);
      this.view.setUint32(events + index * EVENT.bytes + EVENT.cpu, CPU_ADDRESS, true);
    });
    const batch = exports[EXPORT.batch + program] as (events: number, count: number) => number;
    return batch(events, contexts.length);
  }

  setTailCalls(count: number): void {
    this.view.setUint32(CPU_ADDRESS + CPU.tailCalls, count, true);
  }
  get tailCalls(): number {
    return this.view.getUint32(CPU_ADDRESS + CPU.tailCalls, true);
  }
  requestYield(): void {
    this.view.setUint32(WORKER_ADDRESS + WORKER.yield, 1, true);
  }
  setResult(value: bigint): void {
    this.view.setBigUint64(WORKER_ADDRESS + WORKER.result, value, true);
  }
}
