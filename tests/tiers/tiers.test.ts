/** Tiers: what runs at once, what takes its place, and that nobody can tell them apart by what comes out. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import {
  compile,
  defineTracepoint,
  fileInput,
  type LoadedObject,
  type LoadOptions,
  load,
  openPerfData,
  readTargetBtf,
} from "../../api/index.ts";
import { toHex } from "../../base/index.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const PROTOCOLS = path("examples/protocols.bpf.o");
const RUNQLAT = path("examples/runqlat.bpf.o");
const dataIn = readFileSync(path("examples/packets/udp-7777.bin"));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const noError = { onOptimizeError: (error: Error) => expect.unreachable(String(error)) };

/** Records as they came, and all maps. */
async function replay(object: LoadedObject): Promise<string> {
  const source = await openPerfData(fileInput(path("examples/captures/sched.perf.data")));
  const records: string[] = [];
  const { events } = await object.run(source, { onRecord: ({ map, data }) => records.push(`${map} ${toHex(data)}`) });
  const maps = Object.entries(object.maps).map(([name, { raw }]) => [
    name,
    ["ringbuf"].includes(raw.spec.type) ? null : [...raw.entries()],
  ]);
  return JSON.stringify({ events, records, maps }, (_key, value) =>
    value instanceof Uint8Array ? toHex(value) : value,
  );
}

describe("an object with tiers", () => {
  it("is what load() gives, runs at once and then optimised, counting every event once", async () => {
    await using object = await load(RUNQLAT, noError);
    const [link] = object.attach();
    expect(object.tier).toBe("first");
    let fired = 0;
    const fire = (): void => {
      for (let count = 0; count < 100; count++, fired++) link!.hook.fire(new Uint8Array(64));
    };
    fire();
    let isDone = false;
    const optimized = object.optimized().finally(() => {
      isDone = true;
    });
    while (!isDone) {
      fire();
      await turn();
    }
    await optimized;
    expect(object.tier).toBe("optimized");
    fire();
    expect(link!.runs).toBe(fired);
    await object.optimized();
  });

  it.each(["runqlat", "execlog", "opens"])(
    "%s gives the same in every tier, whenever the tier changes",
    async (name) => {
      const open = (options: LoadOptions) =>
        load(path(`examples/${name}.bpf.o`), { ...noError, runtimeOptions: { cpus: 2 }, ...options });
      const expected: string[] = [];
      for (const optimize of [0, 2] as const) {
        await using object = await open({ optimize });
        expect(object.tier).toBe("fixed");
        const outputs = [await replay(object), await replay(object)];
        if (optimize === 0) expected.push(...outputs);
        else expect(outputs).toEqual(expected);
      }
      await using between = await open({});
      const first = await replay(between);
      await between.optimized();
      expect([first, await replay(between)]).toEqual(expected);
      await using meanwhile = await open({});
      const [output] = await Promise.all([replay(meanwhile), meanwhile.optimized()]);
      expect([output, await replay(meanwhile)]).toEqual(expected);
    },
  );

  it("changes the code of every worker, in the middle of a run too", async () => {
    const options = { ...noError, runtimeOptions: { cpus: 2, workers: 2 } };
    const expected: string[] = [];
    {
      await using fixed = await load(RUNQLAT, { ...options, optimize: 0 });
      expected.push(await replay(fixed), await replay(fixed));
    }
    await using object = await load(RUNQLAT, options);
    await object.runtime.crew!.start();
    const [first] = await Promise.all([replay(object), object.optimized()]);
    expect(object.tier).toBe("optimized");
    expect([first, await replay(object)]).toEqual(expected);
    await object.runtime.crew!.kill(1);
    expect((await replay(object)).length).toBe(expected[1]!.length);
  });

  it("is optimised by itself once it has run much, and not before", async () => {
    await using object = await load(PROTOCOLS, noError);
    const program = object.program("count_protocols");
    const before = program.testRun({ dataIn, repeat: 1000 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(object.tier).toBe("first");
    program.testRun({ dataIn, repeat: 20_000_000 });
    await vi.waitFor(() => expect(object.tier).toBe("optimized"), { timeout: 50_000, interval: 50 });
    expect(program.testRun({ dataIn }).retval).toBe(before.retval);
    expect(program.runs).toBe(20_001_001);
  });

  it("stops compiling when it is closed", async () => {
    const object = await load(PROTOCOLS, noError);
    const waiting = object.optimized();
    object.close();
    await expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
    await expect(object.optimized()).rejects.toMatchObject({ code: "CLOSED" });
    expect(object.tier).toBe("first");
  });

  it("keeps both tiers in a cache, and starts with the better one", async () => {
    const cache = mkdtempSync(join(tmpdir(), "bpfjit-tiers-"));
    try {
      {
        await using object = await load(PROTOCOLS, { ...noError, cache });
        await object.optimized();
      }
      await vi.waitFor(async () => {
        await using object = await load(PROTOCOLS, { ...noError, cache });
        expect(object.tier).toBe("fixed");
      });
    } finally {
      rmSync(cache, { recursive: true });
    }
  });

  it("compiles in the thread what compile() gives, byte for byte, with the types that programs need", async () => {
    const targetBtf = readTargetBtf(readFileSync(path("examples/opens.bpf.o")));
    const tracepoints = [
      defineTracepoint("http_request", { args: { method: "str", status: "u32", duration_ns: "u64" } }),
    ];
    const options = { targetBtf, tracepoints, symbols: new Map<string, bigint>() };
    const directories = [0, 1].map(() => mkdtempSync(join(tmpdir(), "bpfjit-tiers-")));
    try {
      const [one, other] = directories as [string, string];
      const source = path("examples/http/requests.bpf.o");
      await compile(source, { ...options, optimize: 2, cache: one });
      const [name] = readdirSync(one);
      await using object = await load(source, { ...options, ...noError, cache: other });
      await object.optimized();
      await vi.waitFor(() => expect(readdirSync(other)).toContain(name));
      expect(readFileSync(join(other, name!)).equals(readFileSync(join(one, name!)))).toBe(true);
    } finally {
      for (const directory of directories) rmSync(directory, { recursive: true });
    }
  });

  it("does not keep a process alive", () => {
    const directory = mkdtempSync(join(tmpdir(), "bpfjit-tiers-"));
    const script = join(directory, "exit.mjs");
    writeFileSync(
      script,
      `import { load } from ${JSON.stringify(path("dist/api/index.js"))};
       const object = await load(${JSON.stringify(PROTOCOLS)});
       const dataIn = new Uint8Array(64);
       object.program("count_protocols").testRun({ dataIn, repeat: 20_000_000 });
       await new Promise((resolve) => setTimeout(resolve, 150));
       console.log(object.tier, process.getActiveResourcesInfo().join());`,
    );
    const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: "utf8" });
    rmSync(directory, { recursive: true });
    expect({ status, stdout, stderr }).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^(first|optimized)/),
      stderr: "",
    });
  });
});
