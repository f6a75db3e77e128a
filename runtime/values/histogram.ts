/**
 * Histograms of powers of two, as tracing programs keep them: `slots[n]` counts values from 2^n to 2^(n+1) - 1, `slots[0]`
 * also 0. Counts in, one line a slot out: range, count, bar.
 */
import type { CType } from "../../spec/index.ts";
import { readInteger } from "./read.ts";
import { flatMembers, isStruct, requireRoom } from "./type.ts";

export interface HistogramPlace {
  /** of the counts, from the value's start */
  readonly offsetBytes: number;
  readonly slots: number;
  readonly slotBytes: 4 | 8;
}

/** Where a value of this type keeps a histogram: a member `slots`, an array of unsigned integers. Null where it has none. */
export function histogramOf(type: CType): HistogramPlace | null {
  if (!isStruct(type)) return null;
  for (const member of flatMembers(type)) {
    const array = member.type;
    if (member.name !== "slots" || array.kind !== "array" || array.element.kind !== "int") continue;
    const { size, signed } = array.element;
    if (signed || (size !== 4 && size !== 8) || array.length === 0) continue;
    return { offsetBytes: member.offsetBits / 8, slots: array.length, slotBytes: size };
  }
  return null;
}

export function readHistogram(place: HistogramPlace, type: CType, view: DataView, address: number): bigint[] {
  requireRoom(type, address, view.byteLength);
  const start = address + place.offsetBytes;
  return Array.from({ length: place.slots }, (_, slot) =>
    BigInt(readInteger(view, start + slot * place.slotBytes, place.slotBytes, false)!),
  );
}

const BAR_CELLS = 40;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** From slot 0 to the last that is not 0; an empty one says so. `unit` names what the ranges measure. */
export function formatHistogram(counts: readonly bigint[], unit = "value"): string {
  const last = counts.findLastIndex((count) => count !== 0n);
  if (last < 0) return "(empty)";
  let most = 1n;
  for (const count of counts) if (count > most) most = count;
  const rows = counts.slice(0, last + 1).map((count, slot) => ({
    from: String(slot === 0 ? 0n : 1n << BigInt(slot)),
    to: String((1n << BigInt(slot + 1)) - 1n),
    count: String(count),
    bar: bar(count, most),
  }));
  const edge = Math.max(...rows.map((row) => row.to.length), 3);
  const countWidth = Math.max(...rows.map((row) => row.count.length), "count".length);
  const head = `${unit.padStart(edge * 2 + 4)}  ${"count".padStart(countWidth)}`;
  const lines = rows.map(
    (row) => `${row.from.padStart(edge)} .. ${row.to.padStart(edge)}  ${row.count.padStart(countWidth)}  ${row.bar}`,
  );
  return [head, ...lines].map((line) => line.trimEnd()).join("\n");
}

/** Longest bar for `most`; whatever is not 0 shows. */
function bar(count: bigint, most: bigint): string {
  if (count === 0n) return "";
  const eighths = Math.max(1, Number((count * BigInt(BAR_CELLS * 8)) / most));
  return "█".repeat(eighths >> 3) + EIGHTHS[eighths & 7];
}
