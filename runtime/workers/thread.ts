/**
 * The thread of a worker: waits for commands in its control block, without an event loop, and runs events in a world of its
 * own over the shared arena.
 */
import { BpfError, BugError } from "../../base/index.ts";
import { EVENT, EXPORT, WORKER } from "../../spec/index.ts";
import { Arena } from "../arena.ts";
import { monotonicNs } from "../host.ts";
import { importsOf } from "../instance.ts";
import { World } from "../world.ts";
import { betweenRounds, COMMAND, CONTROL, type InstallMessage, REQUEST, type SentError, STATE } from "./protocol.ts";
import { ownThreadNumber, threadStart } from "./threads.ts";

const { data, mail } = threadStart();
const { control } = data;
const arena = new Arena(data.arena);
const world = new World(
  { cpus: arena.cpus, trace: (line) => mail.send({ kind: "trace", line }) },
  {
    arena,
    worker: data.worker,
    cpus: data.cpus,
    idleTask: data.idleTask,
    library: data.library,
    taskStruct: (task) => ask(REQUEST.taskStruct, task),
    contended,
  },
);
world.foreign = {
  readForeign: (address, destination, bytes, space) =>
    ask(
      REQUEST.readForeign,
      Number(address & 0xffff_ffffn),
      Number(address >> 32n),
      destination,
      bytes,
      space === "user" ? 1 : 0,
    ),
};

const word = (offset: number): number => Atomics.load(arena.i32, (control + offset) / 4);
const setWord = (offset: number, value: number): void => {
  Atomics.store(arena.i32, (control + offset) / 4, value);
};

setWord(CONTROL.thread, ownThreadNumber());
readMail();
while (true) {
  setWord(CONTROL.state, STATE.idle);
  Atomics.notify(arena.i32, (control + CONTROL.state) / 4);
  Atomics.wait(arena.i32, (control + CONTROL.command) / 4, COMMAND.none);
  arena.refresh();
  const command = word(CONTROL.command);
  setWord(CONTROL.command, COMMAND.none);
  readMail();
  if (command === COMMAND.run) run();
}

/** How far it comes is in WORKER.next. */
function run(): void {
  const events = word(CONTROL.events) >>> 0;
  const count = word(CONTROL.count);
  const started = monotonicNs();
  try {
    for (let left = word(CONTROL.times); left > 0 && runRound(events, count); left--) endRound(events, left - 1);
  } catch (error) {
    mail.send({ kind: "error", error: packError(error) });
  }
  Atomics.add(arena.i64, (control + CONTROL.elapsed) / 8, monotonicNs() - started);
}

/** False where it stopped for readers. */
function runRound(events: number, count: number): boolean {
  const pauses = word(CONTROL.pauses) !== 0;
  let done = world.runEvents(events, count);
  while (done < count && !pauses) done += world.runEvents(events + done * EVENT.bytes, count - done);
  return done === count;
}

/** In an order that says at every moment how far it came, whenever the thread may be killed. */
function endRound(events: number, left: number): void {
  setWord(CONTROL.times, betweenRounds(left));
  Atomics.store(arena.i32, (data.worker + WORKER.next) / 4, events);
  setWord(CONTROL.times, left);
}

function readMail(): void {
  for (let message = mail.receive(); message !== undefined; message = mail.receive()) {
    if (message.kind === "install") install(message);
    else for (const index of message.indices) world.uninstall(index);
  }
}

function install({ module, maps, profile, programs }: InstallMessage): void {
  const { exports } = new WebAssembly.Instance(module, importsOf(world, maps, profile));
  for (const { name, main, batch } of programs) {
    world.installAt(main, name, exports[EXPORT.main + name] as WebAssembly.ExportedFunction);
    world.installAt(batch, name, exports[EXPORT.batch + name] as WebAssembly.ExportedFunction);
  }
}

/** Has the main worker do something in the middle of a run, and waits for it. */
function ask(request: number, ...values: readonly number[]): number {
  setWord(CONTROL.request, request);
  for (const [index, value] of values.entries()) setWord(CONTROL.arguments + 4 * index, value);
  setWord(CONTROL.state, STATE.asking);
  Atomics.notify(arena.i32, (control + CONTROL.state) / 4);
  while (word(CONTROL.state) === STATE.asking) Atomics.wait(arena.i32, (control + CONTROL.state) / 4, STATE.asking);
  // it may have allocated
  arena.refresh();
  return word(CONTROL.answer);
}

/** The main worker finds out whether the owner is dead: here one only has to wait. */
function contended(lock: number, owner: number): void {
  Atomics.wait(arena.i32, lock / 4, owner, 0.2);
}

function packError(error: unknown): SentError {
  const known = error instanceof Error ? error : new BugError(String(error));
  return {
    name: known.name,
    code: known instanceof BpfError ? known.code : null,
    message: known.message,
    where: known instanceof BpfError ? { ...known.where } : {},
    stack: known.stack,
  };
}
