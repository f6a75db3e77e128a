/** Samples what the programs of a runtime do, from a thread of its own, from start to stop. */
import { Worker } from "node:worker_threads";
import { BugError, UsageError } from "../../base/index.ts";
import { threadArguments, threadFile } from "../../base/threads.ts";
import type { World } from "../world.ts";
import type { ProfiledCode, ProfiledObject } from "./code.ts";
import { makeProfile, type Profile } from "./profile.ts";
import type { SampledStack, SamplerData, SamplerMessage } from "./sampler.ts";

export interface ProfileOptions {
  /** mean time between two samples, default 1000 */
  readonly intervalUs?: number | undefined;
}

const DEFAULT_INTERVAL_US = 1000;
const SHORTEST_INTERVAL_US = 10;
const LONGEST_INTERVAL_US = 1_000_000;

export class Profiler {
  readonly #world: World;
  readonly #code: ProfiledCode;
  readonly #intervalUs: number;
  readonly #control: number;
  readonly #thread: Worker;
  readonly #sampling: Promise<void>;
  readonly #stacks: Promise<readonly SampledStack[]>;
  /** entries before it began, by object */
  readonly #before = new Map<ProfiledObject, readonly number[]>();
  #started = 0;
  #stopped: Promise<Profile> | null = null;

  constructor(world: World, code: ProfiledCode, { intervalUs = DEFAULT_INTERVAL_US }: ProfileOptions) {
    if (!(intervalUs >= SHORTEST_INTERVAL_US && intervalUs <= LONGEST_INTERVAL_US)) {
      const range = `${SHORTEST_INTERVAL_US} to ${LONGEST_INTERVAL_US}`;
      throw new UsageError("USAGE", `the interval is ${intervalUs} µs: a number from ${range} is needed`);
    }
    this.#world = world;
    this.#code = code;
    this.#intervalUs = intervalUs;
    const { arena } = world;
    this.#control = arena.allocate(64, 64);
    const data: SamplerData = {
      memory: arena.memory,
      workers: Array.from({ length: arena.lanes }, (_, id) => arena.worker(id)),
      control: this.#control,
      intervalUs,
    };
    this.#thread = new Worker(threadFile("runtime/profile/thread.js"), {
      workerData: data,
      execArgv: threadArguments(),
    });
    const waitFor = <Kind extends SamplerMessage["kind"]>(kind: Kind) => messageOf(this.#thread, kind);
    this.#sampling = waitFor("sampling").then(() => {});
    this.#stacks = waitFor("done").then(({ stacks }) => stacks);
    // stop() tells of it
    this.#stacks.catch(() => {});
    this.#thread.unref();
  }

  /** Resolves when the thread is at work. */
  async begin(): Promise<void> {
    this.#thread.ref();
    await this.#sampling;
    this.#thread.unref();
    for (const object of this.#code.objects) this.#before.set(object, entriesOf(object));
    this.#started = performance.now();
  }

  /** Ends it; every call gives the same profile. */
  stop(): Promise<Profile> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<Profile> {
    const seconds = (performance.now() - this.#started) / 1000;
    const { arena } = this.#world;
    this.#thread.ref();
    Atomics.store(arena.i32, this.#control / 4, 1);
    Atomics.notify(arena.i32, this.#control / 4);
    const stacks = await this.#stacks;
    await this.#thread.terminate();
    arena.free(this.#control);
    return makeProfile(this.#code, {
      seconds,
      intervalUs: this.#intervalUs,
      stacks,
      runs: (object, functionIndex) => object.entries(functionIndex) - (this.#before.get(object)?.[functionIndex] ?? 0),
    });
  }
}

const entriesOf = (object: ProfiledObject): number[] =>
  object.table.functions.map((_function, index) => object.entries(index));

/** The thread's message of that kind. Rejects where it ends without. */
function messageOf<Kind extends SamplerMessage["kind"]>(
  thread: Worker,
  kind: Kind,
): Promise<Extract<SamplerMessage, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    thread.on("message", (message: SamplerMessage) => {
      if (message.kind === kind) resolve(message as Extract<SamplerMessage, { kind: Kind }>);
    });
    thread.on("error", reject);
    thread.on("exit", () => reject(new BugError("the thread that samples ended")));
  });
}
