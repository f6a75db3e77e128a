/**
 * Damaged recordings: what lies before the damage is read, then a CaptureError with the place. Nothing else ever escapes.
 * FUZZ_RUNS sets the number of random damages (default 300); FUZZ_SEED repeats a run.
 */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CaptureError } from "../../base/index.ts";
import type { SourceEvent } from "../../runtime/source.ts";
import { bytesInput, openPerfData, tracefsFormats } from "../../runtime/sources/index.ts";
import { damage, makeRandom } from "./damage.ts";
import { type Drained, drain, makeWorld } from "./world.ts";

const CAPTURES = new URL("../../examples/captures/", import.meta.url);
const RECORDED = new URL("./recorded/", import.meta.url);
const read = (url: URL): Uint8Array => new Uint8Array(readFileSync(url));
const FILE = read(new URL("sched.perf.data", CAPTURES));
const PIPE = read(new URL("sched.pipe.perf.data", CAPTURES));

async function replay(bytes: Uint8Array): Promise<Drained> {
  try {
    const source = await openPerfData(bytesInput(bytes));
    return await drain(source, makeWorld(source.cpus));
  } catch (error) {
    return { events: [], error };
  }
}

describe("a truncated recording", () => {
  it("of the pipe form yields every whole event before the cut", async () => {
    const whole = (await replay(PIPE)).events;
    for (const share of [0.3, 0.5, 0.9, 0.999]) {
      const cut = await replay(PIPE.subarray(0, Math.floor((PIPE.length * share) / 8) * 8 + 4));
      expect(cut.error).toMatchObject({ code: "CAPTURE_TRUNCATED", where: { offsetBytes: expect.any(Number) } });
      // What was not written yet when the cut came may be older than the last event: compare as sets.
      const known = new Set(whole.map(key));
      expect(cut.events.every((event) => known.has(key(event)))).toBe(true);
      expect(cut.events.length).toBeGreaterThan(whole.length * (share - 0.2));
    }
  });

  it("of the file form, cut in its last sections, yields all events", async () => {
    const { events, error } = await replay(FILE.subarray(0, FILE.length - 100));
    expect(error).toMatchObject({ code: "CAPTURE_TRUNCATED" });
    expect(events).toEqual((await replay(FILE)).events);
  });

  it("of the file form says that the names of its events are gone with its end", async () => {
    const { events, error } = await replay(FILE.subarray(0, FILE.length / 2));
    expect(events).toEqual([]);
    expect(error).toMatchObject({ code: "CAPTURE_TRUNCATED", message: expect.stringContaining("names and formats") });
  });

  it("of the file form yields what is left where somebody else knows its events", async () => {
    const whole = await openPerfData(bytesInput(FILE));
    const root = makeTracefs(whole.events!);
    const formats = (ids: ReadonlySet<number>) => tracefsFormats(ids, root);
    const source = await openPerfData(bytesInput(FILE.subarray(0, FILE.length / 2)), { formats });
    expect(source.cpus).toBe(whole.cpus);
    const { events, error } = await drain(source, makeWorld(source.cpus));
    expect(error).toMatchObject({
      code: "CAPTURE_TRUNCATED",
      message: expect.stringContaining("taken from elsewhere"),
    });
    const known = new Set((await replay(FILE)).events.map(key));
    expect(events.length).toBeGreaterThan(known.size / 3);
    expect(events.every((event) => known.has(key(event)))).toBe(true);
    await whole.close();
  });

  it("is reported wherever the cut is", async () => {
    for (let length = 0; length < PIPE.length; length += 4999) {
      const { error } = await replay(PIPE.subarray(0, length));
      if (error !== null) expect(error, `${length} bytes`).toBeInstanceOf(CaptureError);
    }
  });
});

/** A tracefs that knows the capture's events, by the ids that it has them under. */
function makeTracefs(events: readonly SourceEvent[]): string {
  const root = mkdtempSync(join(tmpdir(), "bpfjit-tracefs-"));
  for (const [name, id] of IDS) {
    const directory = join(root, "events", name);
    const { type } = events.find((event) => event.name === name)!;
    if (type?.kind !== "struct") throw new Error("a record is a struct");
    const fields = type.members.map(
      (member) =>
        `\tfield:u8 ${member.name}[];\toffset:${member.offsetBits / 8};\tsize:${member.type.size};\tsigned:0;`,
    );
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "id"), `${id}\n`);
    writeFileSync(join(directory, "format"), `name: ${name.split("/")[1]}\nID: ${id}\nformat:\n${fields.join("\n")}\n`);
  }
  return root;
}
/** as perf report --header-only shows them */
const IDS = new Map([
  ["sched/sched_switch", 0x174],
  ["sched/sched_wakeup", 0x176],
  ["sched/sched_wakeup_new", 0x175],
  ["sched/sched_process_exec", 0x16d],
  ["sched/sched_process_exit", 0x171],
  ["sched/sched_process_fork", 0x16e],
  ["syscalls/sys_enter_openat", 0x30e],
]);

const key = (event: { timeNs: bigint; hook: string; cpu: number }): string =>
  `${event.timeNs} ${event.hook} ${event.cpu}`;

describe("damage in the middle", () => {
  it("is reported with its place, behind the events before it", async () => {
    const bytes = Uint8Array.from(PIPE);
    const view = new DataView(bytes.buffer);
    const at = thousandthSample(view);
    view.setUint16(at + 6, 9, true);
    const { events, error } = await replay(bytes);
    expect(error).toMatchObject({ code: "CAPTURE_MALFORMED", where: { offsetBytes: at } });
    expect(events.length).toBe(999);
  });
});

/** Offset of the 1000th sample of the pipe form, found record by record. */
function thousandthSample(view: DataView): number {
  let at = 16;
  for (let samples = 0; ; ) {
    const type = view.getUint32(at, true);
    if (type === 9 && ++samples === 1000) return at;
    const extra = type === 66 ? (view.getUint32(at + 8, true) + 7) & ~7 : 0;
    at += view.getUint16(at + 6, true) + extra;
  }
}

const RUNS = Number(process.env.FUZZ_RUNS ?? 300);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);

describe("random damage", () => {
  const seeds = ["task", "callgraph", "group"].map((name) => read(new URL(`${name}.perf.data`, RECORDED)));
  // The first fifth of a pipe: its header and some hundred events.
  seeds.push(PIPE.subarray(0, 100_000));

  it(`never escapes as anything but a CaptureError (${RUNS} runs, seed ${SEED})`, async () => {
    const random = makeRandom(SEED);
    for (let run = 0; run < RUNS; run++) {
      const bytes = damage(seeds[run % seeds.length]!, random);
      const { error } = await replay(bytes);
      if (error !== null && !(error instanceof CaptureError)) {
        throw new Error(`run ${run} of seed ${SEED} escaped`, { cause: error });
      }
    }
  }, 3_600_000);
});
