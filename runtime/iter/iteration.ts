/**
 * One walk of an iterator, which is read like a file: programs write into a buffer, and what does not fit is undone and
 * comes with the next read, from the same element on. Kernel: bpf_seq_read(), bpf_iter_run_prog().
 */
import { AttachError, UsageError } from "../../base/index.ts";
import { ERRNO, type ErrnoName, EVENT, SEQUENCE_ELEMENTS, TASK } from "../../spec/index.ts";
import { writeEvent } from "../event.ts";
import { callingTask, monotonicNs } from "../host.ts";
import { pointerTo } from "../kernel/index.ts";
import { Room } from "../room.ts";
import { type TaskInfo, writeTask } from "../task.ts";
import type { World } from "../world.ts";
import { SeqFile } from "./seq-file.ts";
import type { Element, IteratorTarget, Walk } from "./walk.ts";

/** The program of a link, and what counts its runs. */
export interface IteratedProgram {
  readonly name: string;
  readonly tableIndex: number;
  /** 8-byte arguments that it is called with */
  readonly argumentCount: number;
  isClosed(): boolean;
  /** after each run, which took so long */
  count(ns: bigint): void;
}

export interface IterationOptions {
  /** who reads; default: the calling process */
  readonly task?: TaskInfo | undefined;
  /** virtual CPU that the program runs on; default 0 */
  readonly cpu?: number | undefined;
  /** what clocks say; default: the machine's */
  readonly timeNs?: bigint | undefined;
}

/** What `cat` asks for at a time. */
const READ_BYTES = 131_072;
const WORD_BYTES = 8;
const META = "bpf_iter_meta";

export class Iteration {
  readonly #world: World;
  readonly #program: IteratedProgram;
  readonly #walk: Walk;
  readonly #file: SeqFile;
  readonly #room: Room;
  readonly #meta: number;
  readonly #ctx: number;
  readonly #event: number;
  #number = 0n;
  #index = 0;
  #isDone = false;
  #closed = false;

  constructor(world: World, program: IteratedProgram, target: IteratorTarget, options: IterationOptions = {}) {
    this.#world = world;
    this.#program = program;
    this.#file = new SeqFile(world);
    world.sequences.add(this.#file);
    this.#walk = target.walk();
    this.#room = new Room(world);
    this.#ctx = this.#room.allocate(program.argumentCount * WORD_BYTES);
    this.#event = this.#room.allocate(EVENT.bytes);
    const task = this.#room.allocate(TASK.bytes);
    this.#meta = world.kernel.create(META);
    writeTask(world.view, task, options.task ?? callingTask());
    writeEvent(world.view, this.#event, {
      ctx: this.#ctx,
      cpu: world.arena.cpu(options.cpu ?? 0),
      task,
      hook: 0,
      ctxBytes: program.argumentCount * WORD_BYTES,
      timeNs: options.timeNs,
    });
    world.kernel.setPointer(this.#meta, META, "seq", this.#file.address);
    world.kernel.setNumber(this.#meta, META, "session_id", world.sequences.takeSession());
  }

  /**
   * The next bytes, `most` at most; none at the end. Throws AttachError: E2BIG where an element alone writes more than fits,
   * EAGAIN where the program answered 1, which asks for the same element once more, and nothing is there to hand out.
   */
  read(most = READ_BYTES): Uint8Array {
    if (this.#closed || this.#program.isClosed()) throw new UsageError("CLOSED", "the iteration is closed");
    const file = this.#file;
    if (file.count > 0) return file.drain(most);
    file.from = 0;
    if (this.#pass(most)) this.#finish();
    return file.drain(most);
  }

  /** What is left of the text, as one. */
  readAll(): Uint8Array {
    const parts = [...this];
    const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** Piece by piece, as they come. Closes the iteration. */
  *[Symbol.iterator](): IterableIterator<Uint8Array> {
    try {
      for (let part = this.read(); part.length > 0; part = this.read()) yield part;
    } finally {
      this.close();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#walk.close();
    this.#world.sequences.remove(this.#file);
    this.#file.close();
    this.#world.kernel.release(this.#meta);
    this.#room.release();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  /** Runs the program for elements until the buffer or the walk is at its end; true: the walk is. */
  #pass(most: number): boolean {
    const file = this.#file;
    let element = this.#walk.start();
    if (element === null) return true;
    if (this.#index === 0) this.#setIndex(1);
    this.#require(this.#show(element));
    for (let passed = 1; ; passed++) {
      const before = file.count;
      element = this.#walk.next();
      this.#setIndex(this.#index + 1);
      if (element === null) return true;
      this.#number++;
      if (file.count >= most) return false;
      const failure = passed >= SEQUENCE_ELEMENTS ? "EAGAIN" : this.#show(element);
      if (failure === null) continue;
      file.count = before;
      if (before === 0) this.#require(failure);
      return false;
    }
  }

  /** The program runs once more, without an element. What it answers does not count. Kernel: the stop() of seq_operations. */
  #finish(): void {
    if (this.#isDone) return;
    const before = this.#file.count;
    this.#run(null);
    this.#isDone = !this.#file.overflowed;
    if (this.#isDone) return;
    this.#file.count = before;
    if (before === 0) this.#require("E2BIG");
  }

  /** What keeps the element's output from being taken. */
  #show(element: Element): ErrnoName | null {
    if (this.#run(element) !== 0n) return "EAGAIN";
    return this.#file.overflowed ? "E2BIG" : null;
  }

  #require(failure: ErrnoName | null): void {
    if (failure === null) return;
    this.#file.count = 0;
    const what =
      failure === "E2BIG"
        ? "writes more for one element than the buffer holds"
        : "asks for the same element once more, before it wrote anything";
    throw new AttachError("ITERATOR_FAILED", `program ${this.#program.name} ${what} (${failure} ${ERRNO[failure]})`, {
      errno: failure,
    });
  }

  #run(element: Element | null): bigint {
    const { argumentCount } = this.#program;
    const values = element ?? this.#walk.end?.() ?? [];
    const { view, kernel } = this.#world;
    kernel.setNumber(this.#meta, META, "seq_num", this.#number);
    view.setBigUint64(this.#ctx, pointerTo(this.#meta), true);
    for (let index = 1; index < argumentCount; index++) {
      view.setBigUint64(this.#ctx + index * WORD_BYTES, values[index - 1] ?? 0n, true);
    }
    const started = monotonicNs();
    const r0 = this.#world.runProgram(this.#program.tableIndex, this.#event);
    this.#program.count(monotonicNs() - started);
    return r0;
  }

  #setIndex(index: number): void {
    this.#index = index;
    this.#file.index = index;
  }
}
