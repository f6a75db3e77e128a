/** Recorded tracepoints run programs of the raw tracepoints behind them: held to what perf itself reads in the recording. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { fileInput, load, openPerfData } from "../../api/index.ts";
import { readScript } from "../sources/perf-script.ts";
import { PROBES, TARGET } from "./probes.ts";

const CAPTURE = new URL("../../examples/captures/sched.perf.data", import.meta.url);
const SCRIPT = new URL("../../examples/captures/sched.script.txt", import.meta.url);

interface Seen {
  readonly value: bigint;
  readonly pid: number;
  readonly count: number;
  readonly text: string;
}

/** As the kernel shows it: preempted tasks have no letter of their own state; TASK_DEAD is shown as what its parent sees. */
const STATES: Readonly<Record<string, bigint>> = { R: 0n, "R+": 0n, S: 1n, D: 2n, Z: 0x80n, X: 0x80n, I: 0x402n };

async function replay(programs: readonly string[]): Promise<Seen[]> {
  const source = await openPerfData(await fileInput(fileURLToPath(CAPTURE)));
  await using object = await load(PROBES, { ...TARGET, programs, runtimeOptions: { cpus: source.cpus } });
  const seen: Seen[] = [];
  const summary = await object.run(source, {
    types: { records: "seen" },
    onRecord: ({ fields }) => seen.push(fields as unknown as Seen),
  });
  expect(summary.missing).toEqual([]);
  return seen;
}

describe("a recorded sched_switch", () => {
  const switches = readScript(SCRIPT).filter(({ event }) => event === "sched/sched_switch");

  it("gives raw programs the task that leaves, and its state", async () => {
    const seen = await replay(["on_raw"]);
    expect(seen.map(({ pid, text, value }) => [pid, text, value])).toEqual(
      switches.map(({ fields }) => [Number(fields.prev_pid), fields.prev_comm, STATES[fields.prev_state!]]),
    );
  });

  it("gives typed programs the task that comes, and whether the other was preempted", async () => {
    const seen = await replay(["on_typed"]);
    expect(seen.map(({ pid, count, text, value }) => [pid, count, text, value])).toEqual(
      switches.map(({ fields }) => {
        const next = Number(fields.next_pid);
        return [next, next, fields.next_comm, fields.prev_state === "R+" ? 1n : 0n];
      }),
    );
  });

  it("gives the same to all programs of one event, beside those of the tracepoint", async () => {
    const seen = await replay(["on_raw", "on_typed", "on_tracepoint"]);
    expect(seen.length).toBe(3 * switches.length);
    expect(seen.map(({ text }) => text)).toEqual(
      // the tracepoint's own first, then in the order of the file; the task that leaves is the current one
      switches.flatMap(({ fields }) => [fields.prev_comm, fields.next_comm, fields.prev_comm]),
    );
  });
});
