/**
 * What a worker leaves when it dies anywhere in the library's code: locks it held, maps half changed, records reserved and
 * never committed, runs under way on its virtual CPUs. Every store of wasm/*.wat is placed so that this can be put right
 * afterwards; tests/workers/faults.test.ts stops a worker at each of them. Only the main worker repairs.
 */
import {
  CPU,
  CPU_STACK_BYTES,
  EVENT,
  LINK,
  MAP,
  NULL_GUARD_BYTES,
  PERF_BUFFER,
  PERF_MODE,
  RING,
  RUNTIME,
} from "../../spec/index.ts";
import type { Arena } from "../arena.ts";
import { HashMap } from "../maps/hash.ts";
import { type BpfMap, readU64, writeU64 } from "../maps/map.ts";
import { PerfEventArrayMap } from "../maps/perf-array.ts";
import { RingbufMap } from "../maps/ringbuf.ts";
import { StackTraceMap } from "../maps/stack-trace.ts";
import { UserRingbufMap } from "../maps/user-ringbuf.ts";
import { PerfLayout } from "../rings/perf-layout.ts";
import { repairHash } from "./repair-hash.ts";

export interface DeadWorker {
  readonly id: number;
  /** number of its lane */
  readonly lane: number;
  /** addresses of the blocks of the virtual CPUs that it owned */
  readonly cpus: readonly number[];
}

/** What was found. */
export interface Repairs {
  /** maps that it was changing */
  readonly maps: readonly string[];
  /** records that it had reserved: they count as lost */
  readonly records: readonly { readonly map: string; readonly count: number }[];
}

/** Waits for a lock as the library does; `at`: its address. */
export type Acquire = (at: number) => void;

export function repairAfter(arena: Arena, maps: Iterable<BpfMap>, dead: DeadWorker, acquire: Acquire): Repairs {
  release(arena, NULL_GUARD_BYTES + RUNTIME.atomicLock, dead);
  const changed: string[] = [];
  const records: { map: string; count: number }[] = [];
  for (const map of maps) {
    const lock = map.address + MAP.lock;
    if (holds(arena, lock, dead)) {
      if (map instanceof HashMap) repairHash(arena, map.address);
      if (map instanceof StackTraceMap) map.repair();
      release(arena, lock, dead);
      changed.push(map.name);
    }
    releaseValues(arena, map, dead);
    // The sample under way is still there for the next drain.
    if (map instanceof UserRingbufMap) release(arena, map.word("busy"), dead);
    const count =
      map instanceof RingbufMap
        ? repairRings(arena, map, dead, acquire)
        : map instanceof PerfEventArrayMap
          ? repairPerfBuffers(arena, map, dead)
          : 0;
    if (count > 0) records.push({ map: map.name, count });
  }
  for (const cpu of dead.cpus) resetCpu(arena, cpu);
  return { maps: changed, records };
}

const holds = (arena: Arena, lock: number, dead: DeadWorker): boolean =>
  Atomics.load(arena.i32, lock / 4) === dead.id + 1;

function release(arena: Arena, lock: number, dead: DeadWorker): void {
  if (holds(arena, lock, dead)) Atomics.store(arena.i32, lock / 4, 0);
}

/** Locks in values that the worker's program held. */
function releaseValues(arena: Arena, map: BpfMap, dead: DeadWorker): void {
  const lock = map.spec.fields?.find((field) => field.kind === "spinLock");
  if (lock === undefined) return;
  for (const address of map.values()) release(arena, address + lock.offsetBytes, dead);
}

/** Gives up what the worker had reserved; returns how many records. */
function repairRings(arena: Arena, map: RingbufMap, dead: DeadWorker, acquire: Acquire): number {
  let count = 0;
  for (const [index, ring] of map.rings.entries()) {
    if (!map.isShared && index !== dead.lane) continue;
    // the producer's position is written last, so what the worker was doing under the lock did not happen
    release(arena, ring + RING.lock, dead);
    if (map.isShared) acquire(ring + RING.lock);
    const given = giveUpRecords(arena, map, ring, dead.lane);
    for (const word of [RING.dropped, RING.abandoned])
      writeU64(arena, ring + word, readU64(arena, ring + word) + BigInt(given));
    if (map.isShared) Atomics.store(arena.i32, (ring + RING.lock) / 4, 0);
    count += given;
  }
  map.wakeReader();
  return count;
}

function giveUpRecords(arena: Arena, map: RingbufMap, ring: number, lane: number): number {
  const { view } = arena;
  const size = BigInt(map.maxEntries);
  const end = readU64(arena, ring + RING.producer);
  let count = 0;
  for (let position = readU64(arena, ring + RING.consumer); position < end; ) {
    const header = ring + RING.data + Number(position % size);
    const word = view.getUint32(header, true);
    const pages = view.getUint32(header + 4, true);
    const length = word & ~(RING.busy | RING.discard);
    if ((word & RING.busy) !== 0 && (!map.isShared || pages >>> RING.pageBits === lane + 1)) {
      view.setUint32(header + 4, pages & (2 ** RING.pageBits - 1), true);
      Atomics.store(arena.i32, header / 4, length | RING.discard);
      count += 1;
    }
    position += BigInt((length + RING.headerBytes + 7) & ~7);
  }
  return count;
}

/** Shows the reader what is complete and passes over the rest; returns how many records that is. */
function repairPerfBuffers(arena: Arena, map: PerfEventArrayMap, dead: DeadWorker): number {
  const { view } = arena;
  const cpus = new Set(dead.cpus.map((cpu) => view.getUint32(cpu + CPU.id, true)));
  let count = 0;
  for (const buffer of map.buffers.values()) {
    if (!cpus.has(view.getUint32(buffer + PERF_BUFFER.cpu, true))) continue;
    const isBare = (view.getUint32(buffer + PERF_BUFFER.mode, true) & PERF_MODE.BARE) !== 0;
    const lost = isBare ? view.getUint32(buffer + PERF_BUFFER.nest, true) : countReserved(arena, buffer);
    // bare records have no header that says that they are none
    if (isBare) writeU64(arena, buffer + PERF_BUFFER.head, readU64(arena, buffer + PERF_BUFFER.dataHead));
    for (const word of isBare ? [PERF_BUFFER.lost] : [PERF_BUFFER.lost, PERF_BUFFER.lostPending])
      writeU64(arena, buffer + word, readU64(arena, buffer + word) + BigInt(lost));
    view.setUint32(buffer + PERF_BUFFER.nest, 0, true);
    view.setUint32(buffer + PERF_BUFFER.wakeDue, 0, true);
    Atomics.store(arena.i64, (buffer + PERF_BUFFER.dataHead) / 8, readU64(arena, buffer + PERF_BUFFER.head));
    count += lost;
  }
  map.wakeReader();
  return count;
}

/** Between the reader's head and the writer's there are whole records only, some of them reserved. */
function countReserved(arena: Arena, buffer: number): number {
  const layout = new PerfLayout(arena, buffer);
  const [low, high] = [PERF_BUFFER.head, PERF_BUFFER.dataHead]
    .map((word) => BigInt.asIntN(64, readU64(arena, buffer + word)))
    .sort((a, b) => (a < b ? -1 : 1)) as [bigint, bigint];
  let count = 0;
  for (let position = low; position < high; ) {
    const at = layout.data + Number(BigInt.asUintN(64, position) & BigInt(layout.dataBytes - 1));
    if (layout.isReserved(arena, at)) count += 1;
    position += BigInt(arena.view.getUint16(at + 6, true));
  }
  return count;
}

/** Nothing runs there any more. Runs of the batch under way are counted first, as World.countRuns() does. */
function resetCpu({ view }: Arena, cpu: number): void {
  const first = view.getUint32(cpu + CPU.uncounted, true);
  if (first !== 0) {
    const runs = view.getUint32(cpu + CPU.link, true) + LINK.runs;
    const ran = (view.getUint32(cpu + CPU.event, true) + EVENT.bytes - first) / EVENT.bytes;
    view.setBigUint64(runs, view.getBigUint64(runs, true) + BigInt(Math.max(0, ran)), true);
  }
  view.setUint32(cpu + CPU.sp, view.getUint32(cpu + CPU.stackFloor, true) + CPU_STACK_BYTES, true);
  for (const word of RUN_WORDS) view.setUint32(cpu + word, 0, true);
  view.setBigUint64(cpu + CPU.cookie, 0n, true);
}

const RUN_WORDS = [
  CPU.event,
  CPU.tailCalls,
  CPU.link,
  CPU.outputNesting,
  CPU.nesting,
  CPU.reservations,
  CPU.bareRecord,
  CPU.uncounted,
] as const;
