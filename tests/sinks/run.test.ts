/** Runs whose records go to a file: through the library and the command. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { load } from "../../api/index.ts";
import { LoadedObject, type RunOptions } from "../../api/object.ts";
import { bytesInput, createRuntime, fileInput, openPerfData, openSink } from "../../runtime/index.ts";
import { readFileHeader } from "../../runtime/sources/perf-data/header.ts";
import * as perf from "../../spec/perf.ts";
import { bpfjit } from "../command/command.ts";
import { compile } from "../runtime/compile.ts";
import { type FakeEvent, FakeSource } from "../runtime/fake-source.ts";
import { ask, isInstalled } from "./outside.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
const CAPTURE = join(EXAMPLES, "captures/sched.perf.data");

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfjit-sinks-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Sample {
  readonly id: number;
  readonly tgid: number;
  readonly tid: number;
  readonly time: bigint;
  readonly cpu: number;
  readonly data: Buffer;
}

/** Samples and losses of a finished file. */
async function readOutput(path: string): Promise<{ samples: Sample[]; lost: bigint }> {
  const bytes = readFileSync(path);
  const header = await readFileHeader(bytesInput(bytes), bytes.length, null);
  expect(header.truncated).toBe(null);
  const samples: Sample[] = [];
  let lost = 0n;
  for (let at = header.dataStart; at < header.dataEnd!; at += bytes.readUInt16LE(at + 6)) {
    const type = bytes.readUInt32LE(at);
    if (type === perf.RECORD.LOST) lost += bytes.readBigUInt64LE(at + 16);
    if (type !== perf.RECORD.SAMPLE) continue;
    samples.push({
      id: bytes.readUInt32LE(at + 8),
      tgid: bytes.readInt32LE(at + 24),
      tid: bytes.readInt32LE(at + 28),
      time: bytes.readBigUInt64LE(at + 32),
      cpu: bytes.readInt32LE(at + 40),
      data: bytes.subarray(at + 52, at + 52 + bytes.readUInt32LE(at + 48)),
    });
  }
  return { samples, lost };
}

async function runExample(name: string, options: RunOptions) {
  const source = await openPerfData(fileInput(CAPTURE));
  await using object = await load(join(EXAMPLES, `${name}.bpf.o`), { runtimeOptions: { cpus: source.cpus } });
  return await object.run(source, options);
}

describe("a capture's records", () => {
  it.each(["execlog", "opens"])("of %s lie in perf.data as the program wrote them, in order of time", async (name) => {
    const path = join(directory, `${name}.perf.data`);
    const written: Uint8Array[] = [];
    const summary = await runExample(name, {
      output: openSink(path),
      onRecord: ({ data }) => written.push(data),
    });
    const { samples, lost } = await readOutput(path);
    expect(samples.length).toBe(summary.records);
    expect(samples.length).toBeGreaterThan(400);
    expect(lost).toBe(0n);
    samples.forEach(({ data }, index) => {
      expect(data.equals(written[index]!)).toBe(true);
    });
    // both examples write the time of the event first
    for (const { time, data } of samples) expect(time).toBe(data.readBigUInt64LE(0));
    expect(samples.every(({ time }, index) => index === 0 || time >= samples[index - 1]!.time)).toBe(true);
  });

  it("carry the task that wrote them", async () => {
    const path = join(directory, "tasks.perf.data");
    await runExample("opens", { output: openSink(path) });
    const { samples } = await readOutput(path);
    for (const { tgid, tid, data } of samples) expect([tgid, tid]).toEqual([data.readInt32LE(8), data.readInt32LE(12)]);
    if (!isInstalled("perf")) return;
    const lines = ask("perf", ["script", "-i", path, "-F", "comm,tid,event"]).trim().split("\n");
    const comms = samples.map(
      ({ data, tid }) => `${data.toString("latin1", 40, 56).replace(/\0.*$/s, "")} ${tid} opens:`,
    );
    expect(lines.map((line) => line.trim().replace(/\s+/g, " "))).toEqual(comms);
  });

  it("are the same bytes every time", async () => {
    const paths = ["first", "second"].map((name) => join(directory, `${name}.pcapng`));
    for (const path of paths) await runExample("opens", { output: openSink(path) });
    expect(readFileSync(paths[0]!).equals(readFileSync(paths[1]!))).toBe(true);
  });
});

/** Writes 8 bytes of the event to a ring buffer of one page. */
const COPY = `
; prog: tracepoint name=copy target=test/event section=tp/test/event
; map: ring ringbuf key=0 value=0 max=4096
  r1 = *(u64 *)(r1 + 8)
  *(u64 *)(r10 - 8) = r1
  r1 = map[ring] ll
  r2 = r10
  r2 += -8
  r3 = 8
  r4 = 0
  call bpf_ringbuf_output
  r0 = 0
  exit
`;

function events(count: number): FakeEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    name: "test/event",
    payload: new Uint8Array(BigUint64Array.of(0n, BigInt(index)).buffer),
    timeNs: 1_000_000n + BigInt(index),
    cpu: index % 3,
    pid: 100 + (index % 7),
  }));
}

async function runCopies(count: number, options: RunOptions) {
  const runtime = createRuntime({ cpus: 3 });
  await using object = new LoadedObject(await runtime.link(await compile(COPY)), runtime, { ownsRuntime: true });
  return await object.run(new FakeSource(events(count), { cpus: 3, batchEvents: 1000 }), options);
}

describe("records of a BPF ring buffer", () => {
  it("carry time, CPU and task of the event that wrote them, though the ring does not", async () => {
    const path = join(directory, "ring.perf.data");
    await runCopies(3000, { output: openSink(path) });
    const { samples } = await readOutput(path);
    expect(samples.length).toBe(3000);
    samples.forEach(({ data, time, cpu, tid }, index) => {
      expect([data.readBigUInt64LE(0), time, cpu, tid]).toEqual([
        BigInt(index),
        1_000_000n + BigInt(index),
        index % 3,
        100 + (index % 7),
      ]);
    });
  });

  it("wait for a slow output, in bounded memory", async () => {
    let waiting = 0;
    const slow = new Writable({
      highWaterMark: 1 << 12,
      write: (_chunk, _encoding, done) => {
        waiting = Math.max(waiting, slow.writableLength);
        setTimeout(done, 1);
      },
    });
    const summary = await runCopies(20_000, { output: openSink(slow) });
    expect([summary.records, summary.lostRecords]).toEqual([20_000, 0n]);
    expect(waiting).toBeLessThan(1 << 17);
  });
});

describe("a run that ends early", () => {
  it("by a signal leaves a readable file", async () => {
    const path = join(directory, "aborted.perf.data");
    const stop = new AbortController();
    const summary = await runCopies(50_000, {
      output: openSink(path),
      signal: stop.signal,
      onProgress: ({ events: done }) => done >= 3000 && stop.abort(),
    });
    expect(summary.aborted).toBe(true);
    expect((await readOutput(path)).samples.length).toBe(summary.records);
    expect(summary.records).toBeLessThan(50_000);
  });

  it("by an error leaves a readable file, and the error", async () => {
    const path = join(directory, "failed.perf.data");
    const onRecord = ({ data }: { data: Uint8Array }): void => {
      if (data[0] === 100) throw new Error("enough");
    };
    await expect(runCopies(1000, { output: openSink(path), onRecord })).rejects.toThrow("enough");
    expect((await readOutput(path)).samples.length).toBe(101);
  });

  it("by its output ends with that error", async () => {
    const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error("unplugged")) });
    await expect(runCopies(20_000, { output: openSink(failing) })).rejects.toThrow(
      expect.objectContaining({ code: "OUTPUT_UNWRITABLE" }),
    );
  });
});

it("losses that no record followed are told at the end", async () => {
  const path = join(directory, "lost.perf.data");
  const runtime = createRuntime({ cpus: 3 });
  await using object = new LoadedObject(await runtime.link(await compile(COPY)), runtime, { ownsRuntime: true });
  object.attach();
  const output = openSink(path);
  const reading = object.openRecords(null, { output });
  const hook = runtime.hooks.get("tracepoint", "test/event");
  // 16 bytes a record in a ring of 4,096
  for (let index = 0; index < 300; index++) hook.fire(new Uint8Array(16), { cpu: 0 });
  reading.drain();
  for (let index = 0; index < 300; index++) hook.fire(new Uint8Array(16), { cpu: 0 });
  reading.finish();
  reading.close();
  await output.close();
  const { samples, lost } = await readOutput(path);
  expect(BigInt(samples.length) + lost).toBe(600n);
  expect(lost).toBeGreaterThan(0n);
});

describe("the command", () => {
  it("writes records to a file instead of printing them", async () => {
    const path = join(directory, "command.perf.data");
    const args = ["run", join(EXAMPLES, "execlog.bpf.o"), "-i", CAPTURE, "--no-maps"];
    const { code, stdout } = await bpfjit([...args, "-o", path]);
    expect([code, stdout]).toEqual([0, ""]);
    expect((await readOutput(path)).samples.length).toBe(422);
  });

  it("writes a test run's packets to pcapng", async () => {
    const path = join(directory, "packets.pcapng");
    const args = ["test-run", join(EXAMPLES, "protocols.bpf.o"), "-p", "count_protocols"];
    const { code } = await bpfjit([...args, "--data-in", join(EXAMPLES, "packets/tcp-80.bin"), "-o", path]);
    expect(code).toBe(0);
    const bytes = readFileSync(path);
    expect(bytes.toString("latin1")).toContain("count_protocols returned 2");
    if (!isInstalled("tshark")) return;
    const fields = ["-e", "tcp.dstport", "-e", "frame.verdict.ebpf_xdp"];
    expect(ask("tshark", ["-r", path, "-T", "fields", ...fields])).toBe("80\t\n80\t2\n");
  });

  it.each([
    [["-o", "out.txt"], /does not say what format/],
    [["--format", "pcapng"], /give a file with -o/],
    [["-o", "-", "--json"], /both need standard output/],
    [["-o", "out.data", "--format", "pcap"], /--format is perf\.data or pcapng/],
    [["-o", "out.pcapng", "--packet", "events"], /--packet takes/],
  ])("refuses %j", async (options, message) => {
    const { code, stderr } = await bpfjit(["run", join(EXAMPLES, "execlog.bpf.o"), "-i", CAPTURE, ...options]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});
