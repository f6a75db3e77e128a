/** perf.data, both forms, against what `perf script` reads in the same files. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { bytesInput, fileInput, openPerfData, streamInput } from "../../runtime/sources/index.ts";
import { readScript, type ScriptLine } from "./perf-script.ts";
import { drain, makeWorld, type SeenEvent } from "./world.ts";

const CAPTURES = new URL("../../examples/captures/", import.meta.url);
const RECORDED = new URL("./recorded/", import.meta.url);
const read = (url: URL): Uint8Array => new Uint8Array(readFileSync(url));

async function replay(bytes: Uint8Array, names?: readonly string[]) {
  const source = await openPerfData(bytesInput(bytes));
  const result = await drain(source, makeWorld(source.cpus), names);
  return { source, ...result };
}

const CASES = [
  { name: "a file of the whole machine", file: new URL("sched.perf.data", CAPTURES), script: "sched.script.txt" },
  {
    name: "a pipe of the whole machine",
    file: new URL("sched.pipe.perf.data", CAPTURES),
    script: "sched.pipe.script.txt",
  },
  { name: "one event, no sample ids", file: new URL("task.perf.data", RECORDED), script: "task.script.txt" },
  { name: "call chains and addresses", file: new URL("callgraph.perf.data", RECORDED), script: "callgraph.script.txt" },
];

describe.each(CASES)("$name", ({ file, script }) => {
  const lines = readScript(new URL(script, file));

  it("holds the events that perf script lists, in its order", async () => {
    const { events, error } = await replay(read(file));
    expect(error).toBeNull();
    expect(events.map(summary)).toEqual(lines.map(scriptSummary));
  });

  it("has the fields that perf script prints", async () => {
    const { events, source } = await replay(read(file));
    const formats = new Map(source.events!.map((event) => [event.name, event.type!]));
    let compared = 0;
    for (const [index, event] of events.entries()) {
      const type = formats.get(event.hook)!;
      const printed = lines[index]!.fields;
      if (type.kind !== "struct") throw new Error("a record is a struct");
      for (const member of type.members) {
        const value = printed[member.name];
        if (value === undefined || value === "" || !/^(-?\d+|0x[0-9a-f]+|[\w/:.+-]+)$/.test(value)) continue;
        const actual = fieldText(event.payload, member.offsetBits / 8, member.type, value);
        if (actual === null) continue;
        expect(`${member.name}=${actual}`, `event ${index}`).toBe(`${member.name}=${value}`);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(events.length * 2);
  });
});

type Type = NonNullable<NonNullable<Awaited<ReturnType<typeof openPerfData>>["events"]>[number]["type"]>;

/** A field as perf script prints it; null where its print format shows it by name (prev_state). */
function fieldText(payload: Uint8Array, offset: number, type: Type, like: string): string | null {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const string = (at: number): string => {
    const end = payload.indexOf(0, at);
    return new TextDecoder().decode(payload.subarray(at, end));
  };
  if (type.kind === "array") return string(offset);
  if (type.kind === "pointer") return `0x${view.getBigUint64(offset, true).toString(16)}`;
  if (type.kind !== "int") return null;
  if (type.name.startsWith("__data_loc")) return string(view.getUint32(offset, true) & 0xffff);
  if (type.encoding === "bool") return view.getUint8(offset) === 1 ? "true" : "false";
  if (like.startsWith("0x")) {
    // perf prints system call arguments as 32 bits wide where their C type is
    return `0x${(type.name.includes("char") ? view.getBigUint64(offset, true) : BigInt(view.getUint32(offset, true))).toString(16).padStart(8, "0")}`;
  }
  if (!/^-?\d+$/.test(like)) return null;
  const value = type.size === 8 ? view.getBigInt64(offset, true) : view.getInt32(offset, true);
  return like.length === 3 && like.startsWith("0") ? String(value).padStart(3, "0") : String(value);
}

const summary = (event: SeenEvent): string =>
  `${event.timeNs} ${event.hook} cpu=${event.cpu} ${event.comm.replace(/^swapper\/\d+$/, "swapper")} ${event.tgid}/${event.pid}`;
const scriptSummary = (line: ScriptLine): string =>
  `${line.timeNs} ${line.event} cpu=${line.cpu} ${line.comm} ${line.pid}/${line.tid}`;

describe("perf.data", () => {
  it("reads a file from disk, and both forms from a stream", async () => {
    const expected = (await replay(read(new URL("sched.perf.data", CAPTURES)))).events.length;
    const source = await openPerfData(fileInput(new URL("sched.perf.data", CAPTURES).pathname));
    expect((await drain(source, makeWorld(source.cpus))).events.length).toBe(expected);
    for (const file of ["sched.perf.data", "sched.pipe.perf.data"]) {
      const bytes = read(new URL(file, CAPTURES));
      const stream = await openPerfData(streamInput(pieces(bytes, 1000)));
      const streamed = await drain(stream, makeWorld(stream.cpus));
      expect(streamed.error).toBeNull();
      expect(streamed.events).toEqual((await replay(bytes)).events);
    }
  });

  it("stops waiting for a stream when the run is cancelled", async () => {
    const head = read(new URL("sched.pipe.perf.data", CAPTURES)).subarray(0, 40_000);
    const source = await openPerfData(streamInput(stuck(head)));
    const cancel = new AbortController();
    const world = Object.assign(makeWorld(source.cpus), { signal: cancel.signal });
    await source.open(world, []);
    const waiting = source.nextBatch();
    cancel.abort();
    expect(await waiting).toBeNull();
    await source.close();
  });

  it("says that nothing came, and that events are not described before they come", async () => {
    await expect(openPerfData(streamInput(pieces(new Uint8Array(), 1)))).rejects.toMatchObject({
      code: "CAPTURE_TRUNCATED",
      message: expect.stringContaining("is empty"),
      hint: expect.stringContaining("perf"),
    });
    const pipe = read(new URL("sched.pipe.perf.data", CAPTURES)).slice(0, 24);
    // a sample follows the pipe's own header
    new DataView(pipe.buffer).setUint32(16, 9, true);
    new DataView(pipe.buffer).setUint16(22, 8, true);
    await expect(openPerfData(streamInput(pieces(pipe, 24)))).rejects.toMatchObject({
      code: "CAPTURE_MALFORMED",
      hint: expect.stringContaining("--overwrite"),
    });
  });

  it("names a file that cannot be read", async () => {
    expect(() => fileInput("/nonexistent/perf.data")).toThrow(expect.objectContaining({ code: "INPUT_UNREADABLE" }));
    await expect(openPerfData(fileInput("/"))).rejects.toMatchObject({ code: "INPUT_UNREADABLE" });
  });

  it("feeds wanted events only", async () => {
    const { events } = await replay(read(new URL("sched.perf.data", CAPTURES)), ["sched/sched_process_exec"]);
    const lines = readScript(new URL("sched.script.txt", CAPTURES));
    expect(events.length).toBe(lines.filter((line) => line.event === "sched/sched_process_exec").length);
  });

  it("gives a sample of a group to its leader, once", async () => {
    const { events, error } = await replay(read(new URL("group.perf.data", RECORDED)));
    // perf script lists each sample once for every member of the group
    const lines = readScript(new URL("group.script.txt", RECORDED)).filter((line) =>
      line.event.endsWith("sched_switch"),
    );
    expect(error).toBeNull();
    expect(events.map(summary)).toEqual(lines.map(scriptSummary));
  });

  it("counts what the recorder lost once, though the recording says it twice", async () => {
    const { source, events } = await replay(read(new URL("lost.perf.data", RECORDED)));
    // one LOST of 1664; three LOST_SAMPLES of 332, 333 and 999
    expect(source.lost.reduce((sum, loss) => sum + loss.count, 0n)).toBe(1664n);
    expect(events.length).toBe(345);
  });

  it("names compression as unsupported", async () => {
    await expect(openPerfData(bytesInput(read(new URL("zstd.perf.data", RECORDED))))).rejects.toMatchObject({
      code: "CAPTURE_UNSUPPORTED",
      message: expect.stringContaining("compressed"),
    });
  });

  it("does not keep the whole recording in memory", async () => {
    const source = await openPerfData(bytesInput(read(new URL("sched.perf.data", CAPTURES))));
    const world = makeWorld(source.cpus);
    await drain(source, world);
    expect(world.allocated).toBeLessThan(1_200_000);
  });
});

/** A stream that gives some bytes and then nothing, for ever. */
async function* stuck(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
  await new Promise(() => {});
}
function* slices(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  yield* slices(bytes, size);
}
