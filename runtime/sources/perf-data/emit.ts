/** Queued records, in their order → EVENT records of the batch; changes of tasks are applied in between. */
import { EVENT_WORDS, LIMITS } from "../../../spec/index.ts";
import type { ArenaMemory } from "../memory.ts";
import type { RunQueue } from "../order.ts";
import type { RawEncoder } from "../raw-arguments.ts";
import type { TaskTable } from "../tasks.ts";
import { locateCallchain, locateRaw, type SampleLayout } from "./attr.ts";
import { applyTask, TASK_MARK } from "./control.ts";
import type { EventPlan } from "./plan.ts";

export interface Emission {
  readonly memory: ArenaMemory;
  readonly plans: readonly EventPlan[];
  readonly tasks: TaskTable;
  readonly queue: RunQueue;
  /** by CPU: address of its block */
  readonly cpuBlocks: readonly number[];
  /** address of the batch, and EVENT records in it */
  readonly batch: number;
  readonly batchEvents: number;
  /** how many of them emitEvents() wrote last */
  count: number;
  /** null: no raw tracepoint is wanted */
  readonly raw: RawEmission | null;
}

export interface RawEmission {
  /** by index of the event */
  readonly encoders: readonly (RawEncoder | null)[];
  /** kernel objects that events of the batch show */
  readonly shown: Set<number>;
  /** address of arguments, RAW_BYTES an event of the batch */
  readonly arguments: number;
}
/** Room for the most arguments of a raw tracepoint, 8 bytes each. */
export const RAW_BYTES = 8 * LIMITS.rawTracepointArguments;

/** A TID field of a task that is no longer hashed. */
const NO_TID = 0xffff_ffff;

/**
 * Fills the batch from the queue's `order`, from entry `start` on, and sets `count`: none at the end of the order. Returns
 * where it stopped. Relies on takeSamples() for the soundness of what is queued.
 *
 * Nothing but the plain return follows the loop, because V8 compiles it while it runs the first time: code behind it, not
 * having run yet, would throw the compiled loop away at every end of a batch.
 */
export function emitEvents(emission: Emission, start: number): number {
  const { memory, plans, tasks, cpuBlocks, batch, batchEvents, raw: rawEmission } = emission;
  const { records, marks, order, ready } = emission.queue;
  const { idle } = tasks;
  let { words } = memory;
  let { byTid } = tasks;
  let out = batch >>> 2;
  let at = start;
  emission.count = 0;
  rawEmission?.shown.clear();
  // a record may fire a tracepoint and its raw tracepoint
  for (; at < ready && emission.count < batchEvents - 1; at++) {
    const entry = order[at]!;
    const address = records[entry]!;
    const mark = marks[entry]!;
    if (mark === TASK_MARK) {
      applyTask(memory, tasks, address);
      words = memory.words;
      byTid = tasks.byTid;
      continue;
    }
    const word = address >>> 2;
    const plan = plans[mark]!;
    const { layout } = plan;
    const end = word + (words[word + 1]! >>> 18);
    const raw = layout.raw >= 0 ? word + layout.raw : locateRaw(words, word, end, layout);
    const chain = layout.hasCallchain ? locateCallchain(words, word, end, layout) * 4 : 0;
    const cpu = layout.cpu < 0 ? 0 : words[word + layout.cpu]!;
    const tid = layout.tid < 0 ? -1 : words[word + layout.tid + 1]!;
    let task = tid === 0 ? idle[cpu]! : tid > 0 && tid < byTid.length ? byTid[tid]! : 0;
    if (task === 0) {
      task = findTask(emission, word, layout, raw, cpu);
      words = memory.words;
      byTid = tasks.byTid;
    }
    const { rawTracepoint } = plan;
    let ctx = 0;
    if (rawTracepoint !== null) {
      ctx = rawEmission!.arguments + emission.count * RAW_BYTES;
      if (!rawEmission!.encoders[mark]!.encode((raw + 1) * 4, task, cpu, ctx)) break;
      memory.refresh();
      words = memory.words;
      byTid = tasks.byTid;
    }
    const block = cpuBlocks[cpu]!;
    if (plan.hook !== 0) {
      writeEvent(words, out, layout, word, block, task, (raw + 1) * 4, plan.hook, words[raw]!, chain);
      out += EVENT_WORDS.event;
      emission.count++;
    }
    if (rawTracepoint !== null) {
      writeEvent(words, out, layout, word, block, task, ctx, rawTracepoint.hook, RAW_BYTES, chain);
      out += EVENT_WORDS.event;
      emission.count++;
    }
  }
  return at;
}

function writeEvent(
  words: Int32Array,
  out: number,
  layout: SampleLayout,
  word: number,
  cpuBlock: number,
  task: number,
  ctx: number,
  hook: number,
  ctxBytes: number,
  chain: number,
): void {
  words[out + EVENT_WORDS.ctx] = ctx;
  words[out + EVENT_WORDS.cpu] = cpuBlock;
  words[out + EVENT_WORDS.time] = layout.time < 0 ? 0 : words[word + layout.time]!;
  words[out + EVENT_WORDS.time + 1] = layout.time < 0 ? 0 : words[word + layout.time + 1]!;
  words[out + EVENT_WORDS.task] = task;
  words[out + EVENT_WORDS.hook] = hook;
  words[out + EVENT_WORDS.size] = ctxBytes;
  words[out + EVENT_WORDS.flags] = chain;
}

/** TASK of a sample. A thread that has gone has no TID any more; then the payload's common_pid names it. */
function findTask({ memory, tasks }: Emission, word: number, layout: SampleLayout, raw: number, cpu: number): number {
  const { words } = memory;
  const recorded = layout.tid < 0 ? NO_TID : words[word + layout.tid + 1]! >>> 0;
  const tid = recorded === NO_TID ? words[raw + 2]! >>> 0 : recorded;
  if (tid === 0) return tasks.idle[cpu]!;
  return tasks.get(recorded === NO_TID ? tid : words[word + layout.tid]! >>> 0, tid);
}
