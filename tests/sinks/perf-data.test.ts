/** Records written as perf.data: what perf and our own reader find in the file. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bytesInput, openPerfData, openSink } from "../../runtime/index.ts";
import { readFileHeader } from "../../runtime/sources/perf-data/header.ts";
import { readPipeHeader } from "../../runtime/sources/perf-data/pipe.ts";
import * as perf from "../../spec/perf.ts";
import { ask, expectRecorded, isInstalled, recordedText } from "./outside.ts";
import { CPUS, ORIGINS, RECORDS, task, writeScene } from "./scene.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfjit-sinks-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function sceneFile(name = "scene.perf.data"): Promise<string> {
  const path = join(directory, name);
  const sink = openSink(path);
  writeScene(sink);
  await sink.close();
  return path;
}

async function scenePipe(): Promise<Uint8Array> {
  const stream = new PassThrough();
  const parts: Uint8Array[] = [];
  stream.on("data", (part) => parts.push(part));
  const sink = openSink(stream);
  writeScene(sink);
  await sink.close();
  expect(stream.writableEnded).toBe(false);
  return Buffer.concat(parts);
}

interface Read {
  readonly type: number;
  readonly bytes: Buffer;
}

/** The records between `start` and `end`. */
function recordsOf(bytes: Uint8Array, start: number, end = bytes.length): Read[] {
  const buffer = Buffer.from(bytes);
  const records: Read[] = [];
  for (let at = start; at < end; at += buffer.readUInt16LE(at + 6)) {
    records.push({ type: buffer.readUInt32LE(at), bytes: buffer.subarray(at, at + buffer.readUInt16LE(at + 6)) });
  }
  return records;
}

describe("perf.data", () => {
  it("is what was recorded, byte for byte, every time", async () => {
    const bytes = readFileSync(await sceneFile());
    expect(readFileSync(await sceneFile("again.perf.data")).equals(bytes)).toBe(true);
    expectRecorded("scene.perf.data", bytes);
  });

  it("holds the records with who, where and when", async () => {
    const bytes = readFileSync(await sceneFile());
    const header = await readFileHeader(bytesInput(bytes), bytes.length, null);
    expect(header).toMatchObject({ cpus: CPUS, truncated: null });
    expect(header.attrs.map((attr) => attr.ids)).toEqual([[1], [2], [3]]);
    const records = recordsOf(bytes, header.dataStart, header.dataEnd!);
    const samples = records.filter(({ type }) => type === perf.RECORD.SAMPLE).map(({ bytes: sample }) => sample);
    expect(samples.length).toBe(RECORDS.length);
    let time = 0n;
    samples.forEach((sample, index) => {
      const { origin, data, place } = RECORDS[index]!;
      time = place.time ?? time;
      expect(sample.length % 8).toBe(0);
      expect(sample.readBigUInt64LE(8)).toBe(BigInt(origin + 1));
      expect([sample.readInt32LE(24), sample.readInt32LE(28)]).toEqual([place.task?.tgid ?? -1, place.task?.pid ?? -1]);
      expect(sample.readBigUInt64LE(32)).toBe(time);
      expect(sample.readInt32LE(40)).toBe(place.cpu ?? -1);
      expect(sample.readUInt32LE(48)).toBe(data.length);
      expect([...sample.subarray(52, 52 + data.length)]).toEqual([...data]);
    });
    const comms = records
      .filter(({ type }) => type === perf.RECORD.COMM)
      .map(({ bytes: comm }) => comm.toString("latin1", 16, 32));
    expect(comms.map((comm) => comm.replace(/\0+$/, ""))).toEqual(["sh", "curl", "worker"]);
    const losses = records
      .filter(({ type }) => type === perf.RECORD.LOST)
      .map(({ bytes: lost }) => lost.readBigUInt64LE(16));
    expect(losses).toEqual([3n, 2n, 5n]);
  });

  it("is read by bpfjit itself, as a file and as a pipe", async () => {
    for (const bytes of [readFileSync(await sceneFile()), await scenePipe()]) {
      const source = await openPerfData(bytesInput(bytes));
      expect([source.cpus, source.events]).toEqual([CPUS, []]);
      await source.close();
    }
  });

  it("holds the same records as a pipe", async () => {
    const file = readFileSync(await sceneFile());
    const header = await readFileHeader(bytesInput(file), file.length, null);
    const pipe = await scenePipe();
    const { dataStart } = await readPipeHeader(bytesInput(pipe));
    expect(file.subarray(header.dataStart, header.dataEnd!).equals(pipe.subarray(dataStart))).toBe(true);
  });

  it("reports a record that no perf record can hold as lost", async () => {
    const path = join(directory, "long.perf.data");
    const sink = openSink(path);
    sink.begin({ origins: ORIGINS, cpus: 1, types: {} });
    const place = { cpu: 0, time: 1n, task: task(1, "init") };
    sink.write(2, new Uint8Array(65_476), place);
    sink.write(2, new Uint8Array(65_477), place);
    await sink.close();
    expect([sink.records, sink.tooLong]).toEqual([1, 1]);
    const bytes = readFileSync(path);
    const header = await readFileHeader(bytesInput(bytes), bytes.length, null);
    const types = recordsOf(bytes, header.dataStart, header.dataEnd!).map(({ type }) => type);
    expect(types).toEqual([perf.RECORD.COMM, perf.RECORD.SAMPLE, perf.RECORD.LOST]);
  });

  it("is whole without any record", async () => {
    const path = join(directory, "none.perf.data");
    const sink = openSink(path);
    sink.begin({ origins: ORIGINS, cpus: 2, types: {} });
    await sink.close();
    const bytes = readFileSync(path);
    expect(await readFileHeader(bytesInput(bytes), bytes.length, null)).toMatchObject({ cpus: 2, truncated: null });
    if (isInstalled("perf")) expect(ask("perf", ["script", "-i", path])).toBe("");
  });

  it("ends rounds, so that perf need not keep everything in memory", async () => {
    const path = join(directory, "rounds.perf.data");
    const sink = openSink(path);
    sink.begin({ origins: ORIGINS, cpus: 1, types: {} });
    for (let index = 0; index < 10_000; index++) {
      sink.write(2, new Uint8Array(8), { cpu: 0, time: BigInt(index), task: null });
      sink.round();
    }
    await sink.close();
    const bytes = readFileSync(path);
    const header = await readFileHeader(bytesInput(bytes), bytes.length, null);
    const rounds = recordsOf(bytes, header.dataStart, header.dataEnd!).filter(
      ({ type }) => type === perf.RECORD.FINISHED_ROUND,
    );
    expect(rounds.length).toBe(2);
  });
});

const SCRIPT = ["--ns", "--show-lost-events"];

describe.skipIf(!isInstalled("perf"))("perf reads it", () => {
  it("as perf script, file and pipe", async () => {
    const script = ask("perf", ["script", "-i", await sceneFile(), ...SCRIPT]);
    expectRecorded("scene.script.txt", script);
    const pipe = ask("perf", ["script", "-i", "-", ...SCRIPT], await scenePipe());
    expect(pipe).toBe(script);
  });

  it("as perf report, by task and event", async () => {
    const args = ["--stdio", "-F", "sample,comm", "--percent-limit", "0"];
    const report = ask("perf", ["report", "-i", await sceneFile(), ...args]);
    expect(report).toMatch(/of event 'events'[\s\S]*of event 'packets'[\s\S]*of event 'ringbuf:log'/);
    expect(report).toMatch(/\d+\s+curl/);
  });

  it("as far as it came, where nobody could end it", async () => {
    const path = join(directory, "killed.perf.data");
    const sink = openSink(path);
    sink.begin({ origins: ORIGINS, cpus: 4, types: {} });
    const place = { cpu: 3, time: 9n, task: task(7, "cut") };
    for (let index = 0; index < 5000; index++) sink.write(0, new Uint8Array(12), place);
    const killed = join(directory, "copy.perf.data");
    copyFileSync(path, killed);
    await sink.close();
    const lines = ask("perf", ["script", "-i", killed, "-F", "comm,tid,time,event"]).match(/cut +7 +0\.000000/g);
    expect(lines!.length).toBeGreaterThan(4000);
    const source = await openPerfData(bytesInput(readFileSync(killed)));
    expect(source.cpus).toBe(4);
    await source.close();
  });
});

it("perf's recorded answer names every record by its map, with its task, CPU and time", () => {
  const lines = recordedText("scene.script.txt")
    .split("\n")
    .filter((line) => /\d\.\d{9}:/.test(line))
    .map((line) => line.trim().replace(/\s+/g, " "));
  expect(lines).toMatchInlineSnapshot(`
    [
      "sh 412 [001] 5.000000000: 1 events: 0 [unknown] ([unknown])",
      "curl 412 [001] 5.001000001: 1 events: 0 [unknown] ([unknown])",
      ":-1 -1 [001] 5.001000500: PERF_RECORD_LOST lost 3",
      "swapper 0 [003] 5.002000000: 1 packets: 0 [unknown] ([unknown])",
      "worker 415 [000] 5.003000000: 1 ringbuf:log: 0 [unknown] ([unknown])",
      ":-1 -1 [-01] 5.003000000: 1 ringbuf:log: 0 [unknown] ([unknown])",
      ":-1 -1 [002] 5.003000000: PERF_RECORD_LOST lost 2",
      "curl 412 [002] 5.004000000: 1 packets: 0 [unknown] ([unknown])",
      ":-1 -1 [-01] 5.004000000: PERF_RECORD_LOST lost 5",
    ]
  `);
});
