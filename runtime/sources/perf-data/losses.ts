/**
 * Events that the recorder dropped. The kernel says so with LOST, in the buffer where room came back; perf says the whole
 * truth once more at the end, with LOST_SAMPLES for each event. Both count the same events, so what the second has beyond
 * the first was never reported by the kernel, and belongs to no CPU.
 */
import type { SourceLoss } from "../../source.ts";

export class Losses {
  readonly #byCpu = new Map<number | null, bigint>();
  #reported = 0n;
  #total = 0n;

  /** LOST; `cpu` null where it does not say. */
  report(count: bigint, cpu: number | null): void {
    this.#reported += count;
    this.#byCpu.set(cpu, (this.#byCpu.get(cpu) ?? 0n) + count);
  }
  /** LOST_SAMPLES */
  total(count: bigint): void {
    this.#total += count;
  }
  get list(): readonly SourceLoss[] {
    const losses = [...this.#byCpu].map(([cpu, count]) => ({ cpu, count }));
    const rest = this.#total - this.#reported;
    if (rest <= 0n) return losses;
    const known = this.#byCpu.get(null) ?? 0n;
    return [...losses.filter((loss) => loss.cpu !== null), { cpu: null, count: known + rest }];
  }
}
