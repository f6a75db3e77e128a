/** A world for tests of maps and rings: an arena, a worker, the library with a clock and foreign memory that tests set. */

import { Arena, type ArenaOptions } from "../../runtime/arena.ts";
import { instantiateLibrary, type Library } from "../../runtime/library.ts";
import { CPU, EVENT, TASK, WORKER } from "../../spec/index.ts";

export interface TestWorld {
  readonly arena: Arena;
  readonly library: Library;
  readonly worker: number;
  readonly table: WebAssembly.Table;
  /** what host.now answers */
  clock: bigint;
  /** bytes at a foreign address, null: nothing is mapped there */
  foreign: (address: bigint, space: "kernel" | "user") => Uint8Array | null;
  /** From now on programs run on this virtual CPU; null: outside a run. */
  onCpu(id: number | null): void;
}

export function makeWorld(options: Partial<ArenaOptions> = {}, module?: WebAssembly.Module): TestWorld {
  const arena = new Arena({ cpus: 4, maximumBytes: 64 << 20, ...options });
  const worker = arena.worker(0);
  const table = new WebAssembly.Table({ element: "anyfunc", initial: 4 });
  const event = arena.allocate(EVENT.bytes);
  const task = arena.allocate(TASK.bytes);
  const world: TestWorld = {
    arena,
    worker,
    table,
    clock: 0n,
    foreign: () => null,
    onCpu(id) {
      const cpu = id === null ? 0 : arena.cpu(id);
      arena.view.setUint32(worker + WORKER.cpu, cpu, true);
      if (cpu === 0) return;
      arena.view.setUint32(cpu + CPU.event, event, true);
      arena.view.setUint32(event + EVENT.cpu, cpu, true);
      arena.view.setUint32(event + EVENT.task, task, true);
    },
    library: instantiateLibrary({
      arena,
      worker,
      table,
      module,
      host: {
        contended: (_lock, owner) => {
          throw new Error(`worker ${owner - 1} holds a lock`);
        },
        now: () => {
          arena.view.setBigUint64(worker + WORKER.result, world.clock, true);
          return undefined;
        },
        task_struct: () => 0,
        watch_read: () => undefined,
        read_foreign: (low, high, destination, bytes, user) => {
          const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
          const found = world.foreign(address, user === 1 ? "user" : "kernel");
          if (found === null) return -14;
          if (bytes < 0) {
            const zero = found.indexOf(0);
            const length = Math.min(zero < 0 ? found.length : zero + 1, -bytes);
            arena.bytes.set(found.subarray(0, length), destination);
            return length;
          }
          if (found.length < bytes) return -14;
          arena.bytes.set(found.subarray(0, bytes), destination);
          return 0;
        },
      },
    }),
  };
  return world;
}

/** Copies bytes into the arena, for calls of the library; the test world is thrown away with them. */
export function place(world: TestWorld, bytes: Uint8Array | readonly number[]): number {
  const address = world.arena.allocate(bytes.length);
  world.arena.bytes.set(bytes, address);
  return address;
}

export function u32(...words: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(words).buffer);
}
