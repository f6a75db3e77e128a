/**
 * Whether bpfjit has become slower than it was: times as multiples of a yardstick that was measured in turn with them, so that
 * another machine, or the same under load, gives nearly the same numbers; compared with stored ones.
 */
import { median } from "./statistics.ts";

export const YARDSTICKS = ["kernel-loop", "calibration"] as const;
export type Yardstick = (typeof YARDSTICKS)[number];

/** Something that has a speed. Times of one subject are all in one unit. */
export interface Subject {
  readonly name: string;
  readonly sample: () => number | Promise<number>;
  /** the same work in the kernel, null: there is none */
  readonly kernel: (() => Promise<number>) | null;
  readonly close: () => void;
}

/** By yardstick: bpfjit's time to its time. */
export type Ratios = Readonly<Partial<Record<Yardstick, number>>>;

export interface StoredBaseline {
  /** where it was measured, for people */
  readonly machine: string;
  readonly ratios: Readonly<Record<string, Ratios>>;
}

/**
 * More than this times the stored ratio is a slow-down. On two CPUs with fifteen processes waiting, single measurements of what had not
 * changed came to 0.7 to 1.46 times what was stored, one in fifteen to more than 1.3, and no subject's all times.
 */
export const TOLERANCE = 1.35;

/** The fastest of the samples, in turns: what else runs on the machine only adds to times. */
export async function measureRatios(
  subject: Subject,
  options: { readonly samples: number; readonly calibrate: () => number },
): Promise<Ratios> {
  let [own, kernel, loop] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let sample = 0; sample < options.samples; sample++) {
    own = Math.min(own, await subject.sample());
    if (subject.kernel !== null) kernel = Math.min(kernel, await subject.kernel());
    loop = Math.min(loop, options.calibrate());
  }
  return { ...(subject.kernel !== null && { "kernel-loop": own / kernel }), calibration: own / loop };
}

export interface Verdict {
  readonly name: string;
  readonly yardstick: Yardstick;
  readonly ratio: number;
  /** null: nothing is stored */
  readonly stored: number | null;
  readonly isSlower: boolean;
}

/** By the first yardstick that both have. */
export function judge(name: string, measured: Ratios, stored: Ratios | undefined): Verdict {
  const yardstick = YARDSTICKS.find((each) => measured[each] !== undefined && stored?.[each] !== undefined);
  if (yardstick === undefined)
    return { name, yardstick: "calibration", ratio: measured.calibration!, stored: null, isSlower: false };
  const [ratio, before] = [measured[yardstick]!, stored![yardstick]!];
  return { name, yardstick, ratio, stored: before, isSlower: ratio > before * TOLERANCE };
}

/** A yardstick each: the better of both measurements. */
export function better(one: Ratios, other: Ratios): Ratios {
  const least: Partial<Record<Yardstick, number>> = {};
  for (const yardstick of YARDSTICKS) {
    const values = [one[yardstick], other[yardstick]].filter((value) => value !== undefined);
    if (values.length > 0) least[yardstick] = Math.min(...values);
  }
  return least;
}

/** A yardstick each: the median of all measurements. */
export function middle(all: readonly Ratios[]): Ratios {
  const found: Partial<Record<Yardstick, number>> = {};
  for (const yardstick of YARDSTICKS) {
    const values = all.flatMap((ratios) => ratios[yardstick] ?? []);
    if (values.length > 0) found[yardstick] = median(values);
  }
  return found;
}
