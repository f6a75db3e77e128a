/** Arithmetic that pointers do not allow, and offsets without a bound. */
/** Arithmetic that pointers do not allow, and offsets without a bound. */
import type { FaultKind } from "../../../../spec/faults.ts";
import { SRC } from "../../../../spec/isa.ts";
import { LIMITS } from "../../../../spec/limits.ts";
import { baseType, REG } from "../../register.ts";
import { copySteps } from "../copies.ts";
import { assignmentIn, quoted, variableOf } from "../names.ts";
import type { Account, Rule, Scene } from "../scene.ts";
import { between, lineText, registerOf, trailOfRegister } from "../scene.ts";
import { offsetSteps, originSteps, rangeSteps } from "../steps.ts";
import { holdsWords, rangeWords } from "../words.ts";

export const ARITHMETIC_RULES: readonly Rule[] = [
  {
    message: /^R(\d+) pointer arithmetic (?:on (\S+)|with (\S+) operator) prohibited$/,
    explain: (scene, [, r]) => arithmetic(scene, Number(r)),
  },
  {
    message:
      /^R(\d+) (?:bitwise operator \S+ on pointer|32-bit pointer arithmetic|pointer \S+ pointer|subtraction from stack pointer) prohibited$/,
    explain: (scene, [, r]) => arithmetic(scene, Number(r)),
  },
  {
    message: /^R(\d+) tried to subtract pointer from scalar$/,
    explain: (scene, [, r]) => arithmetic(scene, Number(r)),
  },
  {
    message: /^math between (\S+) pointer and (?:-?\d+|register with unbounded min value) is not allowed$/,
    explain: offsetTooLarge,
  },
  {
    message: /^(?:\S+ pointer offset -?\d+ is not allowed|value -?\d+ makes \S+ pointer be out of bounds)$/,
    explain: offsetTooLarge,
  },
];

function arithmetic(scene: Scene, register: number): Account {
  const insn = scene.env.insns[scene.insnIndex]!;
  const left = registerOf(scene, insn.dst);
  const pointer = left.type === REG.SCALAR && (insn.opcode & 8) !== 0 ? insn.src : insn.dst;
  const reg = registerOf(scene, pointer);
  const what = holdsWords(reg);
  const name = assignmentIn(lineText(scene, scene.insnIndex))?.name;
  const operation =
    scene.message.includes(" on ") && !scene.message.includes("bitwise")
      ? "may not be moved"
      : "may not be calculated with like this";
  return {
    kind: "pointer-arithmetic",
    headline: `${what} ${operation}${name === undefined ? "" : `, as ${quoted(name)} wants it`}`,
    steps: originSteps(scene, trailOfRegister(scene, pointer)),
    fault: `arithmetic on ${what} (register r${register})`,
    limits: [
      {
        what: "operation",
        allowed: ["adding or subtracting a bounded number, on pointers into memory"],
        found: [scene.message.replace(/^R\d+ /, "").replace(/ prohibited.*$/, "")],
      },
    ],
  };
}

/** Kinds of faults that bounding the offset repairs. */
const BOUNDS_KINDS: Readonly<Record<number, FaultKind>> = {
  [REG.MAP_VALUE]: "map-value-bounds",
  [REG.MAP_KEY]: "memory-bounds",
  [REG.MEM]: "memory-bounds",
  [REG.PACKET]: "packet-bounds",
  [REG.STACK]: "stack-bounds",
};

function offsetTooLarge(scene: Scene): Account {
  const insn = scene.env.insns[scene.insnIndex]!;
  const operands = insn.opcode & SRC.X ? [insn.dst, insn.src] : [insn.dst];
  const number = operands.find((r) => registerOf(scene, r).type === REG.SCALAR);
  const pointer = registerOf(scene, operands.find((r) => r !== number) ?? insn.dst);
  const most = BigInt(LIMITS.variableOffset) - 1n;
  const account = {
    kind: BOUNDS_KINDS[baseType(pointer.type)] ?? "pointer-arithmetic",
    fault: `it is added to ${holdsWords(pointer)}, which could then lead anywhere`,
  } as const;
  if (number === undefined) {
    return {
      ...account,
      headline: `the pointer is moved too far: by ${insn.imm} bytes`,
      steps: offsetSteps(scene, trailOfRegister(scene, insn.dst)),
      limits: [{ what: "offset", allowed: between(-most, most), found: between(insn.imm, insn.imm) }],
    };
  }
  const { value } = registerOf(scene, number);
  const trail = trailOfRegister(scene, number);
  const name = variableOf(scene, trail);
  return {
    ...account,
    headline: `${name === null ? "the number" : quoted(name)} is added to a pointer without a bound: it can be ${rangeWords(value)}`,
    steps: [...rangeSteps(scene, trail), ...copySteps(scene, trail, scene.path.length - 1)],
    limits: [{ what: "offset", allowed: between(-most, most), found: { min: value.smin, max: value.smax } }],
  };
}
