/**
 * Many events of one hook from plain bytes: contexts of one length, one behind the other. They are copied into a block of the
 * hook's own, whose EVENT records are made once, and run in portions, a call into Wasm each.
 */
import { UsageError } from "../base/index.ts";
import {
  type Architecture,
  CTX,
  CTX_HEAD,
  ctxSpec,
  EVENT,
  type HookSpec,
  LIMITS,
  registerFile,
} from "../spec/index.ts";
import { writeEvent } from "./event.ts";
import type { World } from "./world.ts";

export interface BatchOptions {
  /** called when a ring or perf buffer is more than half full, to drain it; without it records get lost when it is full */
  readonly drain?: (() => void) | undefined;
}

/** What is the same for all events of a batch. */
export interface BatchEvent {
  readonly cpu: number;
  readonly task: number;
  readonly timeNs: bigint | undefined;
}

/** What its contexts are. */
export interface BatchKind {
  readonly spec: HookSpec;
  /** undefined: x86_64 */
  readonly architecture: Architecture | undefined;
}

const ALIGNMENT = 16;
const WORD_BYTES = 8;

export class HookBatch {
  readonly recordBytes: number;
  readonly #architecture: Architecture | undefined;
  readonly #portion: number;
  readonly #world: World;
  readonly #hook: number;
  /** null: nothing lies before a ctx */
  readonly #head: ContextHead | null;
  readonly #stride: number;
  readonly #contexts: number;
  readonly #events: number;
  /** where records lie as they came, before each gets a head */
  readonly #staged: number;
  /** what the EVENT records say */
  #event: BatchEvent | null = null;

  /** `portion`: events that there is room for. */
  constructor(world: World, hook: number, kind: BatchKind, recordBytes: number, portion: number) {
    this.#world = world;
    this.#hook = hook;
    this.recordBytes = recordBytes;
    this.#architecture = kind.architecture;
    this.#portion = portion;
    this.#head = headOf(kind, recordBytes);
    const headBytes = this.#head === null ? 0 : CTX_HEAD.bytes;
    // without a head records lie as they come, so that one copy is enough; registers that are not given are zeros
    const contextBytes = Math.max(Math.ceil(recordBytes / WORD_BYTES) * WORD_BYTES, registersBytes(kind));
    this.#stride = this.#head === null ? recordBytes : headBytes + contextBytes;
    const contexts = portion * this.#stride;
    const staged = this.#head === null ? 0 : portion * recordBytes;
    const block = world.arena.allocate(portion * EVENT.bytes + contexts + headBytes + staged, ALIGNMENT);
    this.#events = block;
    this.#contexts = block + portion * EVENT.bytes + headBytes;
    this.#staged = this.#contexts + contexts;
  }

  /** Whether events of that length can be run by programs of that machine. */
  fits(recordBytes: number, architecture: Architecture | undefined): boolean {
    return this.recordBytes === recordBytes && this.#architecture === architecture;
  }

  free(): void {
    this.#world.arena.free(this.#events);
  }

  /** Runs all of `records`. */
  run(records: Uint8Array, event: BatchEvent, { drain }: BatchOptions): void {
    this.#prepare(event);
    const portionBytes = this.#portion * this.recordBytes;
    for (let from = 0; from < records.length; from += portionBytes) {
      const portion = records.subarray(from, from + portionBytes);
      this.#copy(portion);
      const count = portion.length / this.recordBytes;
      for (let done = 0; done < count; ) {
        if (done > 0) drain?.();
        done += this.#world.runEvents(this.#events + done * EVENT.bytes, count - done);
      }
    }
  }

  #prepare(event: BatchEvent): void {
    const known = this.#event;
    if (known !== null && known.cpu === event.cpu && known.task === event.task && known.timeNs === event.timeNs) return;
    this.#event = event;
    for (let index = 0; index < this.#portion; index++) {
      writeEvent(this.#world.view, this.#events + index * EVENT.bytes, {
        ...event,
        ctx: this.#contexts + index * this.#stride,
        hook: this.#hook,
        ctxBytes: this.recordBytes,
      });
    }
  }

  #copy(records: Uint8Array): void {
    const { bytes, view } = this.#world;
    const head = this.#head;
    if (head === null) {
      bytes.set(records, this.#contexts);
      return;
    }
    const { recordBytes } = this;
    const end = this.#staged + records.length;
    bytes.set(records, this.#staged);
    for (let from = this.#staged, ctx = this.#contexts; from < end; from += recordBytes, ctx += this.#stride) {
      bytes.copyWithin(ctx, from, from + recordBytes);
      head(view, ctx);
    }
  }
}

/** Bytes that programs may read of the registers whether they are given or not; 0: the ctx has none. */
function registersBytes({ spec, architecture }: BatchKind): number {
  if (spec.context === "registers") return registerFile(architecture).bytes;
  return spec.context === "perfEvent" ? ctxSpec("bpf_perf_event_data", architecture).size! : 0;
}

/** The longest event that a test run of its programs takes, too; 0: it is no plain bytes. */
export function mostBytes(kind: BatchKind): number {
  switch (kind.spec.context) {
    case "payload":
      return CTX.tracepoint.open.to;
    case "arguments":
      return kind.spec.kind === "raw_tracepoint"
        ? CTX.bpf_raw_tracepoint_args.open.to
        : (LIMITS.functionArguments + 1) * WORD_BYTES;
    default:
      return registersBytes(kind);
  }
}

/** Writes CTX_HEAD before a ctx. */
type ContextHead = (view: DataView, ctx: number) => void;

/** Throws UsageError for hooks whose events are not their bytes, and for bytes that no event of the hook has. */
function headOf({ spec, architecture }: BatchKind, bytes: number): ContextHead | null {
  const { kind, context, result } = spec;
  const whole = (unit: number): void => {
    if (bytes % unit !== 0) throw new UsageError("USAGE", `an event of ${bytes} bytes is not made of words`);
  };
  switch (context) {
    case "payload":
      return null;
    case "arguments": {
      whole(WORD_BYTES);
      if (kind === "raw_tracepoint") return null;
      const count = Math.max(0, bytes / WORD_BYTES - (result ? 1 : 0));
      return (view, ctx) => view.setUint32(ctx - CTX_HEAD.bytes + CTX_HEAD.arguments, count, true);
    }
    case "registers":
    case "perfEvent": {
      whole(WORD_BYTES);
      const { registers, address } = registerFile(architecture);
      const at = registers[address]!;
      if (bytes < at + WORD_BYTES) return () => {};
      return (view, ctx) => {
        for (const half of [0, WORD_BYTES / 2]) {
          const part = view.getUint32(ctx + at + half, true);
          view.setUint32(ctx - CTX_HEAD.bytes + CTX_HEAD.address + half, part, true);
        }
      };
    }
    default:
      throw new UsageError("USAGE", `hooks of kind ${kind} are fired one by one`);
  }
}
