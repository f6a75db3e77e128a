/**
 * A tracing instance of our own: buffers and switches that nobody else sees, in which only the traced threads and what they
 * start are recorded. It is a directory of tracefs, named after its owner; removing the directory undoes all of it.
 */
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { AttachError } from "../../../base/index.ts";
import { isAbandoned } from "./owner.ts";
import { type Tracefs, tracefsAt, tracingError } from "./tracefs.ts";

export interface InstanceOptions {
  /** of each CPU's ring */
  readonly bufferKilobytes: number;
}

/** What the kernel counts of one CPU's ring. */
export interface RingStatistics {
  readonly cpu: number;
  /** records that were overwritten, or found no place, before anybody read them */
  readonly lost: bigint;
}

/** Threads that are told to the kernel with one write. */
const PIDS_AT_ONCE = 256;
const BUSY_ATTEMPTS = 50;

/** The clock that bpf_ktime_get_ns() reads. */
const CLOCK = "mono";

export class Instance {
  readonly files: Tracefs;
  readonly path: string;
  readonly #enabled: string[] = [];
  #removed = false;

  /** Makes the directory. Nothing is recorded until an event is enabled. */
  constructor(tracefs: Tracefs, owner: string, { bufferKilobytes }: InstanceOptions) {
    this.path = join(tracefs.root, "instances", owner);
    try {
      mkdirSync(this.path);
    } catch (cause) {
      throw tracingError(`cannot make the tracing instance ${this.path}`, cause);
    }
    this.files = tracefsAt(this.path);
    try {
      this.files.write("trace_clock", CLOCK);
      this.files.write("buffer_size_kb", String(bufferKilobytes));
      this.files.write("options/event-fork", "1");
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** Only events of these threads are recorded, and of threads that they start. */
  follow(tids: readonly number[]): void {
    for (let at = 0; at < tids.length; at += PIDS_AT_ONCE) {
      this.files.append("set_event_pid", `${tids.slice(at, at + PIDS_AT_ONCE).join(" ")}\n`);
    }
  }

  /** `name` is `system/event`. */
  enable(name: string, filter: string | null = null): void {
    if (filter !== null) this.files.write(`events/${name}/filter`, filter);
    this.files.write(`events/${name}/enable`, "1");
    this.#enabled.push(name);
  }

  disable(name: string): void {
    this.files.write(`events/${name}/enable`, "0");
  }

  /** From now on nothing is recorded. What was recorded can be read still. */
  stop(): void {
    this.files.write("tracing_on", "0");
  }

  cpus(): number[] {
    return this.files
      .list("per_cpu")
      .map((name) => Number.parseInt(name.slice("cpu".length), 10))
      .filter((cpu) => cpu >= 0)
      .sort((a, b) => a - b);
  }

  statistics(): RingStatistics[] {
    return this.cpus().map((cpu) => {
      const text = this.files.read(`per_cpu/cpu${cpu}/stats`);
      const count = (name: string): bigint => BigInt(new RegExp(`^${name}: (\\d+)$`, "m").exec(text)?.[1] ?? 0);
      return { cpu, lost: count("overrun") + count("commit overrun") + count("dropped events") };
    });
  }

  /** The instance's files must be closed. A second time does nothing. */
  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    removeInstance(this.path);
  }
}

/** One more than the highest number that a CPU of this machine can have. */
export function possibleCpus(): number {
  try {
    return Number(/(\d+)\s*$/.exec(readFileSync("/sys/devices/system/cpu/possible", "utf8"))?.[1] ?? 0) + 1;
  } catch {
    return 1;
  }
}

/** Removes the instances of owners that are gone; those that others remove at the same time are gone too. */
export function removeAbandonedInstances(tracefs: Tracefs): void {
  for (const name of tracefs.list("instances")) {
    if (isAbandoned(name)) removeInstance(join(tracefs.root, "instances", name));
  }
}

/** Its events are disabled with it. Kernel: instance_rmdir(), which refuses while one of its files is open. */
function removeInstance(path: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      rmdirSync(path);
      return;
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      // somebody else was faster
      if (code === "ENOENT" || code === "ENODEV") return;
      // somebody looks at one of its files
      if (code !== "EBUSY" || attempt === BUSY_ATTEMPTS) {
        throw new AttachError("TRACING_FAILED", `cannot remove the tracing instance ${path}: ${code}`, {
          cause,
          hint: `rmdir ${path}, when nobody has its files open`,
        });
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
