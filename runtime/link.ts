/**
 * Links: one program attached to one hook. What runs it is the LINK record that the hook keeps of it (hook.ts).
 */
import { AttachError } from "../base/index.ts";
import { type HookKind, hookSpec, LINK, type ProgramManifest, type ProgramTypeName } from "../spec/index.ts";
import type { Hook } from "./hook.ts";
import type { Iteration, IterationOptions, IteratorOptions, IteratorTarget } from "./iter/index.ts";

/** As `bpftool prog` shows them: run_cnt, recursion_misses and run_time_ns. Kernel: struct bpf_prog_stats. */
export interface RunCounts {
  readonly runs: number;
  /** runs that did not start, for want of stack */
  readonly misses: number;
  /** of the runs that were measured: Runtime.enableStats() */
  readonly ns: number;
}

const NO_RUNS: RunCounts = { runs: 0, misses: 0, ns: 0 };

/** A program that is linked and can be attached. */
export interface Attachable {
  readonly manifest: ProgramManifest;
  /** its slot in the worker's table */
  readonly tableIndex: number;
  /** slot of its batch loop */
  readonly batchIndex: number;
  readonly closed: boolean;
  /** Counts of a link that runs it no more. */
  keepCounts?(counts: RunCounts): void;
}

export interface AttachOptions extends IteratorOptions {
  /** what bpf_get_attach_cookie() answers, unsigned; default 0 */
  readonly cookie?: bigint | undefined;
}

/** A link as a list shows it. */
export interface LinkInfo {
  readonly id: number;
  readonly kind: HookKind;
  /** name of the hook */
  readonly target: string;
  readonly program: string;
  readonly type: ProgramTypeName;
  readonly cookie: bigint;
  readonly runs: number;
  readonly misses: number;
  readonly ns: number;
  /** names that it is pinned under */
  readonly pins: readonly string[];
}

export class Link {
  readonly hook: Hook;
  readonly cookie: bigint;
  readonly id: number;
  readonly #iterator: IteratorTarget | null;
  #program: Attachable;
  /** at the time of the detach */
  #last: RunCounts | null = null;
  /** when its program took the place of another */
  #before = NO_RUNS;
  readonly #pins = new Set<string>();
  #released = false;

  constructor(
    hook: Hook,
    program: Attachable,
    given: { readonly cookie: bigint; readonly id: number; readonly iterator: IteratorTarget | null },
  ) {
    this.hook = hook;
    this.#program = program;
    this.cookie = given.cookie;
    this.id = given.id;
    this.#iterator = given.iterator;
  }

  get program(): Attachable {
    return this.#program;
  }
  /** Runs so far. */
  get runs(): number {
    return this.#last?.runs ?? this.hook.counter(this, LINK.runs);
  }
  /** Runs that did not start, for want of stack: as recursion in the kernel. */
  get misses(): number {
    return this.#last?.misses ?? this.hook.counter(this, LINK.misses);
  }
  /** Time of the runs that were measured (Hooks.timed). */
  get ns(): number {
    return this.#last?.ns ?? this.hook.counter(this, LINK.ns);
  }
  /** What its program did through it. */
  get programCounts(): RunCounts {
    const { runs, misses, ns } = this.#before;
    return { runs: this.runs - runs, misses: this.misses - misses, ns: this.ns - ns };
  }
  get detached(): boolean {
    return this.#last !== null;
  }
  get pins(): readonly string[] {
    return [...this.#pins];
  }
  get info(): LinkInfo {
    const { id, cookie, runs, misses, ns, pins } = this;
    const { name, type } = this.#program.manifest;
    return { id, kind: this.hook.kind, target: this.hook.name, program: name, type, cookie, runs, misses, ns, pins };
  }

  /**
   * Puts another program in its place, between two events; id, cookie and counters stay. `expected`: fails with EPERM where
   * another one is there. Links of probes, tracepoints and perf events cannot be updated: EINVAL. Kernel: BPF_LINK_UPDATE.
   */
  update(program: Attachable, expected: Attachable | null = null): void {
    const where = { program: program.manifest.name };
    if (this.#last !== null)
      throw new AttachError("ATTACH_FAILED", "the link is detached", { where, errno: "ENOLINK" });
    if (hookSpec(this.hook.kind).updatable !== true) {
      throw new AttachError("ATTACH_FAILED", `links of kind ${this.hook.kind} cannot be updated`, { where });
    }
    if (expected !== null && expected !== this.#program) {
      const { name } = this.#program.manifest;
      throw new AttachError("ATTACH_FAILED", `the link runs program ${name}`, { where, errno: "EPERM" });
    }
    this.hook.requireFit(program);
    this.#iterator?.requireFit(program.manifest);
    const before = this.#program;
    this.#program = program;
    try {
      this.hook.refresh();
    } catch (error) {
      this.#program = before;
      throw error;
    }
    before.keepCounts?.(this.programCounts);
    const { runs, misses, ns } = this;
    this.#before = { runs, misses, ns };
  }

  /**
   * Begins a walk of an iterator, whose text is read in pieces; it goes on with the program that the link has now. Links of
   * other hooks: EINVAL. Kernel: BPF_ITER_CREATE.
   */
  iterate(options: IterationOptions = {}): Iteration {
    if (this.#last !== null) throw new AttachError("ATTACH_FAILED", "the link is detached", { errno: "ENOLINK" });
    if (this.#iterator === null) {
      throw new AttachError("ATTACH_FAILED", `there is nothing to read from a link of kind ${this.hook.kind}`);
    }
    return this.hook.iterate(this, this.#iterator, options);
  }
  /** The text of a whole walk of an iterator. Throws what iterate() and Iteration.read() throw. */
  read(options: IterationOptions = {}): Uint8Array {
    return this.iterate(options).readAll();
  }

  /** A name that keeps it attached when its owner disposes of it. EEXIST where the name is taken. */
  pin(name: string): void {
    if (this.#last !== null) throw new AttachError("ATTACH_FAILED", "the link is detached", { errno: "ENOLINK" });
    this.hook.pins.add(name, this);
    this.#pins.add(name);
  }
  /** Takes the name away; with the last one ends a link that its owner has disposed of. */
  unpin(name: string): void {
    if (!this.#pins.delete(name)) return;
    this.hook.pins.remove(name);
    if (this.#released && this.#pins.size === 0) this.detach();
  }

  /** Whatever it is pinned under. A second detach does nothing. */
  detach(): void {
    if (this.#last !== null) return;
    const { runs, misses, ns } = this;
    this.#program.keepCounts?.(this.programCounts);
    this.hook.remove(this);
    this.#last = { runs, misses, ns };
    for (const name of this.#pins) this.hook.pins.remove(name);
    this.#pins.clear();
  }

  /** Detaches, unless a pin keeps it. */
  [Symbol.dispose](): void {
    this.#released = true;
    if (this.#pins.size === 0) this.detach();
  }
}

/** Pinned links of one runtime, by name. */
export class LinkPins {
  readonly #links = new Map<string, Link>();

  get(name: string): Link | null {
    return this.#links.get(name) ?? null;
  }
  add(name: string, link: Link): void {
    if (this.#links.has(name)) {
      throw new AttachError("ATTACH_FAILED", `a link is pinned as ${name} already`, { errno: "EEXIST" });
    }
    this.#links.set(name, link);
  }
  remove(name: string): void {
    this.#links.delete(name);
  }
}
