/**
 * Where a file makes system calls: `mov $NUMBER,%eax` and `syscall` behind it, with nothing but simple instructions between,
 * whose registers hold the call's arguments. A probe at the `mov` sees them right before the call, in every function that
 * makes it, exported or not, stripped or not. What is computed otherwise (a number that comes in a register) is not found.
 *
 *   b8 01 01 00 00   mov $0x101,%eax          the place; the call's second argument is what %rdi holds here
 *   48 89 fe         mov %rdi,%rsi
 *   bf 9c ff ff ff   mov $0xffffff9c,%edi
 *   0f 05            syscall
 */
import type { RegisterName } from "../../../../spec/index.ts";
import { type ElfImage, part } from "./elf.ts";

export interface SystemCallSite {
  /** of the `mov`, in the file */
  readonly offset: number;
  readonly number: number;
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

/** The calls whose numbers `isWanted` takes. */
export function systemCallSites(image: ElfImage, isWanted: (number: number) => boolean): SystemCallSite[] {
  const sites: SystemCallSite[] = [];
  for (const { executable, offset, fileBytes } of image.segments) {
    if (!executable || fileBytes > CODE_BYTES_MAX) continue;
    const { bytes } = part(image.bytes, offset, fileBytes);
    const code = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let call = code.indexOf(SYSCALL); call >= 0; call = code.indexOf(SYSCALL, call + 1)) {
      const site = siteBefore(code, call);
      if (site !== null && isWanted(site.number)) sites.push({ ...site, offset: offset + site.offset });
    }
  }
  return sites;
}
const SYSCALL = Buffer.from([0x0f, 0x05]);

function siteBefore(code: Buffer, call: number): SystemCallSite | null {
  for (let at = call - MOV_BYTES; at >= Math.max(1, call - DISTANCE_MAX); at--) {
    if (code[at] !== 0xb8 || isPrefix(code[at - 1]!)) continue;
    const number = code.readUInt32LE(at + 1);
    const args = number > NUMBER_MAX ? null : follow(code, at + MOV_BYTES, call);
    if (args !== null) return { offset: at, number, args };
  }
  return null;
}
const NUMBER_MAX = 1023;

/** With such a byte before it, what looks like the `mov` may be the rest of another instruction. */
const isPrefix = (byte: number): boolean => (byte >= 0x40 && byte <= 0x4f) || byte === 0x66 || byte === 0x0f;

/**
 * Walks simple instructions from `at` to exactly `end`: for each argument the register that holds it at the start. Null where
 * another instruction, or one that sets %eax, is on the way.
 */
function follow(code: Buffer, at: number, end: number): (RegisterName | null)[] | null {
  // by register: which one's value of the start it holds, -1 a new value
  const holds = NAMES.map((_, register) => register);
  while (at < end) {
    const step = decode(code, at);
    if (step === null || step.target === AX) return null;
    if (step.target !== null) holds[step.target] = step.source === null ? -1 : holds[step.source]!;
    at += step.bytes;
  }
  if (at !== end) return null;
  return ARGUMENTS.map((register) => (holds[register]! < 0 ? null : NAMES[holds[register]!]!));
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
