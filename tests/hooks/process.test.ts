/** The process itself as a source: performance entries and diagnostics channels fire tracepoints. */
import { channel } from "node:diagnostics_channel";
import { lookup } from "node:dns/promises";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { constants } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { defineTracepoint, type LoadedObject, load } from "../../api/index.ts";
import { NODE_TRACEPOINTS, observeChannel, observeNode } from "../../api/node.ts";

const PROCESS = fileURLToPath(new URL("fixtures/process.bpf.o", import.meta.url));
const REQUESTS = fileURLToPath(new URL("fixtures/requests.bpf.o", import.meta.url));

interface Told {
  readonly start_ns: bigint;
  readonly duration_ns: bigint;
  readonly number: number;
  readonly flag: number;
  readonly first: string;
  readonly second: string;
}

async function observe(programs: readonly string[]): Promise<{ object: LoadedObject; told: () => Told[] }> {
  const object = await load(PROCESS, { tracepoints: NODE_TRACEPOINTS, programs });
  object.attach();
  const told: Told[] = [];
  const reading = object.openRecords(({ fields }) => told.push(fields as unknown as Told), {
    types: { records: "told" },
  });
  return {
    object,
    told: () => {
      reading.drain();
      return told.splice(0);
    },
  };
}
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

describe("observeNode", () => {
  it("tells of user timings, until it is disposed of", async () => {
    const { object, told } = await observe(["on_mark", "on_measure"]);
    const observation = observeNode(object.runtime);
    performance.mark("begin", { startTime: 5 });
    performance.measure("work", { start: 5, end: 12.5 });
    await turn();
    expect(told()).toMatchObject([
      { first: "begin", start_ns: 5_000_000n },
      { first: "work", start_ns: 5_000_000n, duration_ns: 7_500_000n },
    ]);
    observation[Symbol.dispose]();
    performance.mark("after");
    await turn();
    expect(told()).toEqual([]);
  });

  it("tells of requests that are made and answered, and of lookups", async () => {
    const { object, told } = await observe(["on_http", "on_dns"]);
    using _ = observeNode(object.runtime);
    const server = createServer((_request, response) => response.writeHead(418).end("tea"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise<void>((resolve, reject) => {
      get({ host: "127.0.0.1", port, path: "/pot?full" }, (response) => response.resume().on("end", resolve)).on(
        "error",
        reject,
      );
    });
    await lookup("localhost");
    server.close();
    await turn();
    const seen = told();
    const http = seen.filter(({ number }) => number !== 0);
    expect(http.map(({ first, number, flag }) => [first, number, flag]).sort()).toEqual([
      ["GET", 418, 0],
      ["GET", 418, 1],
    ]);
    expect(http.find(({ flag }) => flag === 0)!.second).toBe("/pot?full");
    expect(seen).toContainEqual(expect.objectContaining({ first: "lookup", second: "localhost" }));
    expect(seen.every(({ duration_ns }) => duration_ns > 0n)).toBe(true);
  });

  it("tells of garbage collections: which kind, and how long", async () => {
    const { object, told } = await observe(["on_gc"]);
    using _ = observeNode(object.runtime);
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const before = BigInt(Math.floor(performance.now() * 1e6));
    collect();
    await turn();
    const major = told().filter(({ number }) => number === constants.NODE_PERFORMANCE_GC_MAJOR);
    expect(major.length).toBeGreaterThan(0);
    expect(major.every(({ duration_ns }) => duration_ns > 0n)).toBe(true);
    expect(major.at(-1)!.start_ns).toBeGreaterThan(before - 1_000_000_000n);
  });

  it("observes nothing that no program wants", async () => {
    const { object, told } = await observe(["on_gc"]);
    for (const link of object.runtime.hooks.links) link.detach();
    using _ = observeNode(object.runtime);
    performance.mark("unwanted");
    await turn();
    expect(told()).toEqual([]);
  });
});

describe("observeChannel", () => {
  it("fires for every message, with what is made of it", async () => {
    const definition = defineTracepoint("http_request", {
      args: { method: "str", status: "u32", ns: "u64", failed: "bool", offset: "s16" },
    });
    await using object = await load(REQUESTS, { tracepoints: [definition], programs: ["on_typed"] });
    object.attach();
    const seen: unknown[] = [];
    const reading = object.openRecords(({ fields }) => seen.push(fields), { types: { requests: "request" } });
    const observation = observeChannel(object.runtime, "shop:order", definition, (message) => {
      const { total } = message as { total: number };
      return total === 0 ? null : { method: "order", status: total, ns: 0, failed: false, offset: 0 };
    });
    for (const total of [3, 0, 4]) channel("shop:order").publish({ total });
    observation[Symbol.dispose]();
    channel("shop:order").publish({ total: 5 });
    reading.drain();
    expect(seen).toMatchObject([
      { method: "order", status: 3n },
      { method: "order", status: 4n },
    ]);
  });
});
