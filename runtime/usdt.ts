/**
 * Arguments of USDT probes: what a note of the probe says of them (`-4@-20(%rbp) 8@%rax 4@$5` on x86-64, `-4@[sp, 20] 8@x0 4@5`
 * on arm64), and the record that programs built with libbpf's usdt.bpf.h find their operands by.
 * Source: SystemTap's wiki (UserSpaceProbeImplementation); struct __bpf_usdt_spec of libbpf, in which
 * operands with an index register have a place from 1.7 on.
 */
import { UsageError } from "../base/index.ts";
import { type Architecture, REGISTERS, type RegisterName, registerFile } from "../spec/index.ts";
import type { Value } from "./values/index.ts";

/** `Register`: names of the machine's registers. */
export interface UsdtOperand<Register extends string = RegisterName> {
  /** 1, 2, 4 or 8 */
  readonly bytes: number;
  readonly signed: boolean;
  readonly from:
    | { readonly kind: "constant"; readonly value: bigint }
    | { readonly kind: "register"; readonly register: Register }
    /** memory at base + index × scale + offset */
    | {
        readonly kind: "memory";
        readonly base: Register;
        readonly offset: bigint;
        readonly index: { readonly register: Register; readonly shift: number } | null;
      };
}

/** Of struct __bpf_usdt_spec. */
const MOST_ARGUMENTS = 12;
/** enum __bpf_usdt_arg_type */
const KIND = { constant: 0, register: 1, memory: 2, indexed: 3 } as const;

/** Blanks are part of an operand only in brackets. */
const OPERANDS = /(?:\[[^\]]*\]|\S)+/g;
const OPERAND = /^(-?)([1248])@(.+)$/;
const ARM64_CONSTANT = /^#?(-?(?:0x[0-9a-f]+|\d+))$/i;
const ARM64_MEMORY = /^\[\s*(\w+)\s*(?:,\s*#?(-?(?:0x[0-9a-f]+|\d+))\s*)?\]$/i;
const CONSTANT = /^\$(-?(?:0x[0-9a-f]+|\d+))$/i;
const REGISTER = /^%(\w+)$/;
const MEMORY = /^(-?(?:0x[0-9a-f]+|\d+))?\(%(\w+)(?:,%(\w+)(?:,([1248]))?)?\)$/i;

/** Throws UsageError for what is no operand of x86-64, and for more than 12. */
export const parseUsdtArguments = (text: string): UsdtOperand[] => parseOperands(text, parsePlace);

/** The same of the machine that programs were prepared for. */
export const parseUsdtOperands = (text: string, architecture: Architecture | undefined): UsdtOperand<string>[] =>
  architecture === "arm64" ? parseOperands(text, parseArm64Place) : parseUsdtArguments(text);

type ParsePlace<Register extends string> = (text: string, place: string) => UsdtOperand<Register>["from"];

function parseOperands<Register extends string>(text: string, parse: ParsePlace<Register>): UsdtOperand<Register>[] {
  const operands = text.match(OPERANDS)?.map((operand) => parseOperand(operand, parse)) ?? [];
  if (operands.length > MOST_ARGUMENTS) {
    throw new UsageError("USAGE", `a probe has ${operands.length} arguments, ${MOST_ARGUMENTS} at most`);
  }
  return operands;
}

function parseOperand<Register extends string>(text: string, parse: ParsePlace<Register>): UsdtOperand<Register> {
  const [, minus, bytes, place] = OPERAND.exec(text) ?? [];
  if (place === undefined) throw unknown(text);
  return { bytes: Number(bytes), signed: minus === "-", from: parse(text, place) };
}

function parseArm64Place(text: string, place: string): UsdtOperand<string>["from"] {
  const constant = ARM64_CONSTANT.exec(place);
  if (constant !== null) return { kind: "constant", value: integer(constant[1]!) };
  const [, base, offset = "0"] = ARM64_MEMORY.exec(place) ?? [];
  if (base !== undefined) {
    return { kind: "memory", base: arm64Register(text, base), offset: integer(offset), index: null };
  }
  return { kind: "register", register: arm64Register(text, place) };
}

/** `w3` is the lower half of `x3`. */
function arm64Register(text: string, name: string): string {
  const full = name.replace(/^w(?=\d+$)/, "x");
  if (Object.hasOwn(registerFile("arm64").registers, full) && full !== "pc" && full !== "pstate") return full;
  throw new UsageError("USAGE", `"${text}" is no argument of a probe on arm64`);
}

function parsePlace(text: string, place: string): UsdtOperand["from"] {
  const constant = CONSTANT.exec(place);
  if (constant !== null) return { kind: "constant", value: integer(constant[1]!) };
  const register = REGISTER.exec(place);
  if (register !== null) return { kind: "register", register: registerOf(text, register[1]!) };
  const memory = MEMORY.exec(place);
  if (memory === null) throw unknown(text);
  const [, offset = "0", base, index, scale = "1"] = memory;
  return {
    kind: "memory",
    base: registerOf(text, base!),
    offset: integer(offset),
    index: index === undefined ? null : { register: registerOf(text, index), shift: Math.log2(Number(scale)) },
  };
}

const integer = (text: string): bigint => (text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text));
const unknown = (text: string): UsageError => new UsageError("USAGE", `"${text}" is no argument of a probe on x86-64`);

/** Names of parts of a register: `eax`, `ax`, `al`, `r8d`, `sil`. */
function registerOf(text: string, name: string): RegisterName {
  const wide = /^r(\d+)[dwb]?$/.exec(name);
  const short = wide === null ? name.replace(/^[re]/, "").replace(/l$/, "") : `r${wide[1]}`;
  const full = short.length === 1 ? `${short}x` : short;
  if (!Object.hasOwn(REGISTERS, full)) throw unknown(text);
  return full as RegisterName;
}

/** The value for `__bpf_usdt_specs`, by the names of its members; libbpf's versions lay them out differently. */
export function usdtSpec(operands: readonly UsdtOperand<string>[], cookie: bigint, architecture?: Architecture): Value {
  const { registers } = registerFile(architecture);
  return {
    args: operands.map(({ bytes, signed, from }) => ({
      arg_signed: signed ? 1 : 0,
      arg_bitshift: 64 - 8 * bytes,
      ...placeOf(from, registers),
    })),
    usdt_cookie: BigInt.asUintN(64, cookie),
    arg_cnt: operands.length,
  };
}

function placeOf(
  from: UsdtOperand<string>["from"],
  registers: Readonly<Record<string, number>>,
): { readonly [member: string]: Value } {
  switch (from.kind) {
    case "constant":
      return { arg_type: KIND.constant, val_off: BigInt.asUintN(64, from.value) };
    case "register":
      return { arg_type: KIND.register, reg_off: registers[from.register]! };
    case "memory": {
      const place = { val_off: BigInt.asUintN(64, from.offset), reg_off: registers[from.base]! };
      if (from.index === null) return { arg_type: KIND.memory, ...place };
      const { register, shift } = from.index;
      return { arg_type: KIND.indexed, ...place, idx_reg_off: registers[register]!, scale_bitshift: shift };
    }
  }
}
