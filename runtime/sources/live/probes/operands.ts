/**
 * Operands of a USDT probe as arguments of its event. Registers come with pt_regs; what an operand in memory holds is fetched
 * when the probe is hit, for programs read it by its address (usdt.bpf.h: 8 bytes, whatever its size).
 */
import type { RegisterName } from "../../../../spec/index.ts";
import { REGISTERS } from "../../../../spec/index.ts";
import type { UsdtOperand } from "../../../usdt.ts";
import type { FetchArgument } from "./definition.ts";

/** Where an operand in memory lies: at a register's value and an offset. */
export interface OperandMemory {
  readonly base: RegisterName;
  readonly offset: bigint;
}

/** What programs read of an operand in memory. */
export const OPERAND_BYTES = 8;

/** Those that a fetch argument can reach: one with an index register needs a sum that it cannot tell. */
export function operandMemory(operands: readonly UsdtOperand[]): OperandMemory[] {
  const places = new Map<string, OperandMemory>();
  for (const { from } of operands) {
    if (from.kind !== "memory" || from.index !== null) continue;
    places.set(`${from.base} ${from.offset}`, { base: from.base, offset: from.offset });
  }
  return [...places.values()];
}

export const memoryArguments = (places: readonly OperandMemory[]): FetchArgument[] =>
  places.map(({ base, offset }, index): FetchArgument => `m${index}=${dereference(`%${base}`, offset)}:x64`);

/** How to get at the pointers among the operands: registers and memory of 8 bytes. */
export const pointerFetches = (operands: readonly UsdtOperand[]): string[] =>
  operands.flatMap(({ bytes, from }) => {
    if (bytes !== 8) return [];
    if (from.kind === "register") return [`%${from.register}`];
    return from.kind === "memory" && from.index === null ? [dereference(`%${from.base}`, from.offset)] : [];
  });

/** `+8(%di)`: what lies at that distance. */
export const dereference = (fetch: string, offset: bigint | number): string =>
  `${offset < 0 ? "-" : "+"}${offset < 0 ? -offset : offset}(${fetch})`;

/** Address of an operand in memory; `ctx` is the address of pt_regs. */
export function operandAddress(view: DataView, ctx: number, { base, offset }: OperandMemory): bigint {
  return BigInt.asUintN(64, view.getBigUint64(ctx + REGISTERS[base], true) + offset);
}
