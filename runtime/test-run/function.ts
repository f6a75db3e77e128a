/**
 * Contexts of programs that run at a function: its arguments, 8 bytes each, or the registers. Before them lies what the
 * bpf_get_func_*() helpers read (CTX_HEAD). The kernel test-runs none of these; here their context can be given.
 */
import { CTX_HEAD, ctxSpec, HOOKS, LIMITS, type RegisterFile, registerFile, takesProgram } from "../../spec/index.ts";
import {
  type ContextProgram,
  type ContextRoom,
  type PreparedContext,
  refuse,
  requireLength,
  type TestRunInput,
  wantsContext,
} from "./context.ts";

const WORD_BYTES = 8;
const ALIGNMENT = 16;
/** Of a function, and its result. */
const LARGEST_ARGUMENTS_BYTES = (LIMITS.functionArguments + 1) * WORD_BYTES;

/** Typed raw tracepoints, entries and exits of functions. */
export function prepareArguments(room: ContextRoom, program: ContextProgram, input: TestRunInput): PreparedContext {
  const given = requireContext(program, input, LARGEST_ARGUMENTS_BYTES);
  if (given.length % WORD_BYTES !== 0)
    refuse("EINVAL", `${given.length} bytes are no arguments of ${WORD_BYTES} bytes`);
  const count = Math.max(0, given.length / WORD_BYTES - (seesResult(program) ? 1 : 0));
  return place(room, input, given, LARGEST_ARGUMENTS_BYTES, 0n, count);
}

/** Probes of functions, of the kernel or of user programs. */
export function prepareRegisters(room: ContextRoom, program: ContextProgram, input: TestRunInput): PreparedContext {
  const file = registerFile(program.architecture);
  const given = requireContext(program, input, file.bytes);
  return place(room, input, given, file.bytes, instructionPointer(file, given), 0);
}

export function preparePerfEvent(room: ContextRoom, program: ContextProgram, input: TestRunInput): PreparedContext {
  const bytes = ctxSpec("bpf_perf_event_data", program.architecture).size!;
  const given = requireContext(program, input, bytes);
  return place(room, input, given, bytes, instructionPointer(registerFile(program.architecture), given), 0);
}

/** Whether what the function returned stands behind its arguments. */
const seesResult = ({ type, attachType }: ContextProgram): boolean =>
  HOOKS.some((spec) => "result" in spec && takesProgram(spec, type, attachType));

function instructionPointer({ registers, address }: RegisterFile, given: Uint8Array): bigint {
  const at = registers[address]!;
  if (given.length < at + WORD_BYTES) return 0n;
  return new DataView(given.buffer, given.byteOffset).getBigUint64(at, true);
}

function requireContext(program: ContextProgram, input: TestRunInput, most: number): Uint8Array {
  if (input.dataIn !== undefined) refuse("EINVAL", "a program that runs at a function takes a context, no data");
  const given = input.ctxIn ?? new Uint8Array(0);
  requireLength(given, program.ctxBytes ?? 0, most);
  return given;
}

function place(
  room: ContextRoom,
  input: TestRunInput,
  given: Uint8Array,
  bytes: number,
  functionAddress: bigint,
  argumentCount: number,
): PreparedContext {
  const head = room.allocate(CTX_HEAD.bytes + bytes, ALIGNMENT);
  const address = head + CTX_HEAD.bytes;
  room.view.setBigUint64(head + CTX_HEAD.address, functionAddress, true);
  room.view.setBigUint64(head + CTX_HEAD.arguments, BigInt(argumentCount), true);
  room.bytes.set(given, address);
  const ctxOut = (): Uint8Array | null =>
    wantsContext(input) ? room.bytes.slice(address, address + given.length) : null;
  return { address, finish: () => ({ dataOut: null, ctxOut: ctxOut() }) };
}
