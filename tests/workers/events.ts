/** Events for programs.ts, laid out in the arena for Crew.run(): they take their turns on the virtual CPUs. */
import type { Runtime } from "../../runtime/index.ts";
import { EVENT } from "../../spec/index.ts";

const CTX_BYTES = 16;

/** What an event's payload holds. */
export interface Payload {
  readonly key: number;
  readonly number: number;
}

/** Returns the address of the EVENT records, of which the n-th is of CPU n % cpus and holds what `payload` says. */
export function placeEvents(runtime: Runtime, count: number, payload: (n: number) => Payload): number {
  const { arena, idleTask } = runtime.world;
  const hook = runtime.hooks.get("tracepoint", "test/event").address;
  const contexts = arena.allocate(count * CTX_BYTES, 64);
  const events = arena.allocate(count * EVENT.bytes, 64);
  for (let cpu = 0; cpu < arena.cpus; cpu++) arena.cpu(cpu);
  const { view } = arena;
  for (let n = 0; n < count; n++) {
    const ctx = contexts + n * CTX_BYTES;
    const at = events + n * EVENT.bytes;
    writePayload(view, ctx, payload(n));
    view.setUint32(at + EVENT.ctx, ctx, true);
    view.setUint32(at + EVENT.cpu, arena.cpu(n % arena.cpus), true);
    view.setBigUint64(at + EVENT.time, BigInt(n), true);
    view.setUint32(at + EVENT.task, idleTask, true);
    view.setUint32(at + EVENT.hook, hook, true);
    view.setUint32(at + EVENT.size, CTX_BYTES, true);
  }
  return events;
}

/** Gives the events at `events` other payloads. */
export function changeEvents(runtime: Runtime, events: number, count: number, payload: (n: number) => Payload): void {
  const { view } = runtime.world;
  for (let n = 0; n < count; n++)
    writePayload(view, view.getUint32(events + n * EVENT.bytes + EVENT.ctx, true), payload(n));
}

function writePayload(view: DataView, ctx: number, { key, number }: Payload): void {
  view.setUint32(ctx + 8, key, true);
  view.setUint32(ctx + 12, number, true);
}
