/** Loops, size and stack depth: what concerns the course of the program as a whole. */
import { LIMITS } from "../../../../spec/limits.ts";
import { isSubprogramCall } from "../../cfg.ts";
import type { Account, Rule, Scene, Step } from "../scene.ts";
import { between, stepBeside } from "../scene.ts";
import { isConditional } from "../steps.ts";
import { plural } from "../words.ts";

export const CONTROL_RULES: readonly Rule[] = [
  { message: /^BPF program is too large\. Processed (\d+) insn$/, explain: tooLarge },
  {
    message: /^The sequence of (\d+) jumps is too complex\.$/,
    explain: (_scene, [, count]) => tooManyPaths(Number(count)),
  },
  { message: /^infinite loop detected at insn (\d+)$/, explain: infiniteLoop },
  {
    message: /^combined stack size of (\d+) calls is (\d+)\. Too large$/,
    explain: (scene, [, , bytes]) => stackDepth(scene, Number(bytes)),
  },
  {
    message: /^stack size of subprog \d+ is (\d+)\. Too large$/,
    explain: (scene, [, bytes]) => stackDepth(scene, Number(bytes)),
  },
  {
    message: /^tail_calls are not allowed when call stack of previous frames is (\d+) bytes/,
    explain: (scene, [, bytes]) => stackDepth(scene, Number(bytes), LIMITS.tailCallStackBytes),
  },
  {
    message: /^the call stack of (\d+) frames is too deep/,
    explain: (scene, [, frames]) => tooManyFrames(scene, Number(frames)),
  },
];

/** The loop (strongly connected component) that an instruction is in: its first and last instruction; null: in none. */
function loopAround(scene: Scene, insnIndex: number): { readonly first: number; readonly last: number } | null {
  const { component } = scene.env.notes;
  const mine = component[insnIndex]!;
  if (mine === 0) return null;
  return { first: component.indexOf(mine), last: component.lastIndexOf(mine) };
}

function tooLarge(scene: Scene): Account {
  const counts = scene.counts ?? new Uint32Array(scene.env.insns.length);
  let hottest = 0;
  for (let i = 1; i < counts.length; i++) if (counts[i]! > counts[hottest]!) hottest = i;
  const loop = loopAround(scene, hottest);
  const times = plural(counts[hottest]!, "time");
  const limits = [
    {
      what: "instructions walked",
      allowed: between(0, LIMITS.processedInsns),
      found: between(scene.env.processedInsns, scene.env.processedInsns),
    },
  ];
  if (loop !== null) {
    return {
      kind: "too-complex",
      headline: `the verifier gave up after ${LIMITS.processedInsns} instructions: it walked through the loop ${whereWords(scene, loop.first, loop.last)} round by round`,
      steps: [
        stepBeside(loop.first, "loop", `the loop begins here; the verifier came to its busiest instruction ${times}`),
      ],
      fault: "here it had processed as many instructions as it may",
      limits,
    };
  }
  return {
    kind: "too-complex",
    headline: `the verifier gave up after ${LIMITS.processedInsns} instructions: there are too many different paths through the program`,
    steps: [stepBeside(hottest, "loop", `on different paths, it came here ${times}`)],
    fault: "here it had processed as many instructions as it may",
    limits,
  };
}

function whereWords(scene: Scene, first: number, last: number): string {
  const lines = scene.program.lines.filter(
    ({ insnIndex, line }) => insnIndex >= first && insnIndex <= last && line > 0,
  );
  if (lines.length === 0) return `of instructions ${first} … ${last}`;
  const numbers = lines.map(({ line }) => line);
  const from = Math.min(...numbers);
  const to = Math.max(...numbers);
  return from === to ? `in line ${from}` : `in lines ${from} … ${to}`;
}

function tooManyPaths(count: number): Account {
  return {
    kind: "too-complex",
    headline: `too many branches one after the other: ${count} paths wait to be followed`,
    steps: [],
    fault: "one branch more than the verifier keeps in mind",
    limits: [{ what: "paths put off", allowed: between(0, LIMITS.pendingJumps), found: between(count, count) }],
  };
}

function infiniteLoop(scene: Scene): Account {
  const loop = loopAround(scene, scene.insnIndex);
  const steps: Step[] = [];
  if (loop !== null) {
    for (let slot = loop.first; slot <= loop.last; slot++) {
      if (!isConditional(scene.env.insns[slot]!.opcode)) continue;
      steps.push(
        stepBeside(slot, "check", "whether the loop goes on is decided here, by a value of which nothing is known"),
      );
      break;
    }
  }
  return {
    kind: "infinite-loop",
    headline: `nothing that the verifier can see makes the loop ${loop === null ? "" : `${whereWords(scene, loop.first, loop.last)} `}end`,
    steps,
    fault: "after a round the verifier is here again, and knows exactly what it knew before",
  };
}

function stackDepth(scene: Scene, bytes: number, limit: number = LIMITS.stackBytes): Account {
  const { env } = scene;
  const chain = heaviestChain(scene, 0, LIMITS.callFrames);
  const steps: Step[] = chain.slice(0, -1).map(({ index }) => {
    const { start, stackBytes } = env.subprograms[index]!;
    return stepBeside(start, "origin", `${nameOf(scene, index)} has ${plural(stackBytes, "byte")} of local variables`);
  });
  for (const { index, callSite } of chain)
    if (callSite >= 0) steps.push(stepBeside(callSite, "call", `${nameOf(scene, index)} is called on top of that`));
  const last = chain.at(-1)!.index;
  const own = `${nameOf(scene, last)} has ${plural(env.subprograms[last]!.stackBytes, "byte")}${chain.length > 1 ? " more" : ""}`;
  return {
    kind: "stack-too-large",
    headline: `${chain.length > 1 ? "functions that call each other need" : "the function needs"} ${bytes} bytes of stack, and there are ${limit}`,
    steps: steps.sort((a, b) => a.insnIndex - b.insnIndex),
    fault: `${own}: ${bytes} in all (each function's bytes count as a multiple of 16)`,
    insnIndex: env.subprograms[last]!.start,
    limits: [{ what: "bytes of stack", allowed: between(0, limit), found: between(bytes, bytes) }],
  };
}

const nameOf = (scene: Scene, index: number): string => {
  const name = scene.env.subprograms[index]!.name || (index === 0 ? scene.program.name : "");
  return name === "" ? "a function" : `${name}()`;
};

interface Call {
  readonly index: number;
  readonly callSite: number;
}

/** The chain of calls from subprogram `index` down that needs the most stack. */
function heaviestChain(scene: Scene, index: number, frames: number, callSite = -1): readonly Call[] {
  const { env } = scene;
  const { start, end } = env.subprograms[index]!;
  const weight = (chain: readonly Call[]): number =>
    chain.reduce((sum, call) => sum + Math.ceil(env.subprograms[call.index]!.stackBytes / 16) * 16, 0);
  let heaviest: readonly Call[] = [];
  for (let slot = start; slot < end && frames > 1; slot++) {
    const insn = env.insns[slot]!;
    if (!isSubprogramCall(insn)) continue;
    const chain = heaviestChain(scene, env.subprogramAt.get(slot + insn.imm + 1)!, frames - 1, slot);
    if (weight(chain) > weight(heaviest)) heaviest = chain;
  }
  return [{ index, callSite }, ...heaviest];
}

function tooManyFrames(scene: Scene, frames: number): Account {
  const calls = (scene.path.at(-1)?.frames ?? []).slice(1).map(({ callSite }) => callSite);
  return {
    kind: "stack-too-large",
    headline: `functions call each other ${frames} deep, and ${LIMITS.callFrames} is the most`,
    steps: calls.map((slot) => stepBeside(slot, "call", "this call is under way")),
    fault: "one call more",
    limits: [{ what: "nested calls", allowed: between(1, LIMITS.callFrames), found: between(frames, frames) }],
  };
}
