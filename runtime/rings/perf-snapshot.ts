/**
 * Reads a perf buffer that programs overwrite (format "overwrite"): its latest records, at any time, without making room.
 * Kernel: attr.write_backward; perf_mmap__read_init() in tools/lib/perf reads such buffers the same way.
 */

import { UsageError } from "../../base/index.ts";
import { PERF_BUFFER, PERF_MODE, PERF_RECORD } from "../../spec/index.ts";
import { readU64 } from "../maps/map.ts";
import type { PerfEventArrayMap } from "../maps/perf-array.ts";
import { PerfLayout } from "./perf-layout.ts";
import type { RecordCallback } from "./reader.ts";

/**
 * Hands out the records that a slot's buffer still holds whole, the oldest first, in place. The buffer is paused meanwhile,
 * so that all are of one moment; what programs write in that time is counted as lost. Returns how many records.
 */
export function readSnapshot(map: PerfEventArrayMap, slot: number, callback: RecordCallback): number {
  const buffer = map.bufferOf(slot);
  const { arena } = map.world;
  const mode = arena.view.getUint32(buffer + PERF_BUFFER.mode, true);
  if ((mode & PERF_MODE.BACKWARD) === 0)
    throw new UsageError("USAGE", `the buffer of slot ${slot} is a queue: open it with format "overwrite"`);
  const wasPaused = (mode & PERF_MODE.PAUSED) !== 0;
  map.setPaused(slot, true);
  // what a worker is writing is whole before it is read
  map.world.settle?.();
  try {
    const layout = new PerfLayout(arena, buffer);
    const records = wholeRecords(map, layout);
    for (const { at, length } of records.reverse()) layout.handOut(arena, at, length, callback);
    return records.length;
  } finally {
    if (!wasPaused && !map.closed) map.setPaused(slot, false);
  }
}

interface Placed {
  readonly at: number;
  readonly length: number;
}

/** The latest first. The last one found may be half overwritten, and then ends beyond the buffer's length. */
function wholeRecords(map: PerfEventArrayMap, layout: PerfLayout): Placed[] {
  const { arena } = map.world;
  const head = readU64(arena, layout.address + PERF_BUFFER.dataHead);
  const written = BigInt.asUintN(64, -head);
  const valid = written < BigInt(layout.dataBytes) ? Number(written) : layout.dataBytes;
  const start = Number(head & BigInt(layout.dataBytes - 1));
  const records: Placed[] = [];
  let offset = 0;
  while (offset + 8 <= valid) {
    const at = layout.data + ((start + offset) % layout.dataBytes);
    const length = arena.view.getUint16(at + 6, true);
    if (length === 0 || offset + length > valid) break;
    if (arena.view.getUint32(at, true) === PERF_RECORD.SAMPLE) records.push({ at, length });
    offset += length;
  }
  return records;
}
