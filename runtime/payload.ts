/**
 * What a hook is fired with, as JavaScript has it, to the bytes of a ctx: arguments in order, registers by name. Bytes are
 * taken as they stand. Not here: laying them out in the arena (test-run/).
 */
import { UsageError } from "../base/index.ts";
import {
  type AnyRegisterName,
  type Architecture,
  type HookKind,
  hookSpec,
  type RegisterFile,
  registerFile,
} from "../spec/index.ts";
import { KernelObject } from "./kernel/index.ts";

/** Numbers are taken modulo 2^64; a kernel object stands for its pointer; null and undefined are 0. */
export type HookArgument = number | bigint | boolean | KernelObject | null | undefined;

/** Registers of the target's machine by name (x86-64, arm64), or a function's parameters in order and its result. */
export interface RegisterValues extends Partial<Readonly<Record<AnyRegisterName, HookArgument>>> {
  readonly args?: readonly HookArgument[];
  readonly result?: HookArgument;
  /** perf events only */
  readonly samplePeriod?: bigint;
  readonly addr?: HookArgument;
}

export type Payload = Uint8Array | readonly HookArgument[] | RegisterValues;

const WORD_BYTES = 8;
/** An event's bytes are copied before anything runs, so that all can be made in the same place. */
const SCRATCH = new ArrayBuffer(1024);
const SCRATCH_VIEW = new DataView(SCRATCH);

function scratch(bytes: number): { readonly bytes: Uint8Array; readonly view: DataView } {
  if (bytes <= SCRATCH.byteLength) return { bytes: new Uint8Array(SCRATCH, 0, bytes), view: SCRATCH_VIEW };
  const made = new Uint8Array(bytes);
  return { bytes: made, view: new DataView(made.buffer) };
}

export interface PayloadOptions {
  readonly widths?: readonly number[] | undefined;
  readonly architecture?: Architecture | undefined;
}

/**
 * What it returns holds until it is called again. `widths`: bytes of each argument, where they are known: integers are cut to them and zero-extended, signed ones too.
 * Throws UsageError for what hooks of this kind are not fired with.
 */
export function payloadBytes(
  kind: HookKind,
  payload: Payload,
  { widths, architecture }: PayloadOptions = {},
): Uint8Array {
  if (payload instanceof Uint8Array) return payload;
  const { context } = hookSpec(kind);
  if (context === "arguments" && isArguments(payload)) return words(payload, widths);
  const file = registerFile(architecture);
  if (context === "registers") return registers(file, isArguments(payload) ? { args: payload } : payload);
  if (context === "perfEvent" && !isArguments(payload)) {
    const { samplePeriod = 0n, addr = 0, ...rest } = payload;
    registers(file, rest);
    const { bytes, view } = scratch(file.sampledBytes + 2 * WORD_BYTES);
    writeWord(view, file.sampledBytes, samplePeriod);
    writeWord(view, file.sampledBytes + WORD_BYTES, addr);
    return bytes;
  }
  throw new UsageError("USAGE", `hooks of kind ${kind} are fired with ${WANTED[context]}`);
}

const WANTED = {
  payload: "the bytes of the event",
  arguments: "an array of arguments, or their bytes",
  registers: "an array of arguments, registers by name, or the bytes of struct pt_regs",
  perfEvent: "registers by name, or the bytes of struct bpf_perf_event_data",
  packet: "the bytes of a packet",
  memory: "bytes",
  iterator: "nothing: a link of theirs is read",
} as const;

const isArguments = (payload: readonly HookArgument[] | RegisterValues): payload is readonly HookArgument[] =>
  Array.isArray(payload);

function words(values: readonly HookArgument[], widths: readonly number[] = []): Uint8Array {
  const { bytes, view } = scratch(values.length * WORD_BYTES);
  for (let index = 0; index < values.length; index++) {
    writeWord(view, index * WORD_BYTES, values[index], Math.min(WORD_BYTES, widths[index] ?? WORD_BYTES));
  }
  return bytes;
}

/** `bytes` of the value, zeros above. Numbers, which most are, become no bigint on the way. */
function writeWord(view: DataView, at: number, value: HookArgument, bytes: number = WORD_BYTES): void {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || bytes === 3 || (bytes > 4 && bytes < WORD_BYTES)) {
    view.setBigUint64(at, BigInt.asUintN(8 * bytes, word(value)), true);
    return;
  }
  const low = value >>> 0;
  view.setUint32(at, bytes >= 4 ? low : low & (bytes === 2 ? 0xffff : 0xff), true);
  view.setUint32(at + 4, bytes === WORD_BYTES ? Math.floor(value / 2 ** 32) : 0, true);
}

/** As 64 bits, unsigned. Throws UsageError for what is no whole number. */
export function word(value: HookArgument): bigint {
  if (value instanceof KernelObject) return value.pointer;
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new UsageError("USAGE", `an argument is ${value}: a whole number is needed`);
  }
  return BigInt.asUintN(64, BigInt(value ?? 0));
}

function registers(
  { registers, bytes: size, parameters, result: resultRegister }: RegisterFile,
  { args = [], result, ...named }: RegisterValues,
): Uint8Array {
  const { bytes, view } = scratch(size);
  bytes.fill(0);
  const set = (name: string, value: HookArgument): void => writeWord(view, registers[name]!, value);
  if (args.length > parameters.length) {
    throw new UsageError("USAGE", `${args.length} arguments: ${parameters.length} fit into registers`);
  }
  for (const [index, value] of args.entries()) set(parameters[index]!, value);
  if (result !== undefined) set(resultRegister, result);
  for (const [name, value] of Object.entries(named)) {
    if (!Object.hasOwn(registers, name)) throw new UsageError("USAGE", `there is no register ${name}`);
    set(name, value as HookArgument);
  }
  return bytes;
}
