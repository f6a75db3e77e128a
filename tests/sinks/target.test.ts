/** Outputs that are slow, full, gone or closed. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UsageError } from "../../base/index.ts";
import { bytesInput, openPerfData, openSink, type RecordSink } from "../../runtime/index.ts";
import { PcapngSink } from "../../runtime/sinks/pcapng/sink.ts";
import { PerfDataSink } from "../../runtime/sinks/perf-data/sink.ts";
import type { OutputTarget } from "../../runtime/sinks/target.ts";
import { ORIGINS, task } from "./scene.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfjit-sinks-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function writeMany(sink: RecordSink, count: number, bytes = 1000): void {
  const place = { cpu: 0, time: 1n, task: task(1, "init") };
  for (let index = 0; index < count; index++) sink.write(2, new Uint8Array(bytes), place);
}

const begin = <Sink extends RecordSink>(sink: Sink): Sink => {
  sink.begin({ origins: ORIGINS, cpus: 1, types: {} });
  return sink;
};

/** A disk with room for `room` bytes. */
class SmallDisk implements OutputTarget {
  readonly name = "small disk";
  readonly seekable = true;
  readonly isFull = false;
  readonly #bytes: Uint8Array;
  #length = 0;
  closed = 0;

  constructor(room: number) {
    this.#bytes = new Uint8Array(room);
  }
  get content(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
  write(bytes: Uint8Array): void {
    const part = bytes.subarray(0, this.#bytes.length - this.#length);
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
    if (part.length < bytes.length) {
      throw new UsageError("OUTPUT_UNWRITABLE", "small disk: no space left on device", { errno: "ENOSPC" });
    }
  }
  rewrite(bytes: Uint8Array, position: number): void {
    this.#bytes.set(bytes, position);
  }
  cut(length: number): void {
    this.#length = length;
  }
  async relieved(): Promise<void> {}
  async close(): Promise<void> {
    this.closed++;
  }
}

describe("a path that cannot be written", () => {
  it.each([["nowhere/out.perf.data", "ENOENT"]])("%s is a UsageError with errno %s", (name, errno) => {
    const path = join(directory, name);
    expect(() => openSink(path)).toThrow(expect.objectContaining({ code: "OUTPUT_UNWRITABLE", errno }));
    expect(() => openSink(path)).toThrow(UsageError);
  });

  it("says so for a name without a format, before anything is made", () => {
    const path = join(directory, "out.txt");
    expect(() => openSink(path)).toThrow(/does not say what format/);
    expect(existsSync(path)).toBe(false);
    expect(() => openSink(path, { format: "perf.data", packets: {} })).toThrow(/pcapng only/);
  });

  it("has nothing to write of an object without buffers", () => {
    const sink = openSink(join(directory, "none.perf.data"));
    expect(() => sink.begin({ origins: [], cpus: 1, types: {} })).toThrow(/nothing to write/);
  });
});

describe("a full disk", () => {
  it("stops perf.data with a typed error, and leaves the whole records that fit", async () => {
    const disk = new SmallDisk(200_000);
    const sink = begin(new PerfDataSink(disk));
    expect(() => writeMany(sink, 1000)).toThrow(expect.objectContaining({ errno: "ENOSPC" }));
    await expect(sink.close()).rejects.toThrow(expect.objectContaining({ code: "OUTPUT_UNWRITABLE" }));
    await sink.close();
    expect(disk.closed).toBe(1);
    const source = await openPerfData(bytesInput(disk.content));
    expect(source.progress.total).toBe(disk.content.length);
    expect(disk.content.length).toBeGreaterThan(130_000);
    await source.close();
  });

  it("stops pcapng behind a whole block", async () => {
    const disk = new SmallDisk(200_000);
    const sink = begin(new PcapngSink(disk, {}));
    expect(() => writeMany(sink, 1000)).toThrow(UsageError);
    await expect(sink.close()).rejects.toThrow(UsageError);
    const bytes = Buffer.from(disk.content);
    let at = 0;
    while (at < bytes.length) at += bytes.readUInt32LE(at + 4);
    expect(at).toBe(bytes.length);
  });

  it.skipIf(!existsSync("/dev/full"))("is a real one", async () => {
    const sink = begin(openSink("/dev/full", { format: "perf.data" }));
    writeMany(sink, 10);
    await expect(sink.close()).rejects.toThrow(expect.objectContaining({ errno: "ENOSPC" }));
  });
});

describe("a stream", () => {
  it("that is slow says so, and is waited for", async () => {
    let taken = 0;
    let release = (): void => {};
    const slow = new Writable({
      highWaterMark: 1 << 16,
      write: (chunk: Uint8Array, _encoding, done) => {
        taken += chunk.length;
        release = done;
      },
    });
    const sink = begin(openSink(slow, { format: "pcapng" }));
    while (!sink.isFull) writeMany(sink, 10);
    expect(slow.writableLength).toBeLessThan(1 << 18);
    let relieved = false;
    const relief = sink.relieved().then(() => {
      relieved = true;
    });
    await new Promise(setImmediate);
    expect(relieved).toBe(false);
    const timer = setInterval(() => release(), 1);
    await relief;
    expect(sink.isFull).toBe(false);
    await sink.close();
    clearInterval(timer);
    expect(taken).toBeGreaterThan(1 << 16);
    expect(slow.writableEnded).toBe(false);
  });

  it("that fails stops the output with its error", async () => {
    const failing = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error("gone"), { code: "EPIPE" })),
    });
    const sink = begin(openSink(failing));
    writeMany(sink, 100);
    await new Promise(setImmediate);
    expect(sink.isFull).toBe(true);
    await expect(sink.relieved()).rejects.toThrow(/output stream: gone/);
    expect(() => writeMany(sink, 100)).toThrow(UsageError);
    await expect(sink.close()).rejects.toThrow(expect.objectContaining({ code: "OUTPUT_UNWRITABLE" }));
  });

  it("that was ended is no output", async () => {
    const ended = new PassThrough();
    ended.end();
    const sink = begin(openSink(ended));
    await expect(sink.close()).rejects.toThrow(/it is closed/);
  });

  it("is what a path that is no regular file becomes", async () => {
    if (!existsSync("/dev/null")) return;
    const sink = begin(openSink("/dev/null", { format: "perf.data" }));
    writeMany(sink, 1000);
    await sink.close();
    expect(sink.records).toBe(1000);
  });
});

it("a sink that nobody began leaves an empty file", async () => {
  const path = join(directory, "empty.perf.data");
  await openSink(path).close();
  expect(readFileSync(path).length).toBe(0);
});
