/**
 * Two tiers of an object: it runs at once what compiles fast; once its programs have done so much that better code pays, that
 * is compiled in a thread and put in place between two events. Both do the same.
 */
import { UsageError } from "../../base/index.ts";
import type { LinkedObject } from "../../runtime/index.ts";
import type { OptimizeJob } from "./optimizer.ts";

/** `fixed`: no other code will come. */
export type Tier = "fixed" | "first" | "optimized";

export interface TieringOptions {
  /** starts compiling */
  readonly optimize: () => OptimizeJob;
  /** gets what kept it from being optimised; the first tier then stays */
  readonly onError: (error: Error) => void;
}

/**
 * Instructions, as runs times length of the program, after which optimising pays: docs/performance.md has the measurement.
 */
const HOT_INSNS = 1_000_000_000;
/** How often that is looked at: seldom where nothing runs. */
const SHORTEST_LOOK_MS = 50;
const LONGEST_LOOK_MS = 2_000;

export class Tiering {
  readonly #object: LinkedObject;
  readonly #options: TieringOptions;
  #tier: "first" | "optimized" = "first";
  #job: OptimizeJob | null = null;
  #done: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #seen = 0;

  constructor(object: LinkedObject, options: TieringOptions) {
    this.#object = object;
    this.#options = options;
    this.#look(SHORTEST_LOOK_MS);
  }

  get tier(): Tier {
    return this.#tier;
  }

  /** Resolves when the optimised code runs; starts compiling it, hot or not. Rejects with what onError got. */
  async optimized(): Promise<void> {
    if (this.#object.closed) throw new UsageError("CLOSED", `${this.#object.name} is closed`);
    const done = this.#start();
    this.#job?.hold();
    await done;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#job?.cancel();
  }

  #look(delayMs: number): void {
    this.#timer = setTimeout(() => {
      if (this.#object.closed) return;
      const work = Object.values(this.#object.programs).reduce(
        (sum, { runs, manifest }) => sum + runs * manifest.insns,
        0,
      );
      if (work >= HOT_INSNS) {
        // onError has had it
        this.#start().catch(() => {});
        return;
      }
      this.#look(work === this.#seen ? Math.min(2 * delayMs, LONGEST_LOOK_MS) : SHORTEST_LOOK_MS);
      this.#seen = work;
    }, delayMs);
    this.#timer.unref();
  }

  #start(): Promise<void> {
    this.#done ??= this.#optimize();
    return this.#done;
  }

  async #optimize(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    try {
      this.#job = this.#options.optimize();
      await this.#object.replaceCode(await this.#job.wasm);
      if (!this.#object.closed) this.#tier = "optimized";
    } catch (error) {
      if (!this.#object.closed) this.#options.onError(error as Error);
      throw error;
    }
  }
}
