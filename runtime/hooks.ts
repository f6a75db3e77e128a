/** The hooks of one runtime, their links and pins. */
import { type HookKind, NULL_GUARD_BYTES, RUNTIME } from "../spec/index.ts";
import type { Device } from "./device.ts";
import { Hook, type HookHome } from "./hook.ts";
import { type Link, LinkPins } from "./link.ts";
import type { UserReading, WantedHook } from "./source.ts";
import type { World } from "./world.ts";

/** By kind and name. A hook exists from the first time it is asked for. */
export class Hooks implements HookHome {
  readonly world: World;
  readonly devices: readonly Device[];
  readonly pins = new LinkPins();
  #timed = false;
  readonly #hooks = new Map<string, Hook>();

  constructor(world: World, devices: readonly Device[]) {
    this.world = world;
    this.devices = devices;
  }

  get(kind: HookKind, name: string): Hook {
    const key = `${kind}/${name}`;
    const known = this.#hooks.get(key);
    if (known !== undefined) return known;
    const hook = new Hook(this, kind, name);
    this.#hooks.set(key, hook);
    return hook;
  }

  [Symbol.iterator](): IterableIterator<Hook> {
    return this.#hooks.values();
  }

  /** Every link, by the order in which they were made. */
  get links(): readonly Link[] {
    return [...this].flatMap((hook) => hook.links).sort((a, b) => a.id - b.id);
  }

  /**
   * Whether the time of runs is measured (Link.ns), as the kernel does while bpf_stats is enabled. It costs two calls into
   * JavaScript a run, or a stretch of events of one CPU and a hook with one program, so it is off. Runtime.enableStats()
   */
  get timed(): boolean {
    return this.#timed;
  }
  set timed(timed: boolean) {
    if (timed === this.#timed) return;
    this.#timed = timed;
    this.world.settle();
    this.world.view.setUint32(NULL_GUARD_BYTES + RUNTIME.timed, timed ? 1 : 0, true);
  }

  /** Hooks with links. */
  wanted(): WantedHook[] {
    return [...this]
      .filter((hook) => hook.links.length > 0)
      .map(({ kind, name, address, links }) => ({ kind, name, address, reads: userReading(links) }));
  }

  /** Runs EVENT records that lie in the arena; returns how many ran (World.runEvents). */
  fireBatch(address: number, count: number): number {
    return this.world.runEvents(address, count);
  }
}

const TEXT_READERS: readonly string[] = ["bpf_probe_read_user_str", "bpf_probe_read_str"];
const MEMORY_READERS: readonly string[] = ["bpf_probe_read_user", "bpf_probe_read", "bpf_copy_from_user"];
const OWNER_READERS: readonly string[] = [
  "bpf_get_current_uid_gid",
  "bpf_get_current_task",
  "bpf_get_current_task_btf",
  "bpf_probe_read_kernel",
];
/** Programs that it may go on to read what they like. */
const TAIL_CALL = "bpf_tail_call";

function userReading(links: readonly Link[]): UserReading {
  const called = new Set(links.flatMap(({ program }) => program.manifest.helpers));
  const calls = (names: readonly string[]): boolean => called.has(TAIL_CALL) || names.some((name) => called.has(name));
  // arguments with types may be tasks
  const isTyped = links.some(({ program }) => program.manifest.type === "tracing");
  return { texts: calls(TEXT_READERS), memory: calls(MEMORY_READERS), owner: isTyped || calls(OWNER_READERS) };
}
