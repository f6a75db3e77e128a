/** Contexts that are bytes as they stand: raw tracepoint arguments, tracepoint payloads, the memory of raw programs. */
import { CTX } from "../../spec/index.ts";
import {
  type ContextProgram,
  type ContextRoom,
  type PreparedContext,
  refuse,
  requireLength,
  type TestRunInput,
  wantsContext,
} from "./context.ts";

/** Room behind contexts of the event's own length: a verified program reads no further than this. */
const LARGEST_TRACEPOINT_BYTES = CTX.tracepoint.open.to;
const LARGEST_RAW_TRACEPOINT_BYTES = CTX.bpf_raw_tracepoint_args.open.to;
const ALIGNMENT = 8;

/** Kernel: bpf_prog_test_run_raw_tp(). It takes arguments only, and runs once. */
export function prepareRawTracepoint(room: ContextRoom, program: ContextProgram, input: TestRunInput): PreparedContext {
  if (input.dataIn !== undefined) refuse("EINVAL", "a raw tracepoint takes no data");
  if (input.ctxOut === true) refuse("EINVAL", "a raw tracepoint gives no context back");
  if ((input.repeat ?? 1) > 1) refuse("EINVAL", "a raw tracepoint is not repeated");
  const args = input.ctxIn ?? new Uint8Array(0);
  requireLength(args, program.ctxBytes ?? 0, LARGEST_RAW_TRACEPOINT_BYTES);
  const address = room.allocate(LARGEST_RAW_TRACEPOINT_BYTES, ALIGNMENT);
  room.bytes.set(args, address);
  return { address, finish: () => ({ dataOut: null, ctxOut: null }) };
}

/** The kernel test-runs no tracepoints (ENOTSUPP). Here the payload is the context, so it can be given. */
export function prepareTracepoint(room: ContextRoom, program: ContextProgram, input: TestRunInput): PreparedContext {
  if (input.dataIn !== undefined) refuse("EINVAL", "a tracepoint takes no data; its payload is the context");
  const payload = input.ctxIn ?? new Uint8Array(0);
  requireLength(payload, program.ctxBytes ?? 0, Number.POSITIVE_INFINITY);
  const address = room.allocate(Math.max(payload.length, LARGEST_TRACEPOINT_BYTES), ALIGNMENT);
  room.bytes.set(payload, address);
  const ctxOut = (): Uint8Array | null =>
    wantsContext(input) ? room.bytes.slice(address, address + payload.length) : null;
  return { address, finish: () => ({ dataOut: null, ctxOut: ctxOut() }) };
}

/** r1 points to the data; where there is none it is 0. */
export function prepareRaw(room: ContextRoom, program: ContextProgram, input: TestRunInput): PreparedContext {
  if (input.ctxIn !== undefined || input.ctxOut === true) refuse("EINVAL", "a raw program has no context, only data");
  const memory = input.dataIn ?? new Uint8Array(0);
  const wanted = program.memoryBytes ?? memory.length;
  if (memory.length !== wanted) {
    refuse("EINVAL", `the program was compiled for ${wanted} bytes of memory and is given ${memory.length}`);
  }
  if (memory.length === 0) return { address: 0, finish: () => ({ dataOut: new Uint8Array(0), ctxOut: null }) };
  const address = room.allocate(memory.length, ALIGNMENT);
  room.bytes.set(memory, address);
  return {
    address,
    finish: () => ({ dataOut: room.bytes.slice(address, address + memory.length), ctxOut: null }),
  };
}
