/** A table of the benchmark besides the workloads: what its columns mean, and who measures its rows. */

export interface Column {
  readonly key: string;
  readonly title: string;
  /** behind the point; absent: text, or a whole number with its thousands marked */
  readonly digits?: number;
}

/** null: not measured here, and the cell stays empty. */
export type TableRow = Readonly<Record<string, string | number | null>>;

export interface MeasureOptions {
  /** few and small measurements: to see that it works, not to quote */
  readonly quick: boolean;
  readonly onProgress: (text: string) => void;
  /** what could not be measured on this machine, and why */
  readonly onSkip: (text: string) => void;
}

export interface Table {
  readonly name: string;
  /** a sentence */
  readonly summary: string;
  readonly columns: readonly Column[];
  readonly measure: (options: MeasureOptions) => AsyncIterable<TableRow>;
}

export function cellText({ digits }: Column, value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  return digits === undefined ? Math.round(value).toLocaleString("en") : value.toFixed(digits);
}
