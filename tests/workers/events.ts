/** Events for programs.ts, laid out in the arena for Crew.run(): they take their turns on the virtual CPUs. */
import type { Runtime } from "../../runtime/index.ts";
import { EVENT } from "../../spec/index.ts";

const CTX_BYTES = 16;

/** Returns the address of the EVENT records. Keys are below `keys`, sequence numbers count up. */
export function placeEvents(runtime: Runtime, count: number, keys: number): number {
  const { arena, idleTask } = runtime.world;
  const hook = runtime.hooks.get("tracepoint", "test/event").address;
  const contexts = arena.allocate(count * CTX_BYTES, 64);
  const events = arena.allocate(count * EVENT.bytes, 64);
  for (let cpu = 0; cpu < arena.cpus; cpu++) arena.cpu(cpu);
  const { view } = arena;
  for (let n = 0; n < count; n++) {
    const ctx = contexts + n * CTX_BYTES;
    const at = events + n * EVENT.bytes;
    view.setUint32(ctx + 8, (n * 7) % keys, true);
    view.setUint32(ctx + 12, n, true);
    view.setUint32(at + EVENT.ctx, ctx, true);
    view.setUint32(at + EVENT.cpu, arena.cpu(n % arena.cpus), true);
    view.setBigUint64(at + EVENT.time, BigInt(n), true);
    view.setUint32(at + EVENT.task, idleTask, true);
    view.setUint32(at + EVENT.hook, hook, true);
    view.setUint32(at + EVENT.size, CTX_BYTES, true);
  }
  return events;
}
