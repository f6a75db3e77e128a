/** What ring buffers and perf buffers have in common for a reader: waiting, ending, back-pressure. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { createMap, type PerfEventArrayMap, type RingbufMap } from "../../runtime/maps/index.ts";
import { openReader, type RecordReader } from "../../runtime/rings/index.ts";
import { MAP, MAP_PRIVATE, PERF_SAMPLE } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";
import { makeWorld, place, type TestWorld } from "../maps/world.ts";

interface Ring {
  readonly map: RingbufMap | PerfEventArrayMap;
  /** false where the record found no room */
  write(n: number): boolean;
  /** readers that wait now */
  waiters(): number;
}

/** Both kinds of rings behind one face: readers must not differ. */
const KINDS: Record<string, (world: TestWorld) => Ring> = {
  "ring buffer": (world) => {
    const map = createMap(
      world,
      mapSpec({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 }),
    ) as RingbufMap;
    const at = place(world, new Uint8Array(104));
    return {
      map,
      write: (n) => {
        world.arena.view.setUint32(at, n, true);
        return world.library.ringbuf_output(map.address, at, 104, 0n) === 0;
      },
      waiters: () => world.arena.view.getUint32(map.address + MAP.private + MAP_PRIVATE.ringbuf.waiters, true),
    };
  },
  "perf buffer": (world) => {
    const map = createMap(
      world,
      mapSpec({ type: "perf_event_array", keySize: 4, valueSize: 4, maxEntries: 0 }),
    ) as PerfEventArrayMap;
    map.openBuffer(0, { pages: 1, sampleType: PERF_SAMPLE.RAW });
    world.onCpu(0);
    const at = place(world, new Uint8Array(100));
    return {
      map,
      write: (n) => {
        world.arena.view.setUint32(at, n, true);
        return world.library.perf_event_output(0, map.address, 0xffff_ffffn, at, 100) === 0;
      },
      waiters: () => world.arena.view.getUint32(map.address + MAP.private + MAP_PRIVATE.perfEventArray.waiters, true),
    };
  },
};

for (const [name, make] of Object.entries(KINDS)) {
  describe(`reading a ${name}`, () => {
    let ring: Ring;
    let reader: RecordReader;
    const number = (record: { data: Uint8Array }) => record.data[0]! | (record.data[1]! << 8);

    beforeEach(() => {
      ring = make(makeWorld());
      reader = openReader(ring.map);
    });

    it("gives what is there, waits for more, and ends when told", async () => {
      ring.write(1);
      ring.write(2);
      const seen: number[] = [];
      const reading = (async () => {
        for await (const record of reader) seen.push(number(record));
      })();
      await sleep(5);
      expect(seen).toEqual([1, 2]);
      expect(ring.waiters()).toBe(1);
      ring.write(3);
      await sleep(5);
      expect(seen).toEqual([1, 2, 3]);
      ring.write(4);
      reader.end();
      await reading;
      expect(seen).toEqual([1, 2, 3, 4]);
      expect(ring.waiters()).toBe(0);
    });

    it("is the queue itself: a slow reader loses nothing that a waiting producer writes", async () => {
      const wanted = 500;
      const seen: number[] = [];
      const reading = (async () => {
        for await (const record of reader) {
          seen.push(number(record));
          if (seen.length % 100 === 0) await sleep(1);
        }
      })();
      for (let n = 0; n < wanted; n++) {
        if (ring.map.moreThanHalfFull) await reader.relieved();
        expect(ring.write(n)).toBe(true);
      }
      reader.end();
      await reading;
      expect(seen).toEqual(Array.from({ length: wanted }, (_, n) => n));
      expect(reader.lost).toBe(0n);
    });

    it("ends a waiting loop when it is closed, and lets another reader go on", async () => {
      const reading = (async () => {
        for await (const _ of reader) throw new Error("nothing was written");
      })();
      await sleep(2);
      expect(() => openReader(ring.map)).toThrow(expect.objectContaining({ errno: "EBUSY" }));
      reader.close();
      await reading;
      expect(reader.drain(() => {})).toBe(0);
      ring.write(7);
      const next = openReader(ring.map);
      expect(next.drain(() => {})).toBe(1);
    });

    it("closes when the loop is left, with the rest still there", async () => {
      for (const n of [1, 2, 3]) ring.write(n);
      for await (const record of reader) {
        expect(number(record)).toBe(1);
        break;
      }
      expect(reader.closed).toBe(true);
      const next = openReader(ring.map);
      expect(next.drain(() => {})).toBe(2);
    });

    it("throws the reason of its signal", async () => {
      reader.close();
      const controller = new AbortController();
      const aborted = openReader(ring.map, { signal: controller.signal });
      const reading = (async () => {
        for await (const _ of aborted);
      })();
      await sleep(2);
      controller.abort(new Error("enough"));
      await expect(reading).rejects.toThrow("enough");
      const late = openReader(ring.map, { signal: AbortSignal.abort(new Error("before")) });
      await expect(late.records().next()).rejects.toThrow("before");
    });

    it("ends when the map is closed", async () => {
      const reading = (async () => {
        for await (const _ of reader);
      })();
      await sleep(2);
      ring.map.close();
      await reading;
      expect(() => openReader(ring.map)).toThrow(expect.objectContaining({ code: "CLOSED" }));
    });

    it("relieves a waiting producer when it is closed", async () => {
      while (ring.write(0));
      const relieved = reader.relieved();
      reader.close();
      await relieved;
    });
  });
}

const built = (path: string) => new URL(`../../dist/runtime/${path}`, import.meta.url);

// a process of its own cannot import TypeScript
describe.skipIf(!existsSync(built("rings/index.js")))("a waiting reader", () => {
  /** How a process ends that waits for records which never come. */
  const run = (statement: string, timeout = 2000) => {
    const program = `
      import { Arena } from ${JSON.stringify(built("arena.js"))};
      import { instantiateLibrary } from ${JSON.stringify(built("library.js"))};
      import { createMap } from ${JSON.stringify(built("maps/index.js"))};
      import { openReader } from ${JSON.stringify(built("rings/index.js"))};
      const arena = new Arena({ cpus: 1, maximumBytes: 1 << 22 });
      const worker = arena.worker(0);
      const table = new WebAssembly.Table({ element: "anyfunc", initial: 0 });
      const library = instantiateLibrary({ arena, worker, table, host: { now() {}, contended() {}, task_struct: () => 0, read_foreign: () => 0, watch_read() {} } });
      const spec = ${JSON.stringify(mapSpec({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 }), (_, value) => (typeof value === "bigint" ? undefined : value))};
      const reader = openReader(createMap({ arena, library, worker }, { ...spec, extra: 0n }));
      (async () => { for await (const record of reader); console.log("ended"); })();
      ${statement}
    `;
    return spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8", timeout });
  };

  it("keeps the process alive, unless it is unref'd", () => {
    expect(run("").error).toHaveProperty("code", "ETIMEDOUT");
    expect(run("reader.unref();")).toMatchObject({ status: 0, stdout: "" });
    expect(run("setTimeout(() => reader.close(), 20);")).toMatchObject({ status: 0, stdout: "ended\n" });
  });

  // BPFJIT_IDLE_SECONDS=30 is the measurement that docs/output.md tells of
  it("sleeps: it uses less than 0.1 % of a CPU", () => {
    const seconds = Number(process.env.BPFJIT_IDLE_SECONDS ?? 4);
    // the first second is Node's own: it compiles and collects what starting left behind
    const { stdout } = run(
      `setTimeout(() => {
        const before = process.cpuUsage();
        setTimeout(() => {
          const { user, system } = process.cpuUsage(before);
          console.log((user + system) / ${seconds * 1e6});
          process.exit();
        }, ${seconds * 1000});
      }, 1000);`,
      seconds * 1000 + 10_000,
    );
    if (process.env.BPFJIT_IDLE_SECONDS !== undefined) process.stdout.write(`idle reader: ${Number(stdout) * 100} %\n`);
    expect(Number(stdout)).toBeGreaterThan(0);
    expect(Number(stdout)).toBeLessThan(0.001);
  });
});
