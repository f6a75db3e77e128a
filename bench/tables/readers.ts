/** What reading costs: records of 64 bytes in a ring or perf buffer, handed to JavaScript in the ways that there are. */
import { type LoadedObject, load, PERF_SAMPLE, PerfEventArrayMap, type TypedReader } from "../../api/index.ts";
import { BugError } from "../../base/index.ts";
import { workloadObject } from "../assets.ts";
import { EVENT_COUNT, generateEvents } from "../events.ts";
import { EventRig } from "../rig.ts";
import { settle } from "../settle.ts";
import { median } from "../statistics.ts";
import type { Table } from "./table.ts";

interface Way {
  readonly way: string;
  /** reads all records that are there, returns how many */
  readonly read: (reader: TypedReader) => number | Promise<number>;
  /** a reader is closed by leaving the loop */
  readonly closes?: boolean;
}

let sink = 0;

const WAYS: readonly Way[] = [
  {
    way: "drain(): in place, nothing read",
    read: (reader) => reader.drain(() => {}),
  },
  {
    way: "drain(): in place, two members of its struct",
    read: (reader) =>
      reader.drain(({ view }) => {
        const { pid, kind } = view as unknown as { readonly pid: number; readonly kind: number };
        sink += pid + kind;
      }),
  },
  {
    way: "drain(): in place, its bytes as a typed array",
    read: (reader) =>
      reader.drain(({ bytes }) => {
        sink += bytes[8]!;
      }),
  },
  {
    way: "drain(): a copy each",
    read: (reader) =>
      reader.drain((record) => {
        sink += record.copy().data[8]!;
      }),
  },
  {
    way: "drain(): a copy each, all members",
    read: (reader) =>
      reader.drain((record) => {
        sink += (record.copy().fields as { readonly pid: number }).pid;
      }),
  },
  {
    way: "for await of batches()",
    closes: true,
    read: async (reader) => {
      let count = 0;
      for await (const batch of reader.batches()) {
        count += batch.length;
        if (count === EVENT_COUNT) return count;
      }
      return count;
    },
  },
  {
    way: "for await of records()",
    closes: true,
    read: async (reader) => {
      let count = 0;
      for await (const { data } of reader.records()) {
        sink += data[8]!;
        count += 1;
        if (count === EVENT_COUNT) return count;
      }
      return count;
    },
  },
];

/** They hold a batch. */
const PERF_PAGES = 1024;

const BUFFERS = [
  { buffer: "ring buffer", program: "ring_sample", map: "records" },
  { buffer: "perf buffer", program: "perf_sample", map: "samples" },
] as const;

export const readers: Table = {
  name: "readers",
  summary: "Reading records of 64 bytes, one thread, 16,384 records at a time.",
  columns: [
    { key: "buffer", title: "buffer" },
    { key: "way", title: "way" },
    { key: "ns", title: "ns a record", digits: 1 },
    { key: "perSecond", title: "records/s" },
  ],
  async *measure({ quick, onProgress }) {
    for (const { buffer, program, map } of BUFFERS) {
      onProgress(`readers ${buffer}`);
      await using object = await load(workloadObject("tools"), { programs: [program], optimize: 2 });
      const rig = new EventRig(object.runtime, generateEvents());
      rig.hook.attach(object.program(program));
      const { raw } = object.map(map);
      if (raw instanceof PerfEventArrayMap)
        raw.openBuffer(0, { pages: PERF_PAGES, sampleType: PERF_SAMPLE.RAW | PERF_SAMPLE.TIME | PERF_SAMPLE.CPU });
      if (!quick) await settle();
      for (const way of WAYS) {
        const times: number[] = [];
        for (let round = 0; round < (quick ? 2 : 60); round++) times.push(await oneRound(object, rig, map, way));
        // the first rounds run before V8 has compiled the path
        const ns = median(times.slice(times.length >> 1));
        yield { buffer, way: way.way, ns, perSecond: 1e9 / ns };
      }
    }
    if (sink === 0) throw new BugError("nothing was read");
  },
};

async function oneRound(object: LoadedObject, rig: EventRig, map: string, way: Way): Promise<number> {
  const reader = object.reader(map, { type: "sample" });
  try {
    // what is written stays in the buffer, which holds more than a batch
    rig.fill();
    const started = process.hrtime.bigint();
    const count = await way.read(reader);
    const elapsed = Number(process.hrtime.bigint() - started);
    if (count !== EVENT_COUNT) throw new BugError(`${way.way}: ${count} of ${EVENT_COUNT} records`);
    return elapsed / count;
  } finally {
    reader.close();
  }
}
