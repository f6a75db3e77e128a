/**
 * Tracepoint throughput end to end: a perf.data file of sched_switch events, decoded, each event run through a program, its
 * record read; against `perf script`, which prints the events of the same file for a script that does the same with them.
 */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { BugError } from "../../base/index.ts";
import { CAPTURE } from "../assets.ts";
import { repeatCapture } from "../capture.ts";
import type { REPLAYS, Replay } from "../replay.ts";
import { median } from "../statistics.ts";
import { askChild } from "./child.ts";
import { inFolder } from "./folder.ts";
import type { Table, TableRow } from "./table.ts";

interface Way {
  readonly way: string;
  readonly job: "counter" | "record";
  readonly run: (path: string) => Promise<Timed>;
}

interface Timed extends Replay {
  /** seconds that the first replay of a process takes; perf has none that is another */
  readonly first: number | null;
}

/** A million events, 150 MB. */
const COPIES = 1500;

export const tracepoints: Table = {
  name: "tracepoints",
  summary:
    "sched_switch out of a perf.data file, decoded, through a program, its record read: one core. The first replay of a process has " +
    "V8 compile reader and program beside it.",
  columns: [
    { key: "job", title: "job" },
    { key: "way", title: "way" },
    { key: "events", title: "events" },
    { key: "ns", title: "ns an event", digits: 1 },
    { key: "perSecond", title: "events/s" },
    { key: "first", title: "ns, first time", digits: 1 },
    { key: "wanted", title: "wanted" },
    { key: "speed", title: "times perf script", digits: 1 },
  ],
  async *measure({ quick, onProgress, onSkip }) {
    yield* inFolder(async function* (folder) {
      const path = join(folder, "switches.perf.data");
      writeFileSync(path, repeatCapture(readFileSync(CAPTURE), quick ? 3 : COPIES, "sched_switch"));
      const found = new Map<Way, Found>();
      const missing = await problemOfPerf();
      if (missing !== null) onSkip(`perf script: ${missing}`);
      const ways = missing === null ? WAYS : WAYS.filter(({ way }) => !way.startsWith("perf "));
      for (let sample = 0; sample < (quick ? 1 : 5); sample++)
        for (const way of ways) {
          onProgress(`tracepoints ${way.job} ${way.way}`);
          const { seconds, events, first } = await way.run(path);
          const known = found.get(way) ?? { ns: [], first: [], events };
          known.ns.push((seconds * 1e9) / events);
          if (first !== null) known.first.push((first * 1e9) / events);
          found.set(way, known);
        }
      const counted = new Set([...found.values()].map(({ events }) => events));
      if (counted.size !== 1) throw new BugError(`the ways saw ${[...counted].join(" and ")} events`);
      for (const [way, measured] of found) yield rowOf(way, measured, found);
    });
  },
};

/** What the samples of a way took. */
interface Found {
  readonly ns: number[];
  readonly first: number[];
  readonly events: number;
}

function rowOf({ way, job }: Way, { events, first, ...times }: Found, found: ReadonlyMap<Way, Found>): TableRow {
  const ns = median(times.ns);
  const perf = [...found].find(([other]) => other.job === job && other.way.startsWith("perf "));
  const isOurs = !way.startsWith("perf ");
  return {
    job,
    way,
    events,
    ns,
    perSecond: 1e9 / ns,
    first: first.length === 0 ? null : median(first),
    wanted: isOurs ? WANTED[job] : null,
    speed: perf === undefined ? null : median(perf[1].ns) / ns,
  };
}

/** Events a second of one core. */
const WANTED = { counter: 10_000_000, record: 4_000_000 } as const;

const WAYS: readonly Way[] = [
  { job: "counter", way: "bpfjit", run: (path) => ours("counter", path) },
  { job: "counter", way: "perf script, lines counted", run: (path) => script(path, "event", () => {}) },
  { job: "record", way: "bpfjit, records in place", run: (path) => ours("inPlace", path) },
  { job: "record", way: "bpfjit, a copy each", run: (path) => ours("copies", path) },
  {
    job: "record",
    way: "perf script, lines split",
    run: (path) => script(path, "comm,tid,cpu,time,event,trace", keepRecord()),
  },
];

/** In a process of its own, as perf script is, and as a user has it: what V8 learns of one job does not slow down another. */
const ours = (name: keyof typeof REPLAYS, path: string): Promise<Timed> => askChild<Timed>("replay", [name, path]);

/** What a script does to have the same fields as the record. */
function keepRecord(): (line: string) => void {
  const pattern =
    /^\s*(.+?)\s+(\d+)\s+\[(\d+)\]\s+([\d.]+):\s+sched:sched_switch:.*prev_pid=(\d+) .*next_comm=(.*) next_pid=(\d+)/;
  const batch: unknown[] = [];
  return (line) => {
    const found = pattern.exec(line);
    if (found === null) throw new BugError(`perf script printed: ${line}`);
    batch.push({
      time: Number(found[4]),
      prevPid: Number(found[5]),
      nextComm: found[6]!,
      nextPid: Number(found[7]),
    });
    if (batch.length === 256) batch.length = 0;
  };
}

async function script(path: string, fields: string, onLine: (line: string) => void): Promise<Timed> {
  const started = performance.now();
  const perf = spawn("perf", ["script", "-i", path, "-F", fields], { stdio: ["ignore", "pipe", "ignore"] });
  let events = 0;
  for await (const line of createInterface({ input: perf.stdout })) {
    if (line === "") continue;
    onLine(line);
    events += 1;
  }
  return { events, first: null, seconds: (performance.now() - started) / 1000 };
}

/** Null: it is there. */
function problemOfPerf(): Promise<string | null> {
  return new Promise((resolve) => {
    const perf = spawn("perf", ["version"], { stdio: "ignore" });
    perf.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    perf.on("exit", (code) => resolve(code === 0 ? null : `perf version ends with ${code}`));
  });
}
