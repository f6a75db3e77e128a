/**
 * Where a file makes system calls: `mov $NUMBER,%eax` and `syscall` behind it, with nothing but simple instructions between,
 * whose registers hold the call's arguments. A probe at the `mov` sees them right before the call, in every function that
 * makes it, exported or not, stripped or not.
 *
 *   b8 01 01 00 00   mov $0x101,%eax          the place; the call's second argument is what %rdi holds here
 *   48 89 fe         mov %rdi,%rsi
 *   bf 9c ff ff ff   mov $0xffffff9c,%edi
 *   0f 05            syscall
 *
 * Where the number comes in a register (syscall(2), Go, calls that threads can be cancelled in), at least two moves of whole
 * registers lead to the call, and the last of them is the place.
 */
import type { RegisterName } from "../../../../spec/index.ts";
import { type ElfImage, part } from "./elf.ts";

export interface SystemCallSite {
  /** of the `mov`, in the file */
  readonly offset: number;
  /** or the register that holds it at the place */
  readonly number: number | RegisterName;
  /** by argument: the register that holds it at the place, null where it is not known yet */
  readonly args: readonly (RegisterName | null)[];
}

/** By their number in instructions. */
const NAMES: readonly RegisterName[] = [
  "ax",
  "cx",
  "dx",
  "bx",
  "sp",
  "bp",
  "si",
  "di",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
];
/** In which the kernel finds the arguments: di, si, dx, r10, r8, r9. */
const ARGUMENTS = [7, 6, 2, 10, 8, 9] as const;
const AX = 0;
/** How far before the call the number is looked for. */
const DISTANCE_MAX = 48;
const MOV_BYTES = 5;
/** Files with more code than this are not searched. */
const CODE_BYTES_MAX = 256 << 20;

/** The calls whose numbers `isWanted` takes, and those that may have any. */
export function systemCallSites(image: ElfImage, isWanted: (number: number) => boolean): SystemCallSite[] {
  const sites: SystemCallSite[] = [];
  for (const { executable, offset, fileBytes } of image.segments) {
    if (!executable || fileBytes > CODE_BYTES_MAX) continue;
    const { bytes } = part(image.bytes, offset, fileBytes);
    const code = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let call = code.indexOf(SYSCALL); call >= 0; call = code.indexOf(SYSCALL, call + 1)) {
      const site = siteBefore(code, call) ?? movesBefore(code, call);
      if (site === null || (typeof site.number === "number" && !isWanted(site.number))) continue;
      sites.push({ ...site, offset: offset + site.offset });
    }
  }
  return sites;
}
const SYSCALL = Buffer.from([0x0f, 0x05]);

function siteBefore(code: Buffer, call: number): SystemCallSite | null {
  for (let at = call - MOV_BYTES; at >= Math.max(1, call - DISTANCE_MAX); at--) {
    if (code[at] !== 0xb8 || isPrefix(code[at - 1]!)) continue;
    const number = code.readUInt32LE(at + 1);
    const holds = number > NUMBER_MAX ? null : follow(code, at + MOV_BYTES, call, AX);
    if (holds !== null) return { offset: at, number, args: argumentsOf(holds) };
  }
  return null;
}
const NUMBER_MAX = 1023;

/** With such a byte before it, what looks like the `mov` may be the rest of another instruction. */
const isPrefix = (byte: number): boolean => (byte >= 0x40 && byte <= 0x4f) || byte === 0x66 || byte === 0x0f;

const NUMBER_MOVES = 2;

/** A call behind moves between registers and the stack, the number among them or before them. */
function movesBefore(code: Buffer, call: number): SystemCallSite | null {
  const last = moveBefore(code, call);
  for (let at = last, moves = 1; at !== null && moves < NUMBER_MOVES; moves++) {
    at = moveBefore(code, at);
    if (at === null) return null;
  }
  const holds = last === null ? null : follow(code, last, call, null);
  const number = holds?.[AX] ?? -1;
  if (last === null || holds === null || number < 0) return null;
  return { offset: last, number: NAMES[number]!, args: argumentsOf(holds) };
}

/**
 * Where the move of a whole register begins that ends at `end`: between registers `48 89 d6`, with the stack `4c 8b 4c 24 08`, with
 * other memory `48 8b 72 10`.
 */
function moveBefore(code: Buffer, end: number): number | null {
  const isMove = (at: number): boolean =>
    at >= 0 && (code[at]! & 0xf8) === 0x48 && (code[at + 1] === 0x89 || code[at + 1] === 0x8b);
  if (isMove(end - 3) && code[end - 1]! >= 0xc0) return end - 3;
  const form = (at: number): number => code[at + 2]! & 0xc7;
  if (isMove(end - 4) && form(end - 4) >= 0x40 && form(end - 4) <= 0x47 && form(end - 4) !== 0x44) return end - 4;
  return isMove(end - 5) && form(end - 5) === 0x44 && code[end - 2] === 0x24 ? end - 5 : null;
}

const argumentsOf = (holds: readonly number[]): (RegisterName | null)[] =>
  ARGUMENTS.map((register) => (holds[register]! < 0 ? null : NAMES[holds[register]!]!));

/**
 * Walks simple instructions from `at` to exactly `end`: for each register the one whose value of the start it holds in the end, -1
 * for a new value. Null where another instruction, or one that sets `kept`, is on the way.
 */
function follow(code: Buffer, at: number, end: number, kept: number | null): number[] | null {
  const holds = NAMES.map((_, register) => register);
  while (at < end) {
    const step = decode(code, at);
    if (step === null || (step.target !== null && step.target === kept)) return null;
    if (step.target !== null) holds[step.target] = step.source === null ? -1 : holds[step.source]!;
    at += step.bytes;
  }
  return at === end ? holds : null;
}

interface Instruction {
  readonly bytes: number;
  /** register that it sets, null: none */
  readonly target: number | null;
  /** register that is copied into it, all of it; null: something else */
  readonly source: number | null;
}

/** Moves, address computations and clearing; null for all else. Source: Intel's manual, volume 2. */
function decode(code: Buffer, start: number): Instruction | null {
  const prefix = code[start]!;
  const rex = prefix >= 0x40 && prefix <= 0x4f ? prefix : 0;
  const at = rex === 0 ? start : start + 1;
  const wide = (rex & 8) !== 0;
  const opcode = code[at]!;
  if (opcode >= 0xb8 && opcode <= 0xbf) {
    return { bytes: at - start + 1 + (wide ? 8 : 4), target: (opcode & 7) | ((rex & 1) << 3), source: null };
  }
  const immediate = opcode === 0xc7 ? 4 : 0;
  if (opcode !== 0x89 && opcode !== 0x8b && opcode !== 0x8d && opcode !== 0x31 && opcode !== 0x33 && opcode !== 0xc7) {
    return null;
  }
  const form = code[at + 1]!;
  const isMemory = form < 0xc0;
  const field = ((form >> 3) & 7) | ((rex & 4) << 1);
  const operand = (form & 7) | ((rex & 1) << 3);
  const bytes = at - start + 2 + (isMemory ? addressBytes(form, code[at + 2]!) : 0) + immediate;
  if (opcode === 0x8d) return isMemory ? { bytes, target: field, source: null } : null;
  if (opcode === 0x8b || opcode === 0x33) {
    return { bytes, target: field, source: opcode === 0x8b && !isMemory && wide ? operand : null };
  }
  const source = opcode === 0x89 && wide ? field : null;
  return { bytes, target: isMemory ? null : operand, source };
}

/** Bytes behind the byte that tells the form of an operand in memory: SIB and displacement. */
function addressBytes(form: number, sib: number): number {
  const mode = form >> 6;
  const hasSib = (form & 7) === 4;
  if (mode === 1) return (hasSib ? 1 : 0) + 1;
  if (mode === 2) return (hasSib ? 1 : 0) + 4;
  if ((form & 7) === 5) return 4;
  return hasSib ? ((sib & 7) === 5 ? 5 : 1) : 0;
}
