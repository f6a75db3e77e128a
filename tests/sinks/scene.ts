/** Records of our own, for both formats: two perf event arrays and a BPF ring buffer, four CPUs, losses, changing names. */
import type { RecordOrigin, RecordPlace, RecordSink, RecordTask } from "../../runtime/index.ts";
import type { CType } from "../../spec/index.ts";

const int = (size: number): CType => ({ kind: "int", name: `u${size * 8}`, size, signed: false, encoding: "int" });

/** What is in front of a packet. */
export const META: CType = {
  kind: "struct",
  name: "meta",
  size: 8,
  members: [
    { name: "ifindex", offsetBits: 0, bitfieldBits: 0, type: int(4) },
    { name: "packet_bytes", offsetBits: 32, bitfieldBits: 0, type: int(4) },
  ],
};
const EXEC: CType = {
  kind: "struct",
  name: "exec",
  size: 12,
  members: [
    { name: "pid", offsetBits: 0, bitfieldBits: 0, type: int(4) },
    { name: "kind", offsetBits: 32, bitfieldBits: 0, type: int(2) },
    { name: "code", offsetBits: 64, bitfieldBits: 0, type: int(4) },
  ],
};

export const ORIGINS: readonly RecordOrigin[] = [
  { map: "events", kind: "perf", typeOf: (length) => (length === EXEC.size ? EXEC : null) },
  { map: "packets", kind: "perf", typeOf: () => null },
  { map: "log", kind: "ringbuf", typeOf: () => null },
];
export const TYPES = { meta: META, exec: EXEC };
export const CPUS = 4;

/** An IPv4 UDP datagram of 46 bytes, 192.0.2.1:4660 → 192.0.2.2:53. */
export const PACKET = Uint8Array.from(
  Buffer.from(
    "0200000000020200000000010800" + "45000020000100004011f6c8c0000201c0000202" + "12340035000c0000deadbeef",
    "hex",
  ),
);

export function task(pid: number, comm: string, tgid = pid): RecordTask {
  const bytes = new Uint8Array(16);
  bytes.set(new TextEncoder().encode(comm).subarray(0, 15));
  return { pid, tgid, comm: bytes };
}

export interface SceneRecord {
  readonly origin: number;
  readonly data: Uint8Array;
  readonly place: RecordPlace;
}

/** As a perf buffer pads: size word and data fill a multiple of 8. */
export function asPerf(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((data.length + 4) / 8) * 8 - 4);
  bytes.set(data);
  return bytes;
}
const u32 = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const MS = 1_000_000n;

export const RECORDS: readonly SceneRecord[] = [
  { origin: 0, data: asPerf(u32(412, 1, 0)), place: { cpu: 1, time: 5000n * MS, task: task(412, "sh") } },
  { origin: 0, data: asPerf(u32(412, 2, 7)), place: { cpu: 1, time: 5001n * MS + 1n, task: task(412, "curl") } },
  {
    origin: 1,
    data: asPerf(Uint8Array.of(...u32(3, PACKET.length), ...PACKET)),
    place: { cpu: 3, time: 5002n * MS, task: task(0, "swapper/3") },
  },
  { origin: 2, data: text("hello"), place: { cpu: 0, time: 5003n * MS, task: task(415, "worker", 412) } },
  // written outside an event that anybody knows
  { origin: 2, data: text("sixteen bytes!!!"), place: { cpu: null, time: null, task: null } },
  // the program kept 60 of 1,500 bytes
  {
    origin: 1,
    data: asPerf(Uint8Array.of(...u32(3, 1500), ...PACKET, ...new Uint8Array(14))),
    place: { cpu: 2, time: 5004n * MS, task: task(412, "curl") },
  },
];

/** Two losses between the records, one behind the last. */
export function writeScene(sink: RecordSink): void {
  sink.begin({ origins: ORIGINS, cpus: CPUS, types: TYPES });
  RECORDS.forEach(({ origin, data, place }, index) => {
    if (index === 2) sink.lost(0, 3n, { cpu: 1, time: 5001n * MS + 500n, task: null });
    if (index === 5) sink.lost(1, 2n, { cpu: 2, time: null, task: null });
    sink.write(origin, data, place);
    sink.round();
  });
  sink.lost(2, 5n, { cpu: null, time: null, task: null });
}
