/** Every example over the captures, against what perf script's text says it must find. */
import { describe, expect, it } from "vitest";
import { createRuntime } from "../../runtime/index.ts";
import { readScript } from "../sources/perf-script.ts";
import { execLog, openCalls, runQueueLatency, switchesByComm } from "./expected.ts";
import { capture, compileExample, contents, example, replayExample, valueAs } from "./run.ts";

describe.each(["sched", "sched.pipe"])("over %s.perf.data", (name) => {
  const file = `${name}.perf.data`;
  const lines = readScript(capture(`${name}.script.txt`));

  it("countcomm counts switches by command", async () => {
    const { object, summary } = await replayExample("countcomm", file);
    const counted = contents(object, "counts").map(
      ({ key, value }) => [(key as { comm: string }).comm, value] as const,
    );
    expect(new Map(counted)).toEqual(switchesByComm(lines));
    expect(summary).toMatchObject({ lost: [], missing: [], truncated: null, aborted: false });
    expect(summary.events).toBe(lines.filter((line) => line.event === "sched/sched_switch").length);
  });

  it("runqlat draws the waiting times", async () => {
    const { object } = await replayExample("runqlat", file);
    const expected = runQueueLatency(lines, 27);
    expect(contents(object, "hists")).toEqual([{ key: 0, value: { slots: expected.counts } }]);
    const waiting = contents(object, "starts").map(({ key, value }) => [key, value] as const);
    expect(new Map(waiting)).toEqual(expected.waiting);
  });

  it("execlog logs processes from exec to exit", async () => {
    const { object, records } = await replayExample("execlog", file, "records");
    const type = object.manifest.types.record;
    expect(records.map(({ data }) => valueAs(type, data))).toEqual(execLog(lines));
    // whatever still ran when the recording ended
    expect(contents(object, "started").length).toBe(
      new Set(
        execLog(lines)
          .filter((record) => record.kind === "PROCESS_EXEC")
          .map((record) => record.pid),
      ).size - execLog(lines).filter((record) => record.duration > 0n).length,
    );
  });

  it("opens logs calls, without the names that no recording holds", async () => {
    const { object, records } = await replayExample("opens", file, "opens");
    const type = object.manifest.types.open;
    const seen = records.map(({ data, cpu, time }) => {
      const record = valueAs(type, data.subarray(0, type!.size)) as Record<string, unknown>;
      expect(time).toBe(record.time);
      expect([record.length, record.filename]).toEqual([-14n, ""]);
      const { length: _, filename: __, ...rest } = record;
      return { cpu, ...rest };
    });
    expect(seen).toEqual(openCalls(lines));
  });
});

describe("protocols", () => {
  const PACKETS = [
    { file: "udp-7777.bin", retval: 1, protocol: 17, dropped: true },
    { file: "udp-53.bin", retval: 2, protocol: 17, dropped: false },
    { file: "udp6-7777.bin", retval: 1, protocol: 17, dropped: true },
    { file: "tcp-80.bin", retval: 2, protocol: 6, dropped: false },
  ];

  it("counts by protocol and drops one UDP port", async () => {
    const runtime = createRuntime({ cpus: 2 });
    const object = await runtime.link(await compileExample("protocols"));
    const expected = new Map<number, { packets: bigint; bytes: bigint }>();
    for (const { file, retval, protocol } of PACKETS) {
      const dataIn = example(`packets/${file}`);
      expect(object.programs.count_protocols!.testRun({ dataIn }).retval, file).toBe(retval);
      const { packets, bytes } = expected.get(protocol) ?? { packets: 0n, bytes: 0n };
      expected.set(protocol, { packets: packets + 1n, bytes: bytes + BigInt(dataIn.length) });
    }
    const map = object.maps.traffic!;
    const counted = [...map.entries()]
      .map(({ key, value }) => ({
        key: valueAs(map.spec.keyType, key) as number,
        value: valueAs(map.spec.valueType, (value as readonly Uint8Array[])[0]!) as { packets: bigint },
      }))
      .filter(({ value }) => value.packets > 0n);
    expect(new Map(counted.map(({ key, value }) => [key, value]))).toEqual(expected);
    const bss = Object.values(object.maps).find((candidate) => candidate.spec.section === ".bss")!;
    const [entry] = [...bss.entries()];
    expect(new DataView((entry!.value as Uint8Array).buffer).getBigUint64(0, true)).toBe(2n);
  });
});
