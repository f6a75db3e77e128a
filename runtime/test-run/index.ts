/** Which program type's context is laid out how. Types that bpfjit cannot run yet are refused before, when they are linked. */
import { UnsupportedError } from "../../base/index.ts";
import type { ProgramTypeName } from "../../spec/index.ts";
import type { PrepareContext } from "./context.ts";
import { prepareArguments, preparePerfEvent, prepareRegisters } from "./function.ts";
import { prepareRaw, prepareRawTracepoint, prepareTracepoint } from "./plain.ts";
import { prepareSkb } from "./skb.ts";
import { prepareXdp } from "./xdp.ts";

const PREPARATIONS: Partial<Readonly<Record<ProgramTypeName, PrepareContext>>> = {
  raw: prepareRaw,
  socket_filter: prepareSkb,
  sched_cls: prepareSkb,
  tracepoint: prepareTracepoint,
  raw_tracepoint: prepareRawTracepoint,
  raw_tracepoint_writable: prepareRawTracepoint,
  kprobe: prepareRegisters,
  perf_event: preparePerfEvent,
  tracing: prepareArguments,
  xdp: prepareXdp,
};

export function contextPreparation(type: ProgramTypeName): PrepareContext {
  const prepare = PREPARATIONS[type];
  if (prepare !== undefined) return prepare;
  throw new UnsupportedError("UNSUPPORTED_PROGRAM_TYPE", type, `programs of type ${type} cannot be run`);
}
