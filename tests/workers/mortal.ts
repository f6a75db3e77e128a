/**
 * A second worker in the same thread whose library stops before any store that a test chooses, as a worker does that is
 * killed: what it had under way stays as it is.
 */
import { instantiateLibrary, type Library, type LibraryHost } from "../../runtime/library.ts";
import type { BpfMap } from "../../runtime/maps/index.ts";
import { type DeadWorker, type Repairs, repairAfter } from "../../runtime/workers/repair.ts";
import { CPU, EVENT, NULL_GUARD_BYTES, RUNTIME, TASK, WORKER } from "../../spec/index.ts";
import { assembleLibrary, libraryText } from "../../wasm/build.ts";
import { makeWorld, type TestWorld } from "../maps/world.ts";

/** The library with a call of host.step before every store. */
export async function steppingLibrary(): Promise<WebAssembly.Module> {
  const text = libraryText()
    .replace('(import "host" "now"', '(import "host" "step" (func $step))\n(import "host" "now"')
    .replaceAll(
      /\(i(?:32|64)\.(?:atomic\.)?store|\(memory\.(?:copy|fill)|\(drop \(i32\.atomic\.rmw/g,
      (found) => `(call $step) ${found}`,
    );
  return new WebAssembly.Module(await assembleLibrary(text));
}

class Killed extends Error {}

export const MORTAL_CPU = 1;

export class TwoWorkers {
  /** worker 0, which lives on */
  readonly world: TestWorld;
  /** of worker 1, which runs on virtual CPU 1 */
  readonly library: Library;
  readonly #dead: DeadWorker;
  readonly #worker: number;
  #left = Number.POSITIVE_INFINITY;

  constructor(module: WebAssembly.Module, cpus = 2) {
    this.world = makeWorld({ lanes: 2, cpus });
    const { arena } = this.world;
    arena.view.setUint32(NULL_GUARD_BYTES + RUNTIME.threads, 1, true);
    this.#worker = arena.worker(1);
    arena.view.setUint32(this.#worker + WORKER.lane, 4, true);
    const host = {
      now: () => undefined,
      read_foreign: () => -14,
      task_struct: () => 0,
      watch_read: () => undefined,
      contended: () => {
        throw new Error("worker 1 waits for a lock");
      },
      step: () => {
        this.#left -= 1;
        if (this.#left < 0) throw new Killed();
        return undefined;
      },
    } as LibraryHost;
    const table = new WebAssembly.Table({ element: "anyfunc", initial: 4 });
    this.library = instantiateLibrary({ arena, worker: this.#worker, table, module, host });
    this.#dead = { id: 1, lane: 1, cpus: [arena.cpu(MORTAL_CPU)] };
    this.world.onCpu(0);
    this.#enterCpu();
  }

  /** Lets worker 1 do something and kills it before the store of this number. False: it was done before that. */
  killAt(store: number, action: () => void): boolean {
    this.#left = store;
    try {
      action();
      return false;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      return true;
    } finally {
      this.#left = Number.POSITIVE_INFINITY;
    }
  }

  /** What the main worker does when it learns of the death. Another worker then takes its place. */
  repair(map: BpfMap): Repairs {
    const { arena } = this.world;
    const repairs = repairAfter(arena, [map], this.#dead, (at) => {
      if (Atomics.compareExchange(arena.i32, at / 4, 0, 1) !== 0) throw new Error("the lock is still held");
    });
    this.#enterCpu();
    return repairs;
  }

  #enterCpu(): void {
    const { arena } = this.world;
    const cpu = arena.cpu(MORTAL_CPU);
    const event = arena.allocate(EVENT.bytes);
    arena.view.setUint32(event + EVENT.cpu, cpu, true);
    arena.view.setUint32(event + EVENT.task, arena.allocate(TASK.bytes), true);
    arena.view.setUint32(cpu + CPU.event, event, true);
    arena.view.setUint32(this.#worker + WORKER.cpu, cpu, true);
  }
}
