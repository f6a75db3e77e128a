/** Queued records, in their order → EVENT records of the batch; changes of tasks are applied in between. */
import { EVENT_WORDS, LIMITS } from "../../../spec/index.ts";
import type { ArenaMemory } from "../memory.ts";
import type { RunQueue } from "../order.ts";
import type { RawEncoder } from "../raw-arguments.ts";
import type { TaskTable } from "../tasks.ts";
import { locateCallchain, locateRaw } from "./attr.ts";
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
 * Fills the batch from the queue's `order`, from entry `start` on. Returns where it stopped and how many events it wrote:
 * none at the end of the order. Relies on takeSamples() for the soundness of what is queued.
 */
export function emitEvents(emission: Emission, start: number): { readonly next: number; readonly count: number } {
  const { memory, plans, tasks, cpuBlocks, batch, batchEvents, raw: rawEmission } = emission;
  const { records, marks, order, ready } = emission.queue;
  const { idle } = tasks;
  let { words } = memory;
  let { byTid } = tasks;
  let out = batch >>> 2;
  let count = 0;
  let at = start;
  rawEmission?.shown.clear();
  // a record may fire a tracepoint and its raw tracepoint
  for (; at < ready && count < batchEvents - 1; at++) {
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
    const end = word + (words[word + 1]! >>> 18);
    const raw = plan.raw >= 0 ? word + plan.raw : locateRaw(words, word, end, plan);
    const chain = plan.hasCallchain ? locateCallchain(words, word, end, plan) * 4 : 0;
    const cpu = plan.cpu < 0 ? 0 : words[word + plan.cpu]!;
    const tid = plan.tid < 0 ? -1 : words[word + plan.tid + 1]!;
    let task = tid === 0 ? idle[cpu]! : tid > 0 && tid < byTid.length ? byTid[tid]! : 0;
    if (task === 0) {
      task = findTask(emission, word, plan, raw, cpu);
      words = memory.words;
      byTid = tasks.byTid;
    }
    const { rawTracepoint } = plan;
    let ctx = 0;
    if (rawTracepoint !== null) {
      ctx = rawEmission!.arguments + count * RAW_BYTES;
      if (!rawEmission!.encoders[mark]!.encode((raw + 1) * 4, task, cpu, ctx)) break;
      memory.refresh();
      words = memory.words;
      byTid = tasks.byTid;
    }
    const block = cpuBlocks[cpu]!;
    if (plan.hook !== 0) {
      writeEvent(words, out, plan, word, block, task, (raw + 1) * 4, plan.hook, words[raw]!, chain);
      out += EVENT_WORDS.event;
      count++;
    }
    if (rawTracepoint !== null) {
      writeEvent(words, out, plan, word, block, task, ctx, rawTracepoint.hook, RAW_BYTES, chain);
      out += EVENT_WORDS.event;
      count++;
    }
  }
  return { next: at, count };
}

function writeEvent(
  words: Int32Array,
  out: number,
  plan: EventPlan,
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
  words[out + EVENT_WORDS.time] = plan.time < 0 ? 0 : words[word + plan.time]!;
  words[out + EVENT_WORDS.time + 1] = plan.time < 0 ? 0 : words[word + plan.time + 1]!;
  words[out + EVENT_WORDS.task] = task;
  words[out + EVENT_WORDS.hook] = hook;
  words[out + EVENT_WORDS.size] = ctxBytes;
  words[out + EVENT_WORDS.flags] = chain;
}

/** TASK of a sample. A thread that has gone has no TID any more; then the payload's common_pid names it. */
function findTask({ memory, tasks }: Emission, word: number, plan: EventPlan, raw: number, cpu: number): number {
  const { words } = memory;
  const recorded = plan.tid < 0 ? NO_TID : words[word + plan.tid + 1]! >>> 0;
  const tid = recorded === NO_TID ? words[raw + 2]! >>> 0 : recorded;
  if (tid === 0) return tasks.idle[cpu]!;
  return tasks.get(recorded === NO_TID ? tid : words[word + plan.tid]! >>> 0, tid);
}
