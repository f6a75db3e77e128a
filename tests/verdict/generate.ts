/**
 * Random nearly valid programs: statements of all kinds, right as far as the writer knows, but for a mistake now and then,
 * and in a part of them one field of one instruction changed at the end. Same seed, same program.
 */
import { type Insn, isWideImmediate } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/program.ts";
import { CLASS } from "../../spec/isa.ts";
import type { ProgramTypeName } from "../../spec/program-types.ts";
import { Random } from "../random/rng.ts";
import { withBtf } from "./btf.ts";
import { callback, simple, subprogram, tailCall, update } from "./calls.ts";
import { anyHelper, dynptr, innerMap, socket } from "./helpers.ts";
import { CONSTANT, GLOBALS, LOOKED_UP } from "./maps.ts";
import {
  access,
  accessPacket,
  contextField,
  global,
  leave,
  legacyLoad,
  lookup,
  movePointer,
  packet,
  release,
  reserve,
} from "./memories.ts";
import { branch, calculate, load, loop, store, variableStack } from "./scalars.ts";
import { asInt16, Writer } from "./writer.ts";

export interface RandomProgram {
  readonly seed: number;
  readonly program: Program;
  /** kinds of statements in it */
  readonly forms: readonly string[];
}

export const TYPES: readonly ProgramTypeName[] = [
  ...(["socket_filter", "xdp", "sched_cls", "tracepoint", "raw_tracepoint", "kprobe", "perf_event"] as const),
  ...(["raw_tracepoint_writable", "sched_act", "cgroup_skb", "lwt_xmit", "sk_skb"] as const),
];

export type Statement = (w: Writer, block: () => void) => void;
/** name, weight, statement */
export type WeightedStatement = readonly [string, number, Statement];

const STATEMENTS: readonly WeightedStatement[] = [
  ["calculate", 8, calculate],
  ["branch", 8, branch],
  ["loop", 3, loop],
  ["store", 5, store],
  ["load", 5, load],
  ["variable stack", 2, variableStack],
  ["lookup", 4, (w) => lookup(w, LOOKED_UP)],
  ["access", 6, access],
  ["global", 3, (w) => global(w, [GLOBALS, GLOBALS, CONSTANT])],
  ["pointer", 3, movePointer],
  ["reserve", 2, reserve],
  ["release", 1, release],
  ["packet", 4, packet],
  ["packet access", 4, accessPacket],
  ["context", 3, contextField],
  ["legacy load", 1, legacyLoad],
  ["update", 2, update],
  ["helper", 4, simple],
  ["any helper", 5, anyHelper],
  ["socket", 2, socket],
  ["dynptr", 1, dynptr],
  ["inner map", 1, innerMap],
  ["tail call", 1, tailCall],
  ["callback", 2, callback],
  ["subprogram", 2, subprogram],
];
export const FORMS: readonly string[] = STATEMENTS.map(([name]) => name);

export const randomProgram = (seed: number): RandomProgram => programOf(seed, [], TYPES);

/** `more`: kinds of statements beside the usual ones; programs of one of `types`. */
export function programOf(
  seed: number,
  more: readonly WeightedStatement[],
  types: readonly ProgramTypeName[],
): RandomProgram {
  const random = new Random(seed);
  const w = new Writer(random, random.pick(types), random.oneIn(2) ? 0 : random.pick([15, 40, 100, 200]));
  w.begin({ 1: { is: "ctx" } });
  w.move(6, 1);
  if (w.type === "cgroup_skb") w.result = "callback";
  const statements = random.between(1, 14);
  writeBlock(w, [...STATEMENTS, ...more], statements, 0);
  leave(w);
  const program = withBtf(w.finish(random.oneIn(40) ? "Proprietary" : "GPL"));
  return { seed, program: random.oneIn(6) ? mutated(random, program) : program, forms: w.forms };
}

/** Statements with others inside; those of other files come after. */
const NESTING: ReadonlySet<string> = new Set(["branch", "loop", "numbers", "section", "task"]);
/** Most instructions of a program; statements that nest stop there. */
const LONGEST = 400;

function writeBlock(w: Writer, kinds: readonly WeightedStatement[], statements: number, depth: number): void {
  for (let i = 0; i < statements && w.length < LONGEST; i++) {
    const [name, , write] = pickStatement(w.random, kinds);
    w.forms.push(name);
    if (depth > 2 && NESTING.has(name)) calculate(w);
    else write(w, () => writeBlock(w, kinds, w.random.between(1, 3), depth + 1));
  }
}

function pickStatement(random: Random, kinds: readonly WeightedStatement[]): WeightedStatement {
  let at = random.below(kinds.reduce((sum, [, weight]) => sum + weight, 0));
  for (const statement of kinds) {
    at -= statement[1];
    if (at < 0) return statement;
  }
  return kinds[0]!;
}

/** One field of one instruction is another. */
function mutated(random: Random, program: Program): Program {
  const insns: Insn[] = program.insns.map((insn) => ({ ...insn }));
  const index = random.below(insns.length);
  const insn = insns[index]!;
  // The kernel would take an index that no map has for a file descriptor of the process that asks.
  if (isWideImmediate(insn) && insn.src > 0) return program;
  insns[index] = { ...insn, ...changedField(random, insn) };
  return { ...program, insns };
}

function changedField(random: Random, insn: Insn): Partial<Insn> {
  switch (random.below(6)) {
    case 0:
      return { dst: random.below(11) };
    case 1:
      return { src: random.below(11) };
    case 2:
      return { off: asInt16(insn.off + random.pick([-8, -4, -1, 1, 4, 8])) };
    case 3:
      return { imm: (insn.imm + random.pick([-8, -1, 1, 8])) | 0 };
    case 4:
      return { imm: random.u32() | 0 };
    default:
      return {
        opcode: (insn.opcode & 7) === CLASS.LD ? insn.opcode : (insn.opcode ^ (1 << random.between(3, 7))) & 0xff,
      };
  }
}
