/**
 * A profile in the formats of other tools. Folded stacks: a line for each stack, frames from the outermost on and then ns, as
 * flamegraph.pl and speedscope take them. V8's .cpuprofile: functions as a tree with ticks by line, as Chrome DevTools and
 * VS Code take it. Samples are counted, not kept, so its time line is in order of cost and says nothing of when.
 */
import type { Profile, ProfileFrame, ProfileStack } from "./profile.ts";

/** `program;function;file:line;helper ns` */
export function foldedStacks({ stacks }: Profile): string {
  return stacks
    .filter(({ ns }) => ns >= 1)
    .map((stack) => `${frameNames(stack).map(cleanName).join(";")} ${Math.round(stack.ns)}\n`)
    .join("");
}

function frameNames({ program, frames }: ProfileStack): string[] {
  const last = frames.at(-1)!;
  const callees = frames.slice(1).map((frame) => frame.function);
  return [program, ...callees, placeName(last), ...(last.helper === null ? [] : [last.helper])];
}

const placeName = ({ file, line, insnIndex }: ProfileFrame): string =>
  file === null ? `insn ${insnIndex}` : `${file}:${line}`;

/** Semicolons and line ends would end a frame or a stack. */
const cleanName = (name: string): string => name.replaceAll(/[;\s]+/g, "_");

interface CpuProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly scriptId: string;
    readonly url: string;
    /** from 0; -1: not known */
    lineNumber: number;
    readonly columnNumber: number;
  };
  hitCount: number;
  readonly children: number[];
  readonly positionTicks: { readonly line: number; ticks: number }[];
}

export interface CpuProfile {
  readonly nodes: readonly CpuProfileNode[];
  /** µs */
  readonly startTime: number;
  readonly endTime: number;
  /** node of each stack, and µs from the one before to it */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export function cpuProfile({ stacks }: Profile): CpuProfile {
  const nodes: CpuProfileNode[] = [];
  const children = new Map<string, CpuProfileNode>();
  const child = (parent: CpuProfileNode | null, functionName: string, url: string): CpuProfileNode => {
    const key = `${parent?.id} ${functionName} ${url}`;
    const known = children.get(key);
    if (known !== undefined) return known;
    const node: CpuProfileNode = {
      id: nodes.length + 1,
      callFrame: { functionName, scriptId: "0", url, lineNumber: -1, columnNumber: 0 },
      hitCount: 0,
      children: [],
      positionTicks: [],
    };
    nodes.push(node);
    parent?.children.push(node.id);
    children.set(key, node);
    return node;
  };
  const root = child(null, "(root)", "");
  const samples: number[] = [];
  const ends: number[] = [];
  let ns = 0;
  for (const stack of stacks) {
    let node = root;
    for (const [depth, frame] of stack.frames.entries()) {
      node = child(node, depth === 0 ? stack.program : frame.function, frame.file ?? "");
      tick(node, frame.line, depth === stack.frames.length - 1 ? stack.samples : 0);
    }
    const { helper } = stack.frames.at(-1)!;
    if (helper !== null) node = child(node, helper, "");
    node.hitCount += stack.samples;
    samples.push(node.id);
    ns += stack.ns;
    ends.push(Math.round(ns / 1000));
  }
  // readers take a sample to last until the next one
  samples.push(root.id);
  const timeDeltas = [0, ...ends.map((end, index) => end - (ends[index - 1] ?? 0))];
  return { nodes, startTime: 0, endTime: ends.at(-1) ?? 0, samples, timeDeltas };
}

/** Counts a line of a function, which is said to begin at the first that was met. */
function tick({ callFrame, positionTicks }: CpuProfileNode, line: number | null, ticks: number): void {
  if (line === null) return;
  callFrame.lineNumber = callFrame.lineNumber < 0 ? line - 1 : Math.min(callFrame.lineNumber, line - 1);
  if (ticks === 0) return;
  const known = positionTicks.find((position) => position.line === line);
  if (known === undefined) positionTicks.push({ line, ticks });
  else known.ticks += ticks;
}
