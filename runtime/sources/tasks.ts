/**
 * The tasks behind a source's events, as TASK blocks in the arena. Who a thread was at an event's time follows from the
 * records of forks and new names before it; so they must be applied in order of time, between the events.
 *
 * A block that an event of the current batch may point to is never changed: a new name makes a new block, and the old one
 * is reused after the next release().
 */
import { COMM_BYTES, TASK } from "../../spec/index.ts";
import { type TaskInfo, writeTask } from "../task.ts";
import type { ArenaMemory } from "./memory.ts";

/** Blocks that are allocated at once. */
const SLAB_BLOCKS = 64;
/** Thread ids below this are looked up in an array, which is what pid_max allows on 64-bit machines. */
const ARRAY_TIDS_MAX = 1 << 22;

/** Fields of TASK that change while a thread lives. */
export interface TaskChange {
  readonly uid?: number;
  readonly gid?: number;
  readonly ppid?: number;
  readonly cgroupId?: bigint;
}
const NUMBERS = ["uid", "gid", "ppid"] as const;

export class TaskTable {
  readonly #memory: ArenaMemory;
  /** by thread id: address of its TASK block, 0: not seen */
  byTid = new Int32Array(1 << 12);
  readonly #others = new Map<number, number>();
  /** by CPU: its idle thread, all of them pid 0 */
  readonly idle: readonly number[];
  #free: number[] = [];
  #retired: number[] = [];

  constructor(memory: ArenaMemory, cpus: number) {
    this.#memory = memory;
    this.idle = Array.from({ length: cpus }, (_, cpu) => this.#create(0, 0, `swapper/${cpu}`));
  }

  /** Blocks that were replaced may be used again: the events that point to them are gone. */
  release(): void {
    if (this.#retired.length === 0) return;
    this.#free = this.#free.concat(this.#retired);
    this.#retired = [];
  }

  /** The task of an event; a thread that no record told of is named `:TID`, as perf script does. */
  get(pid: number, tid: number): number {
    const known = this.#find(tid);
    if (known !== 0) return known;
    return this.#set(tid, this.#create(pid, tid, `:${tid}`));
  }

  /** Address of the thread's block, 0: nothing is known of it. */
  known(tid: number): number {
    return this.#find(tid);
  }

  /** All of a thread at once. */
  define(task: TaskInfo): number {
    const block = this.#allocate();
    writeTask(this.#memory.world.view, block, task);
    return task.pid === 0 ? block : this.#set(task.pid, block);
  }

  /** Nothing is known of the thread any more: another may get its number. */
  forget(tid: number): void {
    if (this.#find(tid) !== 0) this.#set(tid, 0);
  }

  /** COMM: the thread has a new name. `comm` is its address in the arena, zero-terminated or `bytes` long. */
  rename(pid: number, tid: number, comm: number, bytes: number): void {
    if (tid === 0) return;
    const old = this.#find(tid);
    const block = old === 0 ? this.#create(pid, tid, "") : this.#copy(old);
    const { octets, words } = this.#memory;
    const target = block + TASK.comm;
    let length = 0;
    const most = Math.min(bytes, COMM_BYTES - 1);
    for (let byte = octets[comm]!; length < most && byte !== 0; byte = octets[comm + length]!) {
      octets[target + length++] = byte;
    }
    while (length < COMM_BYTES) octets[target + length++] = 0;
    words[(block + TASK.tgid) >>> 2] = pid;
    this.#set(tid, block);
  }

  /** FORK: a thread begins, under the name of the one that made it. `time` as two unsigned halves, ns. */
  fork(pid: number, tid: number, parentPid: number, parentTid: number, timeLow: number, timeHigh: number): void {
    if (tid === 0) return;
    const parent = this.#find(parentTid);
    const block = parent === 0 ? this.#create(pid, tid, "") : this.#copy(parent);
    const { words } = this.#memory;
    const word = block >>> 2;
    words[word + TASK.pid / 4] = tid;
    words[word + TASK.tgid / 4] = pid;
    // a thread of the same process has the same parent
    if (pid !== parentPid) words[word + TASK.ppid / 4] = parentPid;
    words[word + TASK.startTimeNs / 4] = timeLow;
    words[word + TASK.startTimeNs / 4 + 1] = timeHigh;
    this.#set(tid, block);
  }

  /** What else became of the thread than its name. Nothing where it is not known, or all of it was so before. */
  update(tid: number, change: TaskChange): void {
    const old = this.#find(tid);
    if (old === 0) return;
    const { view } = this.#memory.world;
    const { cgroupId } = change;
    const differs = NUMBERS.filter(
      (name) => change[name] !== undefined && change[name] !== view.getUint32(old + TASK[name], true),
    );
    const moves = cgroupId !== undefined && cgroupId !== view.getBigUint64(old + TASK.cgroupId, true);
    if (differs.length === 0 && !moves) return;
    const block = this.#copy(old);
    const { view: now } = this.#memory.world;
    for (const name of differs) now.setUint32(block + TASK[name], change[name]!, true);
    if (moves) now.setBigUint64(block + TASK.cgroupId, cgroupId, true);
    this.#set(tid, block);
  }

  #find(tid: number): number {
    return (tid < this.byTid.length ? this.byTid[tid] : this.#others.get(tid)) ?? 0;
  }

  #set(tid: number, block: number): number {
    const old = this.#find(tid);
    if (old !== 0) this.#retired.push(old);
    if (tid >= ARRAY_TIDS_MAX) {
      this.#others.set(tid, block);
      return block;
    }
    while (tid >= this.byTid.length) {
      const grown = new Int32Array(this.byTid.length * 2);
      grown.set(this.byTid);
      this.byTid = grown;
    }
    this.byTid[tid] = block;
    return block;
  }

  #create(pid: number, tid: number, comm: string): number {
    const block = this.#allocate();
    const { octets, words } = this.#memory;
    octets.fill(0, block, block + TASK.bytes);
    words[(block + TASK.pid) >>> 2] = tid;
    words[(block + TASK.tgid) >>> 2] = pid;
    for (let index = 0; index < comm.length; index++) octets[block + TASK.comm + index] = comm.charCodeAt(index);
    return block;
  }

  #copy(from: number): number {
    const block = this.#allocate();
    const { words } = this.#memory;
    for (let word = 0; word < TASK.bytes / 4; word++) words[(block >>> 2) + word] = words[(from >>> 2) + word]!;
    return block;
  }

  #allocate(): number {
    if (this.#free.length === 0) {
      const slab = this.#memory.allocate(SLAB_BLOCKS * TASK.bytes, TASK.bytes);
      for (let index = SLAB_BLOCKS - 1; index >= 0; index--) this.#free.push(slab + index * TASK.bytes);
    }
    return this.#free.pop()!;
  }
}
