/**
 * Queued records, in order of time → EVENT records of the batch. Records of tasks are applied in between, so that each event
 * has its task as it was then. Until a held command executes its file, what it does is the holding shell's doing and is left out.
 */
import { EVENT } from "../../../spec/index.ts";
import type { RunQueue } from "../order.ts";
import type { Batch } from "./batch.ts";
import type { CpuRings } from "./cpu-ring.ts";
import type { LiveEvent, LiveRecord, UserMemory } from "./events.ts";
import { payloadBytesOf, payloadOf, type RecordSink, type TimeBase } from "./page.ts";
import type { Tracefs } from "./tracefs.ts";
import { type TaskTracking, taskOf } from "./tracking.ts";

export interface EmissionOptions {
  /** several may be of one event of the kernel: they take its record in this order */
  readonly events: readonly LiveEvent[];
  readonly tracking: TaskTracking;
  readonly queue: RunQueue;
  readonly batch: Batch;
  /** kernel objects that events of the batch show */
  readonly shown: Set<number>;
  readonly userMemory: UserMemory | null;
  /** thread of the command that is held back; null: none is */
  readonly held: { readonly tid: number; readonly tracefs: Tracefs } | null;
  readonly eventsMax: number;
}

/** What one event of the kernel is for. Its index + 1 is the mark of its records. */
interface Slot {
  readonly name: string;
  readonly events: readonly LiveEvent[];
  readonly fires: number;
  readonly systemCall: "enter" | "exit" | null;
}

const EXECUTIONS = ["syscalls/sys_enter_execve", "sched/sched_process_exec"] as const;
const SYSTEM_CALLS = /^(?:raw_)?syscalls\/sys_(enter|exit)/;
const COMMON_PID_WORD = 1;
const WORD = 2 ** 32;

export class Emission implements RecordSink {
  readonly marks = new Uint16Array(1 << 16);
  rings!: CpuRings;
  base: TimeBase = { low: 0, high: 0 };
  readonly #options: EmissionOptions;
  readonly #slots: readonly Slot[];
  /** index of the event that a held command's own life begins with; -1: nothing is held back any more */
  #beginning = -1;
  #unneeded: string | null = null;
  /** entry of the queue's order that comes next */
  #at = 0;
  #left: number;
  readonly #record: LiveRecord = { payload: 0, bytes: 0, cpu: 0, timeLow: 0, timeHigh: 0, tid: 0, task: 0 };

  constructor(options: EmissionOptions) {
    this.#options = options;
    this.#left = options.eventsMax;
    const slots = makeSlots(options.events);
    const { held } = options;
    if (held !== null) {
      const beginning = EXECUTIONS.find((name) => held.tracefs.exists(`events/${name}/enable`))!;
      this.#beginning = slots.findIndex(({ name }) => name === beginning);
      if (this.#beginning < 0) {
        this.#beginning = slots.length;
        slots.push({ name: beginning, events: [], fires: 0, systemCall: null });
        this.marks[held.tracefs.format(beginning)!.id] = slots.length;
      }
    }
    for (const [index, { events }] of slots.entries()) {
      for (const { format } of events) this.marks[format.id] = index + 1;
    }
    this.#slots = slots;
  }

  /** Events to be recorded, and which of their records. */
  get recorded(): readonly { readonly name: string; readonly filter: string | null }[] {
    return this.#slots.map(({ name, events }) => ({
      name,
      filter: (events.length === 1 ? events[0]!.filter : null) ?? null,
    }));
  }
  /** As many events as are wanted have been handed on. */
  get isFull(): boolean {
    return this.#left <= 0;
  }
  /** Told once: an event that need not be recorded any more. */
  get unneeded(): string | null {
    const name = this.#unneeded;
    this.#unneeded = null;
    return name;
  }

  push(time: number, record: number, mark: number): void {
    this.#options.queue.push(time, record, mark);
  }

  /** Records up to `limit`, ns since the base, are to be handed on. */
  begin(limit: number): void {
    this.#options.queue.begin(limit);
    this.#at = 0;
  }

  /** Fills the batch; returns its events, none when what begin() said is done. */
  next(): number {
    const { queue, batch, shown, tracking } = this.#options;
    const { order, ready, records, marks } = queue;
    const { memory } = tracking;
    shown.clear();
    for (; this.#at < ready && this.#left > 0; this.#at++) {
      const entry = order[this.#at]!;
      const slot = this.#slots[marks[entry]! - 1]!;
      if (!batch.hasRoomFor(slot.fires)) break;
      this.#place(entry, records[entry]!);
      memory.refresh();
      if (!this.#take(slot)) break;
    }
    const count = Math.min(batch.count, this.#left);
    this.#left -= count;
    return count;
  }

  /** Where the record lies, and whose it is. */
  #place(entry: number, address: number): void {
    const { queue, tracking } = this.#options;
    const { memory } = tracking;
    const record = this.#record;
    const { words } = memory;
    const low = this.base.low + queue.times[entry]!;
    record.payload = payloadOf(words, address);
    record.bytes = payloadBytesOf(words, address);
    record.timeLow = low % WORD;
    record.timeHigh = this.base.high + Math.floor(low / WORD);
    record.cpu = this.rings.of(address).cpu;
    record.tid = words[(record.payload >>> 2) + COMMON_PID_WORD]!;
    record.task = taskOf(tracking, record.tid, record.cpu);
  }

  /** False: it must wait for the next batch. */
  #take(slot: Slot): boolean {
    const { batch, userMemory, held } = this.#options;
    const record = this.#record;
    if (this.#beginning >= 0) {
      const isBeginning = slot === this.#slots[this.#beginning] && record.tid === held!.tid;
      // the beginning itself may be among what was lost
      if (isBeginning || this.rings.list.some(({ hasMissed }) => hasMissed)) this.#beginHeld();
      else if (slot.fires > 0) return true;
    }
    let event = batch.address + batch.count * EVENT.bytes;
    for (const each of slot.events) if (!each.emit(record, batch)) return false;
    if (userMemory === null) return true;
    const end = batch.address + batch.count * EVENT.bytes;
    for (; event < end; event += EVENT.bytes) userMemory.fired(record, event, slot.systemCall);
    return true;
  }

  #beginHeld(): void {
    const { name, events } = this.#slots[this.#beginning]!;
    this.#beginning = -1;
    if (events.length === 0) this.#unneeded = name;
  }
}

/** Those that run programs come first: a task is at its events as it was before. */
function makeSlots(events: readonly LiveEvent[]): Slot[] {
  const byName = new Map<string, LiveEvent[]>();
  for (const event of events) byName.set(event.name, [...(byName.get(event.name) ?? []), event]);
  return [...byName].map(([name, theirs]) => ({
    name,
    events: theirs.toSorted((a, b) => Number(b.fires > 0) - Number(a.fires > 0)),
    fires: theirs.reduce((sum, { fires }) => sum + fires, 0),
    systemCall: systemCallOf(name),
  }));
}

const systemCallOf = (name: string): Slot["systemCall"] => {
  const [, side] = SYSTEM_CALLS.exec(name) ?? [];
  return side === "enter" || side === "exit" ? side : null;
};
