/**
 * What heads a recording: its events, their ids and formats, and how many CPUs there were. `perf record -o FILE` puts it
 * into a file header with attributes in front of the data and feature sections behind it; `perf record -o -` into records
 * of its own in front of all others (pipe.ts).
 * Format: tools/perf/Documentation/perf.data-file-format.txt.
 */
import { ByteReader, CaptureError } from "../../../base/index.ts";
import type { TracepointFormat } from "../format.ts";
import { type CaptureInput, readFully } from "../input.ts";
import { readTracingData } from "../tracing-data.ts";
import { isBpfOutput, isTracepoint, type PerfAttr, readAttr } from "./attr.ts";
import { FEATURE, FILE_HEADER_BYTES, MAGIC, PIPE_HEADER_BYTES } from "./records.ts";

export interface PerfHeader {
  readonly attrs: readonly PerfAttr[];
  readonly formats: ReadonlyMap<number, TracepointFormat>;
  /** CPUs of the machine, null where the recording does not say */
  readonly cpus: number | null;
  /** records lie in [dataStart, dataEnd) of the input; null: to its end */
  readonly dataStart: number;
  readonly dataEnd: number | null;
  /** to be thrown once all that can be read was read */
  readonly truncated: CaptureError | null;
}

/** Where formats come from when the recording's own are cut off: of those ids that it knows. */
export type FormatFallback = (ids: ReadonlySet<number>) => ReadonlyMap<number, TracepointFormat>;

const MAGIC_SWAPPED = "2ELIFREP";
const MAGIC_OLD = "PERFFILE";
/** A section that is read whole (features, attributes) is refused beyond this: damage, or not worth the memory. */
const SECTION_BYTES_MAX = 1 << 28;
/** Largest CONFIG_NR_CPUS that distributions build is 8192. */
const CPUS_MAX = 8192;

export function malformed(message: string, offsetBytes: number): CaptureError {
  return new CaptureError("CAPTURE_MALFORMED", message, { where: { offsetBytes } });
}
export function truncated(message: string, offsetBytes: number): CaptureError {
  return new CaptureError("CAPTURE_TRUNCATED", message, { where: { offsetBytes } });
}
export function unsupported(feature: string, hint?: string): CaptureError {
  return new CaptureError("CAPTURE_UNSUPPORTED", `the recording holds ${feature}`, { hint });
}

export function malformedReader(bytes: Uint8Array, baseOffset: number, what: string): ByteReader {
  return new ByteReader(bytes, (offset) => malformed(`${what} ends too early`, baseOffset + offset));
}

/** Which of the two forms the first 16 bytes begin. Throws where they begin neither. */
export function perfForm(head: Uint8Array): "file" | "pipe" {
  if (head.length === 0) {
    throw new CaptureError("CAPTURE_TRUNCATED", "the recording is empty", {
      where: { offsetBytes: 0 },
      hint: "what records it says on its own standard error why: perf refuses some options where it writes to a pipe",
    });
  }
  if (head.length < PIPE_HEADER_BYTES) throw truncated("the recording ends inside its header", head.length);
  const magic = String.fromCharCode(...head.subarray(0, 8));
  if (magic === MAGIC_SWAPPED) throw unsupported("data of a big-endian machine");
  if (magic === MAGIC_OLD) throw unsupported("the format of perf before Linux 3.2");
  if (magic !== MAGIC) throw malformed("this is no perf.data: it does not begin with PERFILE2", 0);
  const size = malformedReader(head, 0, "the header").u64Number(8);
  if (size === PIPE_HEADER_BYTES) return "pipe";
  if (size === FILE_HEADER_BYTES) return "file";
  throw malformed(`the header says that it has ${size} bytes`, 8);
}

/**
 * Reads the header of the file form. `input` must know its size. What describes the events lies behind them: where that is
 * missing, `fallback` must know all of them, else CAPTURE_TRUNCATED is thrown.
 */
export async function readFileHeader(
  input: CaptureInput,
  size: number,
  fallback: FormatFallback | null,
): Promise<PerfHeader> {
  const header = malformedReader(await section(input, 0, FILE_HEADER_BYTES, size), 0, "the file header");
  const attrSize = header.u64Number(16);
  const dataStart = header.u64Number(40);
  const dataBytes = header.u64Number(48);
  const attrs = await readAttrs(input, size, attrSize, header.u64Number(24), header.u64Number(32));
  const present = featureBits(header);
  refuseFeatures(present);
  const dataEnd = dataStart + dataBytes;
  if (!Number.isSafeInteger(dataEnd)) throw malformed("the data section lies beyond every file", 40);
  if (dataBytes === 0) {
    const message = "the recording was not ended in an orderly way: its data has no size";
    return withoutFeatures(truncated(message, 48), attrs, dataStart, size, fallback);
  }
  if (dataEnd + present.size * 16 > size) {
    const message = "the file ends before its feature sections";
    return withoutFeatures(truncated(message, size), attrs, dataStart, dataEnd, fallback);
  }
  if (!present.has(FEATURE.TRACING_DATA) && !attrs.every(isBpfOutput)) {
    throw new CaptureError("CAPTURE_EVENT_MISSING", "the recording holds no tracepoints: it carries no tracing data");
  }
  const features = await readFeatures(input, size, dataEnd, present);
  return { attrs, ...features, dataStart, dataEnd };
}

function withoutFeatures(
  cut: CaptureError,
  attrs: readonly PerfAttr[],
  dataStart: number,
  dataEnd: number,
  fallback: FormatFallback | null,
): PerfHeader {
  const ids = new Set(attrs.filter(isTracepoint).map((attr) => attr.config));
  const formats = fallback?.(ids) ?? new Map();
  const { where } = cut;
  if ((ids.size === 0 && !attrs.every(isBpfOutput)) || formats.size < ids.size) {
    const message = `${cut.message}, so the names and formats of its events are not known`;
    throw new CaptureError("CAPTURE_TRUNCATED", message, { where });
  }
  const message =
    ids.size === 0 ? cut.message : `${cut.message}; the names and formats of its events were taken from elsewhere`;
  return {
    attrs,
    formats,
    cpus: null,
    dataStart,
    dataEnd,
    truncated: new CaptureError("CAPTURE_TRUNCATED", message, { where }),
  };
}

async function readAttrs(
  input: CaptureInput,
  size: number,
  attrSize: number,
  offset: number,
  bytes: number,
): Promise<PerfAttr[]> {
  // Each attr is followed by where its ids lie: offset and size.
  const idsAt = attrSize - 16;
  if (!(idsAt >= 0) || bytes % attrSize !== 0 || bytes === 0) throw malformed("the table of events has a bad size", 16);
  const table = malformedReader(await section(input, offset, bytes, size), offset, "the table of events");
  const attrs: PerfAttr[] = [];
  for (let at = 0; at < bytes; at += attrSize) {
    const ids = await readIds(input, size, table.u64Number(at + idsAt), table.u64Number(at + idsAt + 8));
    attrs.push(readAttr(table, at, idsAt, ids));
  }
  return attrs;
}

async function readIds(input: CaptureInput, size: number, offset: number, bytes: number): Promise<number[]> {
  if (bytes === 0) return [];
  return idList(malformedReader(await section(input, offset, bytes, size), offset, "the list of ids"), 0, bytes);
}

export function idList(reader: ByteReader, offset: number, bytes: number): number[] {
  return Array.from({ length: Math.floor(bytes / 8) }, (_, index) => reader.u64Number(offset + index * 8));
}

function featureBits(header: ByteReader): Set<number> {
  const present = new Set<number>();
  for (let bit = 0; bit <= FEATURE.LAST; bit++) {
    if ((header.u8(72 + (bit >> 3)) >> (bit & 7)) & 1) present.add(bit);
  }
  return present;
}

function refuseFeatures(present: ReadonlySet<number>): void {
  if (present.has(FEATURE.COMPRESSED))
    throw unsupported("compressed records (perf record -z)", "record it again without -z");
  if (present.has(FEATURE.AUXTRACE)) throw unsupported("AUX area data");
  if (present.has(FEATURE.DIR_FORMAT)) throw unsupported("data in a directory of files (perf record --threads)");
}

interface Features {
  readonly formats: ReadonlyMap<number, TracepointFormat>;
  readonly cpus: number | null;
  readonly truncated: CaptureError | null;
}

/**
 * Behind the data: a table of { offset, size }, one for each feature that is present, by ascending number; their sections
 * after it in the same order. Tracing data comes first, so it often survives a cut that takes the rest.
 */
async function readFeatures(
  input: CaptureInput,
  size: number,
  tableStart: number,
  present: ReadonlySet<number>,
): Promise<Features> {
  let formats: ReadonlyMap<number, TracepointFormat> = new Map();
  let cpus: number | null = null;
  const cut = truncated("the file ends inside its feature sections", size);
  const tableBytes = present.size * 16;
  const table = malformedReader(await section(input, tableStart, tableBytes, size), tableStart, "the feature table");
  let at = 0;
  let whole = true;
  for (const feature of [...present].sort((a, b) => a - b)) {
    const offset = table.u64Number(at);
    const bytes = table.u64Number(at + 8);
    at += 16;
    if (offset + bytes > size) {
      if (feature === FEATURE.TRACING_DATA) throw cut;
      whole = false;
      continue;
    }
    if (feature === FEATURE.TRACING_DATA) formats = readTracingData(await section(input, offset, bytes, size), offset);
    if (feature === FEATURE.NRCPUS) cpus = readCpus(await section(input, offset, bytes, size), offset);
  }
  return { formats, cpus, truncated: whole ? null : cut };
}

/** Feature NRCPUS: u32 CPUs that the machine can have, u32 CPUs online. */
export function readCpus(bytes: Uint8Array, baseOffset: number): number {
  const cpus = malformedReader(bytes, baseOffset, "the number of CPUs").u32(0);
  return checkedCpus(cpus, baseOffset);
}

export function checkedCpus(cpus: number, offsetBytes: number): number {
  if (cpus < 1 || cpus > CPUS_MAX) throw malformed(`the recording says that there were ${cpus} CPUs`, offsetBytes);
  return cpus;
}

/** Bytes [offset, offset + bytes) of the input, which has `size`. */
async function section(input: CaptureInput, offset: number, bytes: number, size: number): Promise<Uint8Array> {
  if (bytes > SECTION_BYTES_MAX) throw malformed(`a section of ${bytes} bytes`, offset);
  if (offset + bytes > size) throw truncated("the file ends inside its header", size);
  const target = new Uint8Array(bytes);
  const read = await readFully(input, target, offset);
  if (read < bytes) throw truncated("the file ends inside its header", offset + read);
  return target;
}
