/** One worker of a crew, as the main worker sees it: its thread, its virtual CPUs, what it does. */
import { BpfError, BugError, FaultError } from "../../base/index.ts";
import { CPU, EVENT, WORKER } from "../../spec/index.ts";
import type { Arena } from "../arena.ts";
import {
  betweenRounds,
  COMMAND,
  CONTROL,
  type MainMessage,
  type SentError,
  STATE,
  type ThreadData,
} from "./protocol.ts";
import type { DeadWorker } from "./repair.ts";
import { startThread, type Thread, threadExists } from "./threads.ts";

export interface MemberHost {
  readonly arena: Arena;
  readonly idleTask: number;
  readonly library: WebAssembly.Module;
  readonly trace: (line: string) => void;
  /** Answers a request: REQUEST and its arguments. */
  answer(request: number, values: readonly number[]): number;
  /** The thread ended without being told to, in the middle of an event or not. Called once a thread. */
  onDeath(member: Member, inEvent: boolean, error: Error | null): void;
}

const ARGUMENTS = 5;

export class Member implements DeadWorker {
  readonly id: number;
  readonly lane: number;
  readonly cpus: readonly number[];
  readonly #host: MemberHost;
  readonly #worker: number;
  readonly #control: number;
  #thread: Thread | null = null;
  #stopping = false;
  /** of the run that broke off */
  #error: Error | null = null;

  constructor(host: MemberHost, id: number, cpus: readonly number[]) {
    const { arena } = host;
    this.#host = host;
    this.id = id;
    this.lane = id;
    this.cpus = cpus;
    this.#worker = arena.worker(id);
    this.#control = arena.allocate(CONTROL.bytes, 64);
    arena.view.setUint32(this.#worker + WORKER.lane, 4 * this.lane, true);
    for (const cpu of cpus) arena.view.setUint32(cpu + CPU.owner, id, true);
    this.#set(CONTROL.state, STATE.dead);
  }

  get isDead(): boolean {
    return this.#get(CONTROL.state) === STATE.dead;
  }
  get isIdle(): boolean {
    return this.#get(CONTROL.state) === STATE.idle;
  }

  /** Starts a thread where there is none, after what a dead one left was repaired. `mail` is what it is to install. */
  start(mail: readonly MainMessage[]): void {
    const { arena, idleTask, library } = this.#host;
    for (const offset of [CONTROL.command, CONTROL.thread]) this.#set(offset, 0);
    for (const word of [WORKER.cpu, WORKER.place, WORKER.depth]) arena.view.setUint32(this.#worker + word, 0, true);
    this.#set(CONTROL.state, STATE.busy);
    const data: ThreadData = {
      arena: arena.handle,
      control: this.#control,
      worker: this.#worker,
      cpus: this.cpus,
      idleTask,
      library,
    };
    const thread = startThread(data, (error) => {
      if (this.#thread === thread) this.#died(error);
    });
    this.#thread = thread;
    for (const message of mail) thread.send(message);
  }

  send(message: MainMessage): void {
    this.#thread?.send(message);
  }

  /** Has it read its mail. */
  nudge(): void {
    this.#set(CONTROL.state, STATE.busy);
    this.#command(COMMAND.mail);
  }

  /** Has it run events; how far it comes: progress(). */
  run(events: number, count: number, { times, pauses }: { readonly times: number; readonly pauses: boolean }): void {
    this.#error = null;
    this.#set(CONTROL.events, events);
    this.#set(CONTROL.count, count);
    this.#set(CONTROL.times, times);
    this.#set(CONTROL.pauses, pauses ? 1 : 0);
    this.#host.arena.view.setUint32(this.#worker + WORKER.next, events, true);
    this.#set(CONTROL.state, STATE.busy);
    this.#command(COMMAND.run);
  }

  /** Resolves when it is idle or dead; answers what it asks meanwhile. Keeps the process alive so long. */
  async done(): Promise<void> {
    this.#thread?.ref();
    try {
      for (let state = this.#serve(); state === STATE.busy; state = this.#serve()) {
        const change = Atomics.waitAsync(this.#host.arena.i32, (this.#control + CONTROL.state) / 4, state);
        if (change.async) await change.value;
      }
    } finally {
      this.#thread?.unref();
      this.#readMail();
    }
  }

  /** The same without a turn of the event loop. */
  settle(): void {
    for (let state = this.#serve(); state === STATE.busy; state = this.#serve()) {
      const { i32 } = this.#host.arena;
      if (Atomics.wait(i32, (this.#control + CONTROL.state) / 4, state, 20) === "timed-out") this.checkAlive();
    }
  }

  /** Finds out that the thread is gone before the event loop tells. */
  checkAlive(): void {
    if (!this.isDead && !threadExists(this.#get(CONTROL.thread))) this.#died(null);
  }

  /** What the last run broke off with, null: nothing. */
  takeError(): Error | null {
    const error = this.#error;
    this.#error = null;
    return error;
  }

  /** Times that are left of the last run, the one under way included. */
  get timesLeft(): number {
    const times = this.#get(CONTROL.times);
    return times < 0 ? betweenRounds(times) : times;
  }

  /** ns that its runs took since the last call. */
  takeElapsed(): bigint {
    return Atomics.exchange(this.#host.arena.i64, (this.#control + CONTROL.elapsed) / 8, 0n);
  }

  /** The first event of the last run that did not begin. */
  get next(): number {
    if (this.#get(CONTROL.times) < 0) return this.#get(CONTROL.events) >>> 0;
    return this.#host.arena.view.getUint32(this.#worker + WORKER.next, true);
  }

  /** Ends the thread as if something else had. */
  async kill(): Promise<void> {
    await this.#thread?.terminate();
  }

  async close(): Promise<void> {
    this.#stopping = true;
    await this.#thread?.terminate();
    this.#thread = null;
    this.#setDead();
  }

  #died(error: Error | null): void {
    if (this.isDead) return;
    this.#thread = null;
    const begun = this.#passEventUnderWay();
    this.#set(CONTROL.state, STATE.dead);
    if (!this.#stopping) this.#host.onDeath(this, begun, error);
    this.#setDead();
  }

  /** An event under way counts as begun, since nobody knows how much of it was done. True: there was one. */
  #passEventUnderWay(): boolean {
    const { view } = this.#host.arena;
    const cpu = view.getUint32(this.#worker + WORKER.cpu, true);
    const event = cpu === 0 ? 0 : view.getUint32(cpu + CPU.event, true);
    if (event === 0) return false;
    view.setUint32(this.#worker + WORKER.next, event + EVENT.bytes, true);
    return true;
  }

  #setDead(): void {
    this.#set(CONTROL.state, STATE.dead);
    Atomics.notify(this.#host.arena.i32, (this.#control + CONTROL.state) / 4);
  }

  /** Answers what it asks; returns its state. */
  #serve(): number {
    while (this.#get(CONTROL.state) === STATE.asking) {
      const values = Array.from({ length: ARGUMENTS }, (_, index) => this.#get(CONTROL.arguments + 4 * index));
      const answer = this.#host.answer(this.#get(CONTROL.request), values);
      this.#set(CONTROL.answer, answer);
      this.#set(CONTROL.state, STATE.busy);
      Atomics.notify(this.#host.arena.i32, (this.#control + CONTROL.state) / 4);
    }
    return this.#get(CONTROL.state);
  }

  #readMail(): void {
    for (let message = this.#thread?.receive(); message !== undefined; message = this.#thread?.receive()) {
      if (message.kind === "trace") this.#host.trace(message.line);
      else this.#error = unpackError(message.error);
    }
  }

  #command(command: number): void {
    this.#set(CONTROL.command, command);
    Atomics.notify(this.#host.arena.i32, (this.#control + CONTROL.command) / 4);
  }

  #get(offset: number): number {
    return Atomics.load(this.#host.arena.i32, (this.#control + offset) / 4);
  }
  #set(offset: number, value: number): void {
    Atomics.store(this.#host.arena.i32, (this.#control + offset) / 4, value);
  }
}

/** The error as the main worker itself would have thrown it. */
function unpackError({ name, code, message, where, stack }: SentError): Error {
  const detail = { where, cause: stack };
  if (name === "FaultError") return new FaultError(code as "MEMORY_FAULT", message, detail);
  if (name === "BugError") return new BugError(message, { ...detail, code: code as "PROGRAM_TRAPPED" });
  return code === null ? new Error(message, { cause: stack }) : new BpfError(code as "USAGE", message, detail);
}
