/**
 * How a kernel's BTF describes its raw tracepoints: `btf_trace_NAME` is a typedef of a pointer to the function that takes the
 * arguments, whose first parameter is the kernel's own; `__bpf_trace_NAME` is the function that calls the programs, which
 * names the parameters.
 */
import type { Btf } from "./btf.ts";
import { type Prototype, prototypeOf } from "./prototype.ts";

export const TRACEPOINT_TYPE_PREFIX = "btf_trace_";

export const tracepointFunction = (name: string): string => `__bpf_trace_${name}`;

/** Id of the typedef; null: there is no such tracepoint. */
export const findTracepoint = (btf: Btf, name: string): number | null =>
  btf.findByName(TRACEPOINT_TYPE_PREFIX + name, "typedef");

/** The same of a module's own, not those of the BTF that it is split from. */
export const findOwnTracepoint = (btf: Btf, name: string): number | null =>
  btf.findOwnByName(TRACEPOINT_TYPE_PREFIX + name, "typedef");

/** With the names of the parameters where BTF has them. `id`: of the typedef */
export function tracepointPrototype(btf: Btf, id: number, name: string): Prototype | null {
  const caller = btf.findByName(tracepointFunction(name), "func");
  return (caller === null ? null : prototypeOf(btf, caller, "func")) ?? prototypeOf(btf, id, "ptr");
}
