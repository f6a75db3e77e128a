/** A world for sources under test: an arena that only hands out, and blocks that hold nothing but their CPU's number. */

import { KernelSpace } from "../../runtime/kernel/index.ts";
import type { EventSource, SourceWorld, WantedHook } from "../../runtime/source.ts";
import { CPU, EVENT, NULL_GUARD_BYTES, TASK } from "../../spec/index.ts";

export interface TestWorld extends SourceWorld {
  /** bytes that allocate() has handed out */
  readonly allocated: number;
}

export function makeWorld(cpus: number, maximumPages = 4096): TestWorld {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: maximumPages, shared: true });
  let next = NULL_GUARD_BYTES;
  const allocate = (bytes: number, alignment = 8): number => {
    const address = Math.ceil(next / alignment) * alignment;
    next = address + bytes;
    const missing = Math.ceil((next - memory.buffer.byteLength) / 65_536);
    if (missing > 0) memory.grow(missing);
    return address;
  };
  const blocks = Array.from({ length: cpus }, (_, id) => {
    const address = allocate(CPU.bytes);
    new DataView(memory.buffer).setUint32(address + CPU.id, id, true);
    return address;
  });
  return {
    get bytes() {
      return new Uint8Array(memory.buffer);
    },
    get view() {
      return new DataView(memory.buffer);
    },
    get allocated() {
      return next - NULL_GUARD_BYTES;
    },
    cpus,
    cpuBlock: (id) => {
      const block = blocks[id];
      if (block === undefined) throw new Error(`no CPU ${id}`);
      return block;
    },
    allocate,
    free: () => {},
    idleTask: allocate(TASK.bytes),
    kernel: new KernelSpace({
      get bytes() {
        return new Uint8Array(memory.buffer);
      },
      get view() {
        return new DataView(memory.buffer);
      },
      get u32() {
        return new Uint32Array(memory.buffer);
      },
      allocate,
      free: () => {},
    }),
    currentEvent: () => 0,
    signal: new AbortController().signal,
  };
}

/** An event as a program would see it. */
export interface SeenEvent {
  readonly hook: string;
  readonly cpu: number;
  readonly timeNs: bigint;
  readonly pid: number;
  readonly tgid: number;
  readonly comm: string;
  /** the ctx: a copy */
  readonly payload: Uint8Array;
}

export interface Drained {
  readonly events: readonly SeenEvent[];
  /** what nextBatch() threw in the end */
  readonly error: unknown;
}

/** Opens the source for all of its tracepoints, or for `names`, and reads it to its end. */
export async function drain(source: EventSource, world: SourceWorld, names?: readonly string[]): Promise<Drained> {
  const wanted: WantedHook[] = (names ?? source.events!.map((event) => event.name)).map((name, index) => ({
    kind: "tracepoint",
    name,
    address: index + 1,
  }));
  const events: SeenEvent[] = [];
  try {
    await source.open(world, wanted);
    for (;;) {
      const batch = await source.nextBatch();
      if (batch === null) return { events, error: null };
      for (let index = 0; index < batch.count; index++) {
        events.push(readEvent(world, batch.address + index * EVENT.bytes, wanted));
      }
    }
  } catch (error) {
    return { events, error };
  } finally {
    await source.close();
  }
}

function readEvent(world: SourceWorld, address: number, wanted: readonly WantedHook[]): SeenEvent {
  const { bytes, view } = world;
  const ctx = view.getUint32(address + EVENT.ctx, true);
  const task = view.getUint32(address + EVENT.task, true);
  const comm = bytes.slice(task + TASK.comm, task + TASK.comm + 16);
  return {
    hook: wanted[view.getUint32(address + EVENT.hook, true) - 1]!.name,
    cpu: view.getUint32(view.getUint32(address + EVENT.cpu, true) + CPU.id, true),
    timeNs: view.getBigUint64(address + EVENT.time, true),
    pid: view.getInt32(task + TASK.pid, true),
    tgid: view.getInt32(task + TASK.tgid, true),
    comm: new TextDecoder().decode(comm.subarray(0, comm.indexOf(0))),
    payload: bytes.slice(ctx, ctx + view.getUint32(address + EVENT.size, true)),
  };
}
