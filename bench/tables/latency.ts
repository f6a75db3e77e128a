/** How long a record is on its way: from the moment an event fires to its reader's code, which sleeps until then. */
import { setImmediate } from "node:timers/promises";
import { load } from "../../api/index.ts";
import { workloadObject } from "../assets.ts";
import { generateEvents } from "../events.ts";
import { EventRig } from "../rig.ts";
import { percentile } from "../statistics.ts";
import type { Table } from "./table.ts";

const WAYS = [
  { way: "follow(), event on the same thread", workers: 0, reader: "follow" },
  { way: "for await of records(), event on the same thread", workers: 0, reader: "records" },
  { way: "follow(), event on a worker's thread", workers: 1, reader: "follow" },
  { way: "for await of records(), event on a worker's thread", workers: 1, reader: "records" },
] as const;

export const latency: Table = {
  name: "latency",
  summary: "From an event to its reader, which sleeps, over a ring buffer: µs, one event at a time.",
  columns: [
    { key: "way", title: "way" },
    { key: "p50", title: "p50", digits: 1 },
    { key: "p99", title: "p99", digits: 1 },
    { key: "p999", title: "p99.9", digits: 1 },
    { key: "events", title: "events" },
  ],
  async *measure({ quick, onProgress }) {
    for (const way of WAYS) {
      onProgress(`latency ${way.way}`);
      const events = quick ? 50 : 20_000;
      const times = await arrivals(way, events, quick ? 10 : 2_000);
      const microseconds = (share: number): number => percentile(times, share) / 1000;
      yield { way: way.way, p50: microseconds(0.5), p99: microseconds(0.99), p999: microseconds(0.999), events };
    }
  },
};

/** ns of each event, without the first `warmUp`. */
async function arrivals({ workers, reader: kind }: (typeof WAYS)[number], events: number, warmUp: number) {
  await using object = await load(workloadObject("tools"), {
    programs: ["ring_sample"],
    optimize: 2,
    runtimeOptions: { cpus: 1, workers },
  });
  const rig = new EventRig(object.runtime, generateEvents());
  rig.hook.attach(object.program("ring_sample"));
  const reader = object.reader("records", { type: "sample" });
  const times: number[] = [];
  let onArrival = (): void => {};
  const arrived = (bytes: Uint8Array): void => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    times.push(Number(process.hrtime.bigint() - view.getBigUint64(0, true)));
    onArrival();
  };
  const reading = (async () => {
    if (kind === "follow") await reader.follow(({ bytes }) => arrived(bytes));
    else for await (const { data } of reader.records()) arrived(data);
  })();
  for (let event = 0; event < warmUp + events; event++) {
    // the reader goes to sleep
    await setImmediate();
    const arrival = new Promise<void>((resolve) => {
      onArrival = resolve;
    });
    if (workers === 0) rig.fireNow();
    else await rig.fireNowThere();
    await arrival;
  }
  reader.end();
  await reading;
  return times.slice(warmUp);
}
