/**
 * Programs of the file tests with a few random changes: near every rule that a file test is about, right or wrong, lie many
 * programs that nobody wrote. Changes stay in place, so that jumps and functions keep their targets. Same seed, same program.
 */
import { readFileSync } from "node:fs";
import { type Insn, isWideImmediate } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/program.ts";
import { CLASS, JMP } from "../../spec/isa.ts";
import { readCases, type TestCase } from "../filetests/runner/case.ts";
import { bpfFiles } from "../filetests/runner/files.ts";
import { kernelCannot } from "../filetests/runner/kernel.ts";
import { Random } from "../random/rng.ts";
import { asInt16 } from "./writer.ts";

export interface ChangedProgram {
  readonly seed: number;
  /** file and case that it was made from */
  readonly origin: string;
  readonly program: Program;
}

interface Origin {
  readonly name: string;
  readonly program: Program;
  readonly isAccepted: boolean;
}
let known: { readonly accepted: readonly Origin[]; readonly refused: readonly Origin[] } | null = null;

/** Cases that the kernel can be asked about, answers as we do, and that are no raw programs. */
function origins(): NonNullable<typeof known> {
  if (known !== null) return known;
  const all = bpfFiles().flatMap(([path, url]) =>
    readCases(readFileSync(url, "utf8"), path).flatMap((one) => origin(path, one)),
  );
  known = {
    accepted: all.filter(({ isAccepted }) => isAccepted),
    refused: all.filter(({ isAccepted }) => !isAccepted),
  };
  return known;
}

/**
 * 6.18 itself crashes where a subprogram before the exception callback is dead (it jumps to the callback's old number), and
 * where work is set up with a map that has no special fields.
 */
const DANGEROUS: readonly string[] = ["verifier/exceptions.bpf", "verifier/deferred.bpf"];

function origin(path: string, one: TestCase): Origin[] {
  if (DANGEROUS.includes(path)) return [];
  const { program } = one;
  if (program.type === "raw" || one.kernelDiffers !== null || kernelCannot(one) !== null) return [];
  const isAccepted = one.directives.some(
    ({ expectation }) => expectation.kind === "accept" || expectation.kind === "run",
  );
  return [{ name: `${path}: ${one.name}`, program, isAccepted }];
}

const CHANGES = [1, 1, 1, 1, 2, 3];

export function changedProgram(seed: number): ChangedProgram {
  const random = new Random(seed);
  const { name, program } = random.pick(random.oneIn(16) ? origins().refused : origins().accepted);
  const insns: Insn[] = program.insns.map((insn) => ({ ...insn }));
  for (let times = random.pick(CHANGES); times > 0; times--) change(random, insns);
  return { seed, origin: name, program: { ...program, insns } };
}

const GOTO_NEXT: Insn = { opcode: CLASS.JMP | JMP.JA, dst: 0, src: 0, off: 0, imm: 0 };

function change(random: Random, insns: Insn[]): void {
  const index = random.below(insns.length);
  const insn = insns[index]!;
  if (isHalf(insns, index)) return;
  if (isWideImmediate(insn)) {
    // Maps and functions are named by index: another number would name nothing, or a file of who asks.
    insns[index] = { ...insn, dst: random.below(10) };
    return;
  }
  switch (random.below(10)) {
    case 0:
      insns[index] = GOTO_NEXT;
      return;
    case 1:
      swap(insns, index, index + 1);
      return;
    case 2:
      copyOver(random, insns, index);
      return;
    case 3:
    case 4:
      insns[index] = { ...insn, [random.pick(["dst", "src"])]: otherRegister(random, insns) };
      return;
    case 5:
      insns[index] = { ...insn, off: asInt16(insn.off + random.pick([-16, -8, -4, -1, 1, 4, 8, 16])) };
      return;
    case 6:
      insns[index] = { ...insn, imm: (insn.imm + random.pick([-8, -1, 1, 8])) | 0 };
      return;
    case 7:
      insns[index] = { ...insn, imm: random.pick([0, 1, -1, 7, 64, 4096, random.u32() | 0]) };
      return;
    case 8:
      insns[index] = { ...insn, opcode: (insn.opcode ^ (1 << random.between(3, 7))) & 0xff };
      return;
    default:
      // The other width of the same operation, the other source of its operand.
      insns[index] = { ...insn, opcode: insn.opcode ^ random.pick([3, 8]) };
  }
}

/** The second slot of a 64-bit immediate. */
const isHalf = (insns: readonly Insn[], index: number): boolean => index > 0 && isWideImmediate(insns[index - 1]!);
const isWhole = (insns: readonly Insn[], index: number): boolean =>
  index < insns.length && !isHalf(insns, index) && !isWideImmediate(insns[index]!);

/** A register that the program uses somewhere, mostly. */
const otherRegister = (random: Random, insns: readonly Insn[]): number =>
  random.oneIn(4) ? random.below(11) : random.pick(insns)[random.oneIn(2) ? "dst" : "src"];

function swap(insns: Insn[], left: number, right: number): void {
  if (!isWhole(insns, left) || !isWhole(insns, right)) return;
  [insns[left], insns[right]] = [insns[right]!, insns[left]!];
}

function copyOver(random: Random, insns: Insn[], to: number): void {
  const from = random.below(insns.length);
  const isJump = (insns[from]!.opcode & 7) === CLASS.JMP || (insns[from]!.opcode & 7) === CLASS.JMP32;
  const isHelper = insns[from]!.opcode === (CLASS.JMP | JMP.CALL) && insns[from]!.src !== 1;
  if (isWhole(insns, from) && (!isJump || isHelper)) insns[to] = insns[from]!;
}
