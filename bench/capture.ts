/**
 * A long capture out of a short one: the data section of a perf.data file over and over, with times that go on. So tracepoint
 * throughput is measured on what perf wrote, without a large file in the repository.
 */

/** Bits of sample_type that come before RAW in a sample, and those of a trailer. Source: include/uapi/linux/perf_event.h. */
const SAMPLE = {
  ip: 1,
  tid: 2,
  time: 4,
  addr: 8,
  id: 64,
  cpu: 128,
  period: 256,
  streamId: 512,
  identifier: 1 << 16,
} as const;
const RECORD_SAMPLE = 9;
/** Types from here on are perf's own and carry no trailer. */
const RECORD_USER = 64;
const HEADER = { attrsOffset: 24, dataOffset: 40, dataSize: 48, features: 72, bytes: 104 } as const;

interface Piece {
  readonly at: number;
  readonly size: number;
  /** offset of the time in the record, -1: it has none */
  readonly time: number;
  readonly kind: "wanted" | "unwanted" | "task" | "perf";
}

/**
 * `times` copies of the events of a perf.data file (file form, all events of one sample_type). With `only`, the name of a
 * tracepoint, samples of others are left out, and what perf wrote about processes is there once.
 */
export function repeatCapture(file: Uint8Array, times: number, only: string | null = null): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const dataOffset = Number(view.getBigUint64(HEADER.dataOffset, true));
  const dataSize = Number(view.getBigUint64(HEADER.dataSize, true));
  const pieces = piecesOf(file, view, { dataOffset, dataSize, type: only === null ? null : tracepointId(file, only) });
  const first = pieces.filter(({ kind }) => kind !== "unwanted");
  const others = only === null ? first : first.filter(({ kind }) => kind !== "task");
  const sizeOf = (list: readonly Piece[]): number => list.reduce((sum, { size }) => sum + size, 0);
  const newSize = sizeOf(first) + sizeOf(others) * (times - 1);
  const out = new Uint8Array(file.length + newSize - dataSize);
  out.set(file.subarray(0, dataOffset));
  out.set(file.subarray(dataOffset + dataSize), dataOffset + newSize);
  const outView = new DataView(out.buffer);
  outView.setBigUint64(HEADER.dataSize, BigInt(newSize), true);
  moveFeatures(outView, dataOffset + newSize, newSize - dataSize);

  const stamps = first.flatMap(({ at, time }) => (time < 0 ? [] : [view.getBigUint64(at + time, true)]));
  const span = stamps.reduce((a, b) => (a > b ? a : b)) - stamps.reduce((a, b) => (a < b ? a : b)) + 1n;
  let to = dataOffset;
  for (let copy = 0; copy < times; copy++) {
    const shift = BigInt(copy) * span;
    for (const { at, size, time } of copy === 0 ? first : others) {
      out.set(file.subarray(at, at + size), to);
      if (time >= 0) outView.setBigUint64(to + time, view.getBigUint64(at + time, true) + shift, true);
      to += size;
    }
  }
  return out;
}

/** The table of feature sections lies behind the data and names places behind it. */
function moveFeatures(view: DataView, table: number, added: number): void {
  let count = 0;
  for (let byte = HEADER.features; byte < HEADER.bytes; byte++)
    for (let bits = view.getUint8(byte); bits !== 0; bits &= bits - 1) count++;
  for (let index = 0; index < count; index++) {
    const at = table + 16 * index;
    view.setBigUint64(at, view.getBigUint64(at, true) + BigInt(added), true);
  }
}

/** The number that samples of a tracepoint carry, out of its format file in the capture. */
function tracepointId(file: Uint8Array, name: string): number {
  const text = Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString("latin1");
  const found = new RegExp(`name: ${name}\nID: (\\d+)\n`).exec(text);
  if (found === null) throw new Error(`the capture has no tracepoint ${name}`);
  return Number(found[1]);
}

/** All records of the data section. `type`: the tracepoint that is wanted, null: any. */
function piecesOf(
  file: Uint8Array,
  view: DataView,
  {
    dataOffset,
    dataSize,
    type,
  }: { readonly dataOffset: number; readonly dataSize: number; readonly type: number | null },
): Piece[] {
  const sampleType = Number(view.getBigUint64(Number(view.getBigUint64(HEADER.attrsOffset, true)) + 24, true));
  const has = (...bits: number[]): number => 8 * bits.filter((bit) => (sampleType & bit) !== 0).length;
  const time = 8 + has(SAMPLE.identifier, SAMPLE.ip, SAMPLE.tid);
  const raw = time + has(SAMPLE.time, SAMPLE.addr, SAMPLE.id, SAMPLE.streamId, SAMPLE.cpu, SAMPLE.period);
  const afterTime = has(SAMPLE.id, SAMPLE.streamId, SAMPLE.cpu, SAMPLE.identifier);
  const pieces: Piece[] = [];
  for (let at = dataOffset; at < dataOffset + dataSize; ) {
    const record = view.getUint32(at, true);
    const size = Math.max(view.getUint16(at + 6, true), 8);
    if (record === RECORD_SAMPLE) {
      // behind the length of the raw data comes the payload, whose first field is common_type
      const isWanted = type === null || view.getUint16(at + raw + 4, true) === type;
      pieces.push({ at, size, time, kind: isWanted ? "wanted" : "unwanted" });
    } else if (record < RECORD_USER) {
      const isStamped = size >= 16 + afterTime;
      pieces.push({ at, size, time: isStamped ? size - afterTime - 8 : -1, kind: "task" });
    } else pieces.push({ at, size, time: -1, kind: "perf" });
    at += size;
  }
  if (pieces.every(({ kind }) => kind !== "wanted")) throw new Error(`no event is left of ${file.length} bytes`);
  return pieces;
}
