/** Reads a .cpuprofile as its viewers do, strictly: what breaks the format of V8's Profiler.Profile is an error. */

export interface ReadProfile {
  /** µs by name of the function, of its own */
  readonly self: ReadonlyMap<string, number>;
  /** the same, with what it calls */
  readonly total: ReadonlyMap<string, number>;
  /** samples by `url:line` */
  readonly ticks: ReadonlyMap<string, number>;
  readonly hits: number;
  readonly microseconds: number;
}

interface Node {
  readonly id: number;
  readonly callFrame: Readonly<Record<"functionName" | "scriptId" | "url" | "lineNumber" | "columnNumber", unknown>>;
  readonly hitCount: number;
  readonly children: readonly number[];
  readonly positionTicks: readonly { readonly line: number; readonly ticks: number }[];
}

const TYPES = {
  functionName: "string",
  scriptId: "string",
  url: "string",
  lineNumber: "number",
  columnNumber: "number",
};

export function readCpuProfile(text: string): ReadProfile {
  const { nodes, samples, timeDeltas, startTime, endTime } = JSON.parse(text) as Record<
    "samples" | "timeDeltas",
    readonly number[]
  > & { readonly nodes: readonly Node[]; readonly startTime: number; readonly endTime: number };
  const byId = new Map(nodes.map((node) => [node.id, node]));
  must(byId.size === nodes.length, "an id is there twice");
  for (const { callFrame } of nodes)
    for (const [key, type] of Object.entries(TYPES))
      must(typeof callFrame[key as keyof typeof callFrame] === type, `${key} of a frame is no ${type}`);
  const parents = parentsOf(nodes, byId);
  must(samples.length === timeDeltas.length, "samples and their times are not as many");
  must(
    timeDeltas.every((delta) => Number.isInteger(delta) && delta >= 0),
    "time goes back",
  );
  must(sum(timeDeltas) === endTime - startTime, "times do not add up to the end");

  const self = new Map<string, number>();
  const total = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    must(byId.has(id), `a sample is of node ${id}, which is not there`);
    const microseconds = timeDeltas[index + 1] ?? 0;
    const names = new Set<string>();
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) names.add(nameOf(byId.get(at)!));
    count(self, nameOf(byId.get(id)!), microseconds);
    for (const name of names) count(total, name, microseconds);
  }
  const ticks = new Map<string, number>();
  for (const { callFrame, positionTicks } of nodes)
    for (const { line, ticks: of } of positionTicks) count(ticks, `${callFrame.url}:${line}`, of);
  return { self, total, ticks, hits: sum(nodes.map(({ hitCount }) => hitCount)), microseconds: sum(timeDeltas) };
}

/** Every node but the first has one. */
function parentsOf(nodes: readonly Node[], byId: ReadonlyMap<number, Node>): ReadonlyMap<number, number> {
  const parents = new Map<number, number>();
  for (const { id, children } of nodes)
    for (const child of children) {
      must(byId.has(child) && !parents.has(child), `node ${child} is not there, or has two parents`);
      parents.set(child, id);
    }
  must(parents.size === nodes.length - 1 && !parents.has(nodes[0]!.id), "nodes are no tree");
  return parents;
}

const nameOf = ({ callFrame }: Node): string => String(callFrame.functionName);
const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

function count(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function must(isTrue: boolean, otherwise: string): void {
  if (!isTrue) throw new Error(otherwise);
}
