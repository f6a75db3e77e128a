/** Forms of instruction: what coverage is counted by. A form is the printed instruction with its registers and numbers left out. */
import { type Insn, parseAssembly, printInsn } from "../../compiler/asm/index.ts";

/** `r3 += 7` → `r += N`; `*(u32 *)(r1 - 4) = r2` → `*(u32 *)(r + N) = r`. */
export function formOf(insns: readonly Insn[], index: number): string {
  return printInsn(insns, index)
    .replace(/\b([rw])\d+\b/g, "$1")
    .replace(/(?<![\w])[-+]?(?:0x[0-9a-f]+|\d+)\b/g, "N")
    .replace("r - N", "r + N")
    .replace(/\bpcN/, "pc");
}

const SIZES = ["8", "16", "32", "64"];
const BINARY = ["+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "%=", "^=", "=", "s>>=", "s/=", "s%="];
const COMPARE = ["==", ">", ">=", "&", "!=", "s>", "s>=", "<", "<=", "s<", "s<="];

/** One example of each form that random programs have: all of RFC 9669 but helper calls, packet access and callx. */
const EXAMPLES = [
  ...["r", "w"].flatMap((x) => [
    ...BINARY.flatMap((op) => [`${x}3 ${op} ${x}4`, `${x}3 ${op} 5`]),
    `${x}3 = -${x}3`,
    `${x}3 = (s8)${x}4`,
    `${x}3 = (s16)${x}4`,
    ...COMPARE.flatMap((op) => [`if ${x}3 ${op} ${x}4 goto +1`, `if ${x}3 ${op} 5 goto +1`]),
  ]),
  "r3 = (s32)r4",
  "r3 = 5 ll",
  ...["be", "le", "bswap"].flatMap((op) => ["16", "32", "64"].map((bits) => `r3 = ${op}${bits} r3`)),
  ...SIZES.flatMap((bits) => [
    `r3 = *(u${bits} *)(r1 + 8)`,
    `*(u${bits} *)(r1 + 8) = r3`,
    `*(u${bits} *)(r1 + 8) = 5`,
    `${bits === "64" ? "r" : "w"}3 = load_acquire((u${bits} *)(r1 + 8))`,
    `store_release((u${bits} *)(r1 + 8), ${bits === "64" ? "r" : "w"}3)`,
  ]),
  ...["8", "16", "32"].map((bits) => `r3 = *(s${bits} *)(r1 + 8)`),
  ...[
    ["w", "32", "32_32"],
    ["r", "64", "_64"],
  ].flatMap(([x, bits, suffix]) => [
    ...["+=", "|=", "&=", "^="].map((op) => `lock *(u${bits} *)(r1 + 8) ${op} ${x}3`),
    ...["add", "or", "and", "xor"].map((op) => `${x}3 = atomic_fetch_${op}((u${bits} *)(r1 + 8), ${x}3)`),
    `${x}3 = xchg${suffix}(r1 + 8, ${x}3)`,
    `${x}0 = cmpxchg${suffix}(r1 + 8, ${x}0, ${x}3)`,
  ]),
  "goto +1",
  "gotol +1",
  "call pc+1",
  "exit",
];

export const FORMS: readonly string[] = EXAMPLES.map((text) => formOf(parseAssembly(text).insns, 0));
