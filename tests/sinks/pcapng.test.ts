/** Packet records written as pcapng: what readers of captures find in the file. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UsageError } from "../../base/index.ts";
import { openSink, type SinkOptions } from "../../runtime/index.ts";
import { ask, expectRecorded, isInstalled, recordedText } from "./outside.ts";
import { ORIGINS, PACKET, TYPES, task, writeScene } from "./scene.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bpfjit-sinks-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const PACKETS = { packets: { meta: "meta", length: "packet_bytes" } };

async function sceneFile(name = "scene.pcapng", packets: SinkOptions["packets"] = PACKETS): Promise<string> {
  const path = join(directory, name);
  const sink = openSink(path, { format: "pcapng", packets });
  writeScene(sink);
  sink.packet({ interfaceName: "drop_udp", data: PACKET, direction: "in", time: 5_005_000_000n });
  sink.packet({
    interfaceName: "drop_udp",
    data: PACKET,
    direction: "out",
    comment: "drop_udp returned 1",
    verdict: { type: "xdp", value: 1 },
  });
  await sink.close();
  return path;
}

/** Bodies of the blocks, by type. Checks that every block says its length at both ends. */
function blocksOf(bytes: Buffer): { readonly type: number; readonly body: Buffer }[] {
  const blocks = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at + 4);
    expect(length % 4).toBe(0);
    expect(bytes.readUInt32LE(at + length - 4)).toBe(length);
    blocks.push({ type: bytes.readUInt32LE(at), body: bytes.subarray(at + 8, at + length - 4) });
    at += length;
  }
  return blocks;
}

describe("pcapng", () => {
  it("is what was recorded, byte for byte, every time", async () => {
    const bytes = readFileSync(await sceneFile());
    expect(readFileSync(await sceneFile("again.pcapng")).equals(bytes)).toBe(true);
    expectRecorded("scene.pcapng", bytes);
  });

  it("is a section, interfaces before their first packet, packets, and statistics", async () => {
    const blocks = blocksOf(readFileSync(await sceneFile()));
    expect(blocks.map(({ type }) => type)).toEqual([0x0a0d_0d0a, 1, 6, 6, 1, 6, 1, 6, 6, 6, 1, 6, 6, 5, 5, 5, 5]);
  });

  it("takes the packet out of its record, in full and cut short", async () => {
    const packets = blocksOf(readFileSync(await sceneFile())).filter(({ type }) => type === 6);
    const [whole, cut] = [packets[2]!.body, packets[5]!.body];
    expect([whole.readUInt32LE(12), whole.readUInt32LE(16)]).toEqual([46, 46]);
    expect([...whole.subarray(20, 66)]).toEqual([...PACKET]);
    // 8 + 60 bytes and a size word fill 72: no padding
    expect([cut.readUInt32LE(12), cut.readUInt32LE(16)]).toEqual([60, 1500]);
  });

  it("leaves the padding on a packet whose length nobody says", async () => {
    const path = await sceneFile("plain.pcapng", { packets: { meta: 8 } });
    const packet = blocksOf(readFileSync(path)).filter(({ type }) => type === 6)[2]!.body;
    expect(packet.readUInt32LE(12)).toBe(52);
    expect(packet.toString("latin1")).toContain("030000002e000000");
  });

  it("cuts what Wireshark could not read", async () => {
    const path = join(directory, "long.pcapng");
    const sink = openSink(path);
    sink.begin({ origins: ORIGINS, cpus: 1, types: {} });
    sink.write(2, new Uint8Array(300_000), { cpu: 0, time: 1n, task: null });
    await sink.close();
    const packet = blocksOf(readFileSync(path))[2]!.body;
    expect([packet.readUInt32LE(12), packet.readUInt32LE(16)]).toEqual([262_144, 300_000]);
    if (isInstalled("tshark")) expect(ask("tshark", ["-r", path, "-T", "fields", "-e", "frame.len"])).toBe("300000\n");
  });

  it("shortens a comment that no option holds", async () => {
    const path = join(directory, "comment.pcapng");
    const sink = openSink(path, { format: "pcapng" });
    sink.begin({ origins: [], cpus: 1, types: {} });
    sink.packet({ interfaceName: "i", data: PACKET, direction: "in", comment: "ä".repeat(40_000) });
    await sink.close();
    expect(blocksOf(readFileSync(path))[2]!.body.toString("utf8")).toMatch(/[^ä]ä{32766}…[^ä]/);
  });

  it("refuses layouts that the object does not have", async () => {
    const begin = (packets: SinkOptions["packets"]) => () =>
      openSink(join(directory, "refused.pcapng"), { packets }).begin({ origins: ORIGINS, cpus: 1, types: TYPES });
    expect(begin({ nothing: { meta: 8 } })).toThrow(new UsageError("USAGE", "there is no map of records nothing"));
    expect(begin({ packets: { meta: "toString" } })).toThrow(/no struct toString/);
    expect(begin({ packets: { meta: "meta", length: "size" } })).toThrow(/struct meta has no number size/);
    expect(begin({ packets: { meta: 4, length: "size" } })).toThrow(/needs the struct/);
    expect(begin({ packets: { meta: -1 } })).toThrow(/whole number/);
    expect(begin({ packets: { meta: 2, linkType: 101 } })).not.toThrow();
  });

  it("takes a record shorter than its meta as it is", async () => {
    const path = join(directory, "short.pcapng");
    const sink = openSink(path, { packets: PACKETS });
    sink.begin({ origins: ORIGINS, cpus: 1, types: TYPES });
    sink.write(1, Uint8Array.of(1, 2, 3, 4), { cpu: 0, time: null, task: task(1, "init") });
    await sink.close();
    expect(blocksOf(readFileSync(path))[1]!.body.readUInt16LE(0)).toBe(147);
  });
});

/** What tshark is asked for, a line a packet. */
const FIELDS = [
  "frame.number",
  "frame.time_epoch",
  "frame.interface_name",
  "frame.encap_type",
  "frame.cap_len",
  "frame.len",
  "frame.packet_flags_direction",
  "frame.verdict.ebpf_xdp",
  "frame.drop_count",
  "ip.dst",
  "udp.dstport",
  "frame.comment",
];

describe.skipIf(!isInstalled("tshark"))("tshark reads it", () => {
  it("packet by packet", async () => {
    const fields = FIELDS.flatMap((field) => ["-e", field]);
    const answer = ask("tshark", ["-r", await sceneFile(), "-T", "fields", "-E", "separator=|", ...fields]);
    expectRecorded("scene.tshark.txt", answer);
  });
});

it("tshark's recorded answer has packets, metas and times", () => {
  expect(recordedText("scene.tshark.txt").trimEnd().split("\n")).toMatchInlineSnapshot(`
    [
      "1|5.000000000|events|45|12|12||||||{ pid = 412, kind = 1, code = 0 },CPU 1, sh (412/412)",
      "2|5.001000001|events|45|12|12||||||{ pid = 412, kind = 2, code = 7 },CPU 1, curl (412/412)",
      "3|5.002000000|packets|1|46|46||||192.0.2.2|53|{ ifindex = 3, packet_bytes = 46 },CPU 3, swapper/3 (0/0)",
      "4|5.003000000|log|45|5|5||||||CPU 0, worker (412/415)",
      "5|5.003000000|log|45|16|16||||||",
      "6|5.004000000|packets|1|60|1500|||2|192.0.2.2|53|{ ifindex = 3, packet_bytes = 1500 },CPU 2, curl (412/412)",
      "7|5.005000000|drop_udp|1|46|46|0x00000001|||192.0.2.2|53|",
      "8|5.005000000|drop_udp|1|46|46|0x00000002|1||192.0.2.2|53|drop_udp returned 1",
    ]
  `);
});
