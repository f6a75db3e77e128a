/**
 * Tracepoints that the embedding program defines: named, typed arguments written straight into the arena. A runtime has one
 * of each definition; programs find it as a raw tracepoint of that name.
 */
import { UsageError } from "../base/index.ts";
import {
  CTX_HEAD,
  EVENT,
  EVENT_FLAG,
  POINTER_TAG,
  TRACEPOINT_ARGUMENTS,
  type TracepointArgument,
  type TracepointArguments,
  type TracepointDefinition,
} from "../spec/index.ts";
import type { FireOptions, Hook } from "./hook.ts";
import type { KernelObject } from "./kernel/index.ts";
import type { World } from "./world.ts";

/** What an argument of that type is given as. 64-bit integers may be numbers where those hold them. */
export type ArgumentValue<Type extends TracepointArgument> = Type extends "str"
  ? string
  : Type extends "bool"
    ? boolean
    : Type extends "ptr"
      ? KernelObject | bigint | null
      : Type extends "u64" | "s64"
        ? bigint | number
        : number;

export type ArgumentValues<Args extends TracepointArguments> = {
  readonly [Name in keyof Args]: ArgumentValue<Args[Name]>;
};

const WORD_BYTES = 8;
/** For texts of one event; more is made when it is needed. */
const TEXT_BYTES = 1024;

/** Memory of one event: EVENT, arguments, texts. Events that are fired inside one another have one each. */
interface Frame {
  address: number;
  ctx: number;
  text: number;
  textEnd: number;
  /** outgrown by the texts of the event under way, which lie in them still */
  readonly outgrown: number[];
}

export class Tracepoint<Args extends TracepointArguments = TracepointArguments> {
  readonly name: string;
  readonly hook: Hook;
  readonly #world: World;
  readonly #writers: readonly { readonly name: string; readonly write: Write }[];
  readonly #frames: Frame[] = [];
  #depth = 0;

  constructor(world: World, hook: Hook, definition: TracepointDefinition<Args>) {
    this.#world = world;
    this.hook = hook;
    this.name = definition.name;
    this.#writers = Object.entries(definition.args).map(([name, type]) => ({ name, write: WRITE[kindOf(type)](type) }));
  }

  /** Whether anything is attached: for callers that compute their arguments for it alone. */
  get enabled(): boolean {
    return this.hook.links.length > 0;
  }

  /** Runs the attached programs once; without any it costs next to nothing. */
  fire(values: ArgumentValues<Args>, options?: FireOptions): void {
    if (this.hook.links.length === 0) return;
    const world = this.#world;
    const frame = this.#enter();
    try {
      let { text } = frame;
      for (let index = 0; index < this.#writers.length; index++) {
        const { name, write } = this.#writers[index]!;
        text = write(this, frame, frame.ctx + index * WORD_BYTES, values[name as keyof Args], text);
      }
      if (options === undefined) {
        const { view } = world;
        view.setUint32(frame.address + EVENT.cpu, world.arena.cpu(0), true);
        view.setUint32(frame.address + EVENT.task, world.idleTask, true);
        world.runEvents(frame.address, 1);
      } else {
        this.hook.fire(world.bytes.slice(frame.ctx, frame.ctx + this.#writers.length * WORD_BYTES), options);
      }
    } finally {
      if (frame.outgrown.length > 0) for (const old of frame.outgrown.splice(0)) world.arena.free(old);
      this.#depth--;
    }
  }

  /** For writers: room for a text of so many bytes with its zero. */
  reserve(frame: Frame, text: number, bytes: number): number {
    if (text + bytes <= frame.textEnd) return text;
    const { arena } = this.#world;
    const wanted = Math.max(2 * (frame.textEnd - frame.text), bytes);
    // texts of this event before it stay where they are until the run is over
    frame.outgrown.push(frame.text);
    frame.text = arena.allocate(wanted);
    frame.textEnd = frame.text + wanted;
    return frame.text;
  }
  get memory(): World {
    return this.#world;
  }

  #enter(): Frame {
    let frame = this.#frames[this.#depth];
    if (frame === undefined) {
      frame = this.#makeFrame();
      this.#frames[this.#depth] = frame;
    }
    this.#depth++;
    return frame;
  }

  #makeFrame(): Frame {
    const { arena } = this.#world;
    const bytes = this.#writers.length * WORD_BYTES;
    const ctx = arena.allocate(CTX_HEAD.bytes + bytes + EVENT.bytes, 16) + CTX_HEAD.bytes;
    const address = ctx + bytes;
    const text = arena.allocate(TEXT_BYTES);
    // taken after both allocations, which may grow the memory
    const { view } = arena;
    view.setUint32(address + EVENT.ctx, ctx, true);
    view.setUint32(address + EVENT.hook, this.hook.address, true);
    view.setUint32(address + EVENT.size, bytes, true);
    view.setUint32(address + EVENT.flags, EVENT_FLAG.liveClock, true);
    return { address, ctx, text, textEnd: text + TEXT_BYTES, outgrown: [] };
  }
}

/** Writes a value to the argument at an address; `text` is where texts of the event go on. Returns where they go on then. */
type Write = (tracepoint: Tracepoint, frame: Frame, at: number, value: unknown, text: number) => number;

const kindOf = (type: TracepointArgument) => TRACEPOINT_ARGUMENTS[type].is;

const WRITE: Readonly<
  Record<(typeof TRACEPOINT_ARGUMENTS)[TracepointArgument]["is"], (type: TracepointArgument) => Write>
> = {
  bool: () => (tracepoint, _frame, at, value, text) => {
    const { view } = tracepoint.memory;
    view.setUint32(at, value ? 1 : 0, true);
    view.setUint32(at + 4, 0, true);
    return text;
  },
  integer: (type) => {
    const bits = TRACEPOINT_ARGUMENTS[type].bytes * 8;
    return (tracepoint, _frame, at, value, text) => {
      writeInteger(tracepoint.memory.view, at, value, bits);
      return text;
    };
  },
  text: () => (tracepoint, frame, at, value, text) => {
    const given = String(value);
    // a UTF-16 unit becomes three bytes at most
    const to = tracepoint.reserve(frame, text, 3 * given.length + 1);
    const { bytes, view } = tracepoint.memory;
    const length = writeText(bytes, to, given);
    view.setUint32(at, to, true);
    view.setUint32(at + 4, POINTER_TAG, true);
    return to + length;
  },
  pointer: () => (tracepoint, _frame, at, value, text) => {
    const pointer = value === null || typeof value === "bigint" ? (value ?? 0n) : (value as KernelObject).pointer;
    tracepoint.memory.view.setBigUint64(at, BigInt.asUintN(64, pointer), true);
    return text;
  },
};

/** Zero-extended from `bits`. */
function writeInteger(view: DataView, at: number, value: unknown, bits: number): void {
  if (typeof value === "bigint") {
    view.setBigUint64(at, BigInt.asUintN(bits, value), true);
    return;
  }
  if (!Number.isSafeInteger(value))
    throw new UsageError("USAGE", `an argument is ${String(value)}: a whole number is needed`);
  const number = value as number;
  const low = bits >= 32 ? number >>> 0 : number & ((1 << bits) - 1);
  view.setUint32(at, low, true);
  // two's complement, for negative numbers too
  view.setUint32(at + 4, bits === 64 ? Math.floor(number / 2 ** 32) >>> 0 : 0, true);
}

const ENCODER = new TextEncoder();

/** With the zero; returns how many bytes. */
function writeText(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x80) return writeEncoded(bytes, at, text);
    bytes[at + index] = unit;
  }
  bytes[at + text.length] = 0;
  return text.length + 1;
}

function writeEncoded(bytes: Uint8Array, at: number, text: string): number {
  const encoded = ENCODER.encode(text);
  bytes.set(encoded, at);
  bytes[at + encoded.length] = 0;
  return encoded.length + 1;
}
