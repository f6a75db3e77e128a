/**
 * Programs that try one form of instruction on every pair of edge values: operands come from memory, results go to memory.
 * Made, not written, so that no form and no pair is forgotten.
 *
 *     memory   pairs of operands (16 bytes each) | results (16 bytes each: register, and what else the form changes)
 */
import { type Insn, parseAssembly } from "../../compiler/asm/index.ts";

export interface OpcodeTest {
  readonly name: string;
  readonly insns: readonly Insn[];
  readonly memory: Uint8Array;
  /** the memory begins so many bytes behind an 8-byte boundary */
  readonly misalign?: number;
}

const EDGES: readonly bigint[] = [
  0n,
  1n,
  -1n,
  2n,
  7n,
  31n,
  32n,
  33n,
  63n,
  64n,
  65n,
  -2n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  -0x8000_0000n,
  0x7fff_ffff_ffff_ffffn,
  -0x8000_0000_0000_0000n,
  0x8000_0000_0000_0001n,
  0x1_0000_0000n,
  0x0123_4567_89ab_cdefn,
  -0x0123_4567_89ab_cdefn,
];
/** For immediates: what 32 bits hold. */
const IMMEDIATES = [
  "0",
  "1",
  "-1",
  "2",
  "31",
  "32",
  "33",
  "63",
  "64",
  "65",
  "127",
  "-128",
  "2147483647",
  "-2147483648",
];

const BINARY = ["+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "%=", "^=", "=", "s>>=", "s/=", "s%="];
const UNARY = [
  "r3 = -r3",
  "w3 = -w3",
  ...["be", "le", "bswap"].flatMap((name) => ["16", "32", "64"].map((bits) => `r3 = ${name}${bits} r3`)),
  ...["8", "16", "32"].map((bits) => `r3 = (s${bits})r3`),
  ...["8", "16"].map((bits) => `w3 = (s${bits})w3`),
];
const COMPARE = ["==", ">", ">=", "&", "!=", "s>", "s>=", "<", "<=", "s<", "s<="];
const isShift = (op: string) => op.includes("<<") || op.includes(">>");
const isDivision = (op: string) => op.includes("/") || op.includes("%");

/** Every test, in an order that never changes (recorded answers go by name). */
export function opcodeTests(): OpcodeTest[] {
  return [...arithmeticTests(), ...branchTests(), ...memoryTests(), ...atomicTests()];
}

function arithmeticTests(): OpcodeTest[] {
  const tests: OpcodeTest[] = [];
  for (const letter of ["r", "w"]) {
    const bits = letter === "r" ? 64 : 32;
    for (const op of BINARY) {
      const pairs = EDGES.flatMap((a) => EDGES.map((b): Pair => [a, b]));
      tests.push(pairTest(`${letter}3 ${op} ${letter}4`, pairs));
      const immediates = IMMEDIATES.filter(
        (imm) => !(isDivision(op) && imm === "0") && !(isShift(op) && (Number(imm) < 0 || Number(imm) >= bits)),
      );
      for (const imm of immediates)
        tests.push(
          pairTest(
            `${letter}3 ${op} ${imm}`,
            EDGES.map((a): Pair => [a, 0n]),
          ),
        );
    }
  }
  for (const form of UNARY)
    tests.push(
      pairTest(
        form,
        EDGES.map((a): Pair => [a, 0n]),
      ),
    );
  return tests;
}

function branchTests(): OpcodeTest[] {
  const tests: OpcodeTest[] = [];
  for (const letter of ["r", "w"])
    for (const op of COMPARE) {
      const pairs = EDGES.flatMap((a) => EDGES.map((b): Pair => [a, b]));
      tests.push(pairTest(branch(`${letter}3 ${op} ${letter}4`), pairs, `if ${letter}3 ${op} ${letter}4`));
      for (const imm of IMMEDIATES) {
        const condition = `${letter}3 ${op} ${imm}`;
        tests.push(
          pairTest(
            branch(condition),
            EDGES.map((a): Pair => [a, 0n]),
            `if ${condition}`,
          ),
        );
      }
    }
  return tests;
}

/** r3 = 1 where the branch is taken, 2 where it falls through. */
const branch = (condition: string): string => `if ${condition} goto +2\nr3 = 2\ngoto +1\nr3 = 1`;

type Pair = readonly [bigint, bigint];
/** Pairs of one program: the accesses stay within a 16-bit offset, and the recorded memory small. */
const PAIRS = 100;

function pairTest(form: string, pairs: readonly Pair[], name = form): OpcodeTest {
  // All pairs of a register form would be 729: every seventh or so, all values on both sides.
  const step = Math.max(1, Math.floor(pairs.length / PAIRS));
  const chosen = pairs.filter((_, index) => index % step === 0 || pairs.length <= PAIRS).slice(0, 2 * PAIRS);
  const memory = new Uint8Array(24 * chosen.length);
  const view = new DataView(memory.buffer);
  let text = "r6 = r1\n";
  chosen.forEach(([a, b], index) => {
    view.setBigUint64(16 * index, BigInt.asUintN(64, a), true);
    view.setBigUint64(16 * index + 8, BigInt.asUintN(64, b), true);
    text += `r3 = *(u64 *)(r6 + ${16 * index})\nr4 = *(u64 *)(r6 + ${16 * index + 8})\n${form}\n`;
    text += `*(u64 *)(r6 + ${16 * chosen.length + 8 * index}) = r3\n`;
  });
  return { name, insns: parseAssembly(`${text}r0 = 0\nexit`).insns, memory };
}

/** Memory of loads, stores and atomics: a pattern with the sign bit set in some bytes of each size. */
const PATTERN = Uint8Array.from({ length: 64 }, (_, index) => (index * 0x95 + 0x3c) & 0xff);

function memoryTests(): OpcodeTest[] {
  const tests: OpcodeTest[] = [];
  const at = (body: string, offset: number, name: string, misalign = 0) =>
    tests.push({
      name: `${name} at ${offset}${misalign === 0 ? "" : `, misaligned by ${misalign}`}`,
      insns: parseAssembly(`${body}\nr0 = 0\nexit`).insns,
      memory: PATTERN,
      ...(misalign === 0 ? {} : { misalign }),
    });
  const value = `r3 = 0xfedcba9876543210 ll`;
  for (let offset = 0; offset < 8; offset++)
    for (const bits of [8, 16, 32, 64]) {
      at(`r3 = *(u${bits} *)(r1 + ${offset})\n*(u64 *)(r1 + 48) = r3`, offset, `load u${bits}`);
      if (bits < 64) at(`r3 = *(s${bits} *)(r1 + ${offset})\n*(u64 *)(r1 + 48) = r3`, offset, `load s${bits}`);
      at(`${value}\n*(u${bits} *)(r1 + ${offset}) = r3`, offset, `store u${bits}`);
      at(`*(u${bits} *)(r1 + ${offset}) = -2`, offset, `store immediate u${bits}`);
    }
  for (const bits of [8, 16, 32, 64])
    at(
      `${value}\n*(u64 *)(r10 - 8) = r3\n*(u${bits} *)(r10 - 8) = -3\nr4 = *(u64 *)(r10 - 8)\n*(u64 *)(r1 + 0) = r4`,
      0,
      `stack store u${bits}`,
    );
  return tests;
}

function atomicTests(): OpcodeTest[] {
  const tests: OpcodeTest[] = [];
  const sizes = [
    { bits: 32, letter: "w", suffix: "32_32" },
    { bits: 64, letter: "r", suffix: "_64" },
  ];
  for (const { bits, letter, suffix } of sizes) {
    const forms: { name: string; body: string }[] = [];
    const place = `(u${bits} *)(r6 + 0)`;
    for (const [op, name] of [
      ["+=", "add"],
      ["|=", "or"],
      ["&=", "and"],
      ["^=", "xor"],
    ] as const) {
      forms.push({ name: `atomic ${name} u${bits}`, body: `lock *${place} ${op} ${letter}3` });
      forms.push({
        name: `atomic fetch ${name} u${bits}`,
        body: `${letter}3 = atomic_fetch_${name}(${place}, ${letter}3)`,
      });
    }
    forms.push({ name: `exchange u${bits}`, body: `${letter}3 = xchg${suffix}(r6 + 0, ${letter}3)` });
    for (const [name, expected] of [
      ["equal", `r0 = *(u${bits} *)(r6 + 0)`],
      ["unequal", "r0 = 5"],
    ])
      forms.push({
        name: `compare and exchange u${bits}, ${name}`,
        // The upper half of r0 is set first: 32 bits must neither compare nor keep it.
        body: `${expected}\nr7 = 0xff00000000000000 ll\n${bits === 32 ? "r0 |= r7\n" : ""}${letter}0 = cmpxchg${suffix}(r6 + 0, ${letter}0, ${letter}3)`,
      });
    for (const { name, body } of forms)
      for (const misalign of [0, 1, 4, 7])
        for (const value of ["0xfedcba9876543210", "1", "-1", "0x8000000080000000"])
          tests.push({
            name: `${name} with ${value}${misalign === 0 ? "" : `, misaligned by ${misalign}`}`,
            insns: parseAssembly(
              `r6 = r1\nr6 += 8\nr0 = 0\nr3 = ${value} ll\n${body}\n*(u64 *)(r1 + 24) = r3\n*(u64 *)(r1 + 32) = r0\nr0 = 0\nexit`,
            ).insns,
            memory: PATTERN,
            ...(misalign === 0 ? {} : { misalign }),
          });
  }
  return tests;
}
