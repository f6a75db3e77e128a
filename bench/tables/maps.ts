/** Lookups and updates against the number of elements in a map: bench/workloads/maps.bpf.c, here and in the kernel. */
import { readFileSync } from "node:fs";
import { openObject } from "../../api/index.ts";
import { BugError } from "../../base/index.ts";
import { readObject } from "../../compiler/index.ts";
import { workloadObject } from "../assets.ts";
import { EVENT_COUNT, generateEvents } from "../events.ts";
import { KernelEngine } from "../kernel.ts";
import { EventRig } from "../rig.ts";
import { settle } from "../settle.ts";
import { median } from "../statistics.ts";
import type { MeasureOptions, Table, TableRow } from "./table.ts";

const ENTRIES = [1_000, 10_000, 100_000, 1_000_000, 10_000_000] as const;
/** `keys`: what making a random key costs, which is taken off the others */
const OPERATIONS = ["keys", "lookup", "update", "replace"] as const;
type Operation = (typeof OPERATIONS)[number];
/** Enough for ten million elements here. */
const ARENA_BYTES = 2 ** 31;

export const maps: Table = {
  name: "maps",
  summary: "Operations on a hash map of u32 to u64 by its number of elements, random keys, ns each.",
  columns: [
    { key: "entries", title: "elements" },
    { key: "lookup", title: "lookup", digits: 1 },
    { key: "update", title: "update", digits: 1 },
    { key: "replace", title: "delete and insert", digits: 1 },
    { key: "kernelLookup", title: "kernel lookup", digits: 1 },
    { key: "kernelUpdate", title: "kernel update", digits: 1 },
    { key: "kernelReplace", title: "kernel delete and insert", digits: 1 },
  ],
  async *measure(options) {
    for (const entries of options.quick ? ENTRIES.slice(0, 2) : ENTRIES) {
      options.onProgress(`maps ${entries}`);
      yield await atSize(entries, options);
    }
  },
};

async function atSize(entries: number, { quick, onSkip }: MeasureOptions): Promise<TableRow> {
  const samples = quick ? 2 : 7;
  const own = await ourOperations(entries);
  const kernel = await kernelOperations(entries).catch((error: Error) => {
    onSkip(`the kernel's maps: ${error.message}`);
    return null;
  });
  try {
    const found = new Map<string, number[]>();
    for (const name of OPERATIONS) for (let run = 0; run < (quick ? 1 : 20); run++) own.run(name);
    if (!quick) await settle();
    for (let sample = 0; sample < samples; sample++)
      for (const name of OPERATIONS) {
        add(found, name, own.run(name));
        if (kernel !== null) add(found, `kernel ${name}`, await kernel.run(name));
      }
    const ns = (name: string): number | null => {
      const times = found.get(name);
      return times === undefined ? null : median(times);
    };
    const less = (name: Operation, side: "" | "kernel "): number | null => {
      const [time, keys] = [ns(side + name), ns(`${side}keys`)];
      return time === null || keys === null ? null : time - keys;
    };
    return {
      entries,
      lookup: less("lookup", ""),
      update: less("update", ""),
      replace: less("replace", ""),
      kernelLookup: less("lookup", "kernel "),
      kernelUpdate: less("update", "kernel "),
      kernelReplace: less("replace", "kernel "),
    };
  } finally {
    own.close();
    kernel?.close();
  }
}

function add(found: Map<string, number[]>, name: string, time: number): void {
  const times = found.get(name);
  if (times === undefined) found.set(name, [time]);
  else times.push(time);
}

/** A filled map, and programs that work on it: ns an event. */
async function ourOperations(entries: number) {
  const opened = await openObject(workloadObject("maps"), { optimize: 2 });
  opened.map("elements").maxEntries = entries;
  opened.rodata.count = entries;
  opened.select(["fill", ...OPERATIONS]);
  const object = await opened.load({ runtimeOptions: { memory: { maximumBytes: ARENA_BYTES } } });
  const rig = new EventRig(object.runtime, generateEvents());
  const run = (name: string): number => {
    const link = rig.hook.attach(object.program(name));
    try {
      return rig.run(4, () => 0);
    } finally {
      link.detach();
    }
  };
  const fill = rig.hook.attach(object.program("fill"));
  for (let done = 0; done < entries; done += EVENT_COUNT) rig.run(1, () => 0);
  fill.detach();
  if (object.map("elements").raw.maxEntries !== entries) throw new BugError("the map has another size");
  return { run, close: () => object.close() };
}

async function kernelOperations(entries: number) {
  const path = workloadObject("maps");
  const count = new Uint8Array(new Uint32Array([entries]).buffer);
  const bytes = readFileSync(path);
  const constants = readObject(bytes, { name: path }).maps.find(({ section }) => section === ".rodata")!.name;
  const edits = { maps: { elements: { maxEntries: entries }, [constants]: { initial: count } } };
  const { programs } = readObject(bytes, { name: path, edits });
  const kernel = KernelEngine.start();
  try {
    const load = (name: string): Promise<number> => {
      const outcome = programs.find((each) => each.ok && each.program.name === `kernel_${name}`);
      if (!outcome?.ok) throw new BugError(`maps.bpf.o has no kernel_${name}`);
      return kernel.load(outcome.program, null);
    };
    const fill = await load("fill");
    const handles = new Map<string, number>();
    for (const name of OPERATIONS) handles.set(name, await load(name));
    for (let done = 0; done < entries; done += 64 * EVENT_COUNT)
      await kernel.run(fill, Math.min(64, Math.ceil((entries - done) / EVENT_COUNT)));
    return {
      run: async (name: Operation) => (await kernel.run(handles.get(name)!, 4)) / EVENT_COUNT,
      close: () => kernel.close(),
    };
  } catch (error) {
    kernel.close();
    throw error;
  }
}
