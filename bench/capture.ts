/**
 * A long capture out of a short one: the data section of a perf.data file over and over, with times that go on. So tracepoint
 * throughput is measured on what perf wrote, without a large file in the repository.
 */

/** Bits of sample_type that come before TIME in a sample, and those of a trailer. Source: include/uapi/linux/perf_event.h. */
const SAMPLE = { ip: 1, tid: 2, time: 4, id: 64, cpu: 128, streamId: 512, identifier: 1 << 16 } as const;
const RECORD_SAMPLE = 9;
/** Types from here on are perf's own and carry no trailer. */
const RECORD_USER = 64;
const HEADER = { attrsOffset: 24, dataOffset: 40, dataSize: 48, features: 72, bytes: 104 } as const;

/** `times` copies of the events of a perf.data file (file form, all events of one sample_type). */
export function repeatCapture(file: Uint8Array, times: number): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const dataOffset = Number(view.getBigUint64(HEADER.dataOffset, true));
  const dataSize = Number(view.getBigUint64(HEADER.dataSize, true));
  const sampleType = Number(view.getBigUint64(Number(view.getBigUint64(HEADER.attrsOffset, true)) + 24, true));
  const added = dataSize * (times - 1);
  const out = new Uint8Array(file.length + added);
  out.set(file.subarray(0, dataOffset));
  out.set(file.subarray(dataOffset + dataSize), dataOffset + dataSize * times);
  const outView = new DataView(out.buffer);
  outView.setBigUint64(HEADER.dataSize, BigInt(dataSize * times), true);
  moveFeatures(outView, dataOffset + dataSize * times, added);

  const places = timePlaces(view, dataOffset, dataSize, sampleType);
  const stamps = places.map((place) => view.getBigUint64(dataOffset + place, true));
  const sorted = stamps.toSorted((a, b) => (a < b ? -1 : 1));
  const span = sorted.at(-1)! - sorted[0]! + 1n;
  const data = file.subarray(dataOffset, dataOffset + dataSize);
  for (let copy = 0; copy < times; copy++) {
    const at = dataOffset + copy * dataSize;
    out.set(data, at);
    const shift = BigInt(copy) * span;
    places.forEach((place, index) => {
      outView.setBigUint64(at + place, stamps[index]! + shift, true);
    });
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

/** Offsets in the data section of all time stamps, and those of sample trailers. */
function timePlaces(view: DataView, dataOffset: number, dataSize: number, sampleType: number): number[] {
  const has = (bit: number): number => ((sampleType & bit) === 0 ? 0 : 8);
  const inSample = 8 + has(SAMPLE.identifier) + has(SAMPLE.ip) + has(SAMPLE.tid);
  const afterTime = has(SAMPLE.id) + has(SAMPLE.streamId) + has(SAMPLE.cpu) + has(SAMPLE.identifier);
  const places: number[] = [];
  for (let at = 0; at < dataSize; ) {
    const type = view.getUint32(dataOffset + at, true);
    const size = view.getUint16(dataOffset + at + 6, true);
    if (type === RECORD_SAMPLE) places.push(at + inSample);
    else if (type < RECORD_USER && size >= 16 + afterTime) places.push(at + size - afterTime - 8);
    at += Math.max(size, 8);
  }
  return places;
}
