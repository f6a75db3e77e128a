/** A capture of sched_switch events, decoded, through a program, its record read: once, in the ways that the table of tracepoints has. */
import { fileInput, load, openPerfData } from "../api/index.ts";
import { BugError } from "../base/index.ts";
import { workloadObject } from "./assets.ts";

export interface Replay {
  readonly seconds: number;
  readonly events: number;
}

/** Of the capture at a path. */
export const REPLAYS = {
  counter: (path: string) => ours(path, "counter", null, ({ count }) => Number([...count!.entries()][0]?.[1] ?? 0)),
  inPlace,
  copies: (path: string) => {
    let records = 0;
    const onRecord = (): void => {
      records += 1;
    };
    return ours(path, "record", onRecord, () => records);
  },
} as const;

type Maps = Awaited<ReturnType<typeof load>>["maps"];

/** `counted`: events that the program says it saw. */
async function ours(
  path: string,
  program: string,
  onRecord: (() => void) | null,
  counted: (maps: Maps) => number,
): Promise<Replay> {
  const source = await openPerfData(fileInput(path));
  const options = { programs: [program], optimize: 2, runtimeOptions: { cpus: source.cpus } } as const;
  await using object = await load(workloadObject("tracepoints"), options);
  const summary = await object.run(source, onRecord === null ? {} : { onRecord });
  return checked(summary, counted(object.maps));
}

async function inPlace(path: string): Promise<Replay> {
  const source = await openPerfData(fileInput(path));
  const options = { programs: ["record"], optimize: 2, runtimeOptions: { cpus: source.cpus } } as const;
  await using object = await load(workloadObject("tracepoints"), options);
  object.attach();
  const reader = object.reader("switches");
  let records = 0;
  let latest = 0n;
  const take = ({ view }: { readonly view: unknown }): void => {
    latest = (view as { readonly time: bigint }).time;
    records += 1;
  };
  const started = performance.now();
  const { events } = await object.runtime.run(source, { drain: () => reader.drain(take) });
  reader.drain(take);
  if (latest === 0n) throw new BugError("records without a time");
  return checked({ events, seconds: (performance.now() - started) / 1000 }, records);
}

function checked(summary: Replay, seen: number): Replay {
  if (seen !== summary.events) throw new BugError(`${summary.events} events, of which the program saw ${seen}`);
  return { events: summary.events, seconds: summary.seconds };
}
