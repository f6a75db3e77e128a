/** EVENT records as TypeScript makes them, for test runs and for hooks that an embedder fires. */
import { EVENT, EVENT_FLAG } from "../spec/index.ts";

export interface EventFields {
  /** addresses: of the ctx, the CPU block, the TASK and the HOOK (0: none) */
  readonly ctx: number;
  readonly cpu: number;
  readonly task: number;
  readonly hook: number;
  readonly ctxBytes: number;
  /** undefined: the machine's clock, read anew whenever a program asks */
  readonly timeNs: bigint | undefined;
  /** further bits of EVENT_FLAG; default none */
  readonly flags?: number | undefined;
  /** address of its call chain; default: none is known */
  readonly chain?: number | undefined;
}

export function writeEvent(view: DataView, address: number, event: EventFields): void {
  view.setUint32(address + EVENT.ctx, event.ctx, true);
  view.setUint32(address + EVENT.cpu, event.cpu, true);
  view.setBigUint64(address + EVENT.time, event.timeNs ?? 0n, true);
  view.setUint32(address + EVENT.task, event.task, true);
  view.setUint32(address + EVENT.hook, event.hook, true);
  view.setUint32(address + EVENT.size, event.ctxBytes, true);
  const clock = event.timeNs === undefined ? EVENT_FLAG.liveClock : 0;
  view.setUint32(address + EVENT.flags, (event.flags ?? 0) | (event.chain ?? 0) | clock, true);
}
