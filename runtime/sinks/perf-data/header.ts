/**
 * The header of perf.data in its two forms. A file begins with where everything lies, ids and attrs, and ends with feature
 * sections, so its first bytes are written once more when all is known; a pipe begins with records that say the same.
 */
import { FEATURE, FILE_HEADER_BYTES, HEAD_BYTES, MAGIC, PIPE_HEADER_BYTES, RECORD } from "../../../spec/perf.ts";
import type { BlockWriter } from "../blocks.ts";
import { ATTR_BYTES, type OutputEvent, textSection, writeAttr } from "./attr.ts";

/** An attr is followed by where its ids lie: offset and size. */
const ATTR_ENTRY_BYTES = ATTR_BYTES + 16;
const ID_BYTES = 8;
/** PERF_EVENT_UPDATE__NAME */
const UPDATE_NAME = 2n;

export interface FileLayout {
  readonly idsAt: number;
  readonly attrsAt: number;
  readonly dataAt: number;
}

export function fileLayout(events: readonly OutputEvent[]): FileLayout {
  const attrsAt = FILE_HEADER_BYTES + events.length * ID_BYTES;
  return { idsAt: FILE_HEADER_BYTES, attrsAt, dataAt: attrsAt + events.length * ATTR_ENTRY_BYTES };
}

/** Where the header says how many bytes of data there are, as u64. */
export const DATA_SIZE_AT = 48;

/** What lies in front of the data. */
export function fileHeader(
  events: readonly OutputEvent[],
  dataBytes: number,
  features: readonly FeatureSection[],
): Uint8Array {
  const { idsAt, attrsAt, dataAt } = fileLayout(events);
  const bytes = new Uint8Array(dataAt);
  const view = new DataView(bytes.buffer);
  const set = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  writeMagic(bytes, 0);
  set(8, FILE_HEADER_BYTES);
  set(16, ATTR_ENTRY_BYTES);
  set(24, attrsAt);
  set(32, events.length * ATTR_ENTRY_BYTES);
  set(40, dataAt);
  set(DATA_SIZE_AT, dataBytes);
  for (const { feature } of features) bytes[72 + (feature >> 3)]! |= 1 << (feature & 7);
  events.forEach(({ id }, index) => {
    const entry = attrsAt + index * ATTR_ENTRY_BYTES;
    set(idsAt + index * ID_BYTES, id);
    writeAttr(view, entry);
    set(entry + ATTR_BYTES, idsAt + index * ID_BYTES);
    set(entry + ATTR_BYTES + 8, ID_BYTES);
  });
  return bytes;
}

export interface FeatureSection {
  readonly feature: number;
  readonly bytes: Uint8Array;
}

/** By ascending number. `times`: of the first and the last sample, null: there was none. */
export function featureSections(
  events: readonly OutputEvent[],
  cpus: number,
  times: readonly [first: bigint, last: bigint] | null,
): FeatureSection[] {
  const sections: FeatureSection[] = [
    { feature: FEATURE.NRCPUS, bytes: cpusFeature(cpus) },
    { feature: FEATURE.EVENT_DESC, bytes: descriptions(events) },
  ];
  if (times !== null) {
    sections.push({ feature: FEATURE.SAMPLE_TIME, bytes: new Uint8Array(BigUint64Array.of(...times).buffer) });
  }
  return sections;
}

/** What lies behind the data: a table of { offset, size }, then the sections. */
export function featureBytes(sections: readonly FeatureSection[], offset: number): Uint8Array {
  let at = sections.length * 16;
  const bytes = new Uint8Array(sections.reduce((sum, section) => sum + section.bytes.length, at));
  const view = new DataView(bytes.buffer);
  sections.forEach((section, index) => {
    view.setBigUint64(index * 16, BigInt(offset + at), true);
    view.setBigUint64(index * 16 + 8, BigInt(section.bytes.length), true);
    bytes.set(section.bytes, at);
    at += section.bytes.length;
  });
  return bytes;
}

/** The pipe form: the attrs, names and the number of CPUs as records of their own. */
export function writePipeHeader(blocks: BlockWriter, events: readonly OutputEvent[], cpus: number): void {
  const start = blocks.begin(PIPE_HEADER_BYTES);
  writeMagic(blocks.bytes, start);
  blocks.view.setBigUint64(start + 8, BigInt(PIPE_HEADER_BYTES), true);
  for (const { id } of events) {
    const at = beginRecord(blocks, RECORD.HEADER_ATTR, HEAD_BYTES + ATTR_BYTES + ID_BYTES);
    writeAttr(blocks.view, at + HEAD_BYTES);
    blocks.view.setBigUint64(at + HEAD_BYTES + ATTR_BYTES, BigInt(id), true);
  }
  for (const { id, name } of events) {
    const text = new TextEncoder().encode(name);
    const at = beginRecord(blocks, RECORD.EVENT_UPDATE, HEAD_BYTES + 16 + padded(text.length + 1));
    blocks.view.setBigUint64(at + 8, UPDATE_NAME, true);
    blocks.view.setBigUint64(at + 16, BigInt(id), true);
    blocks.bytes.set(text, at + 24);
  }
  const at = beginRecord(blocks, RECORD.HEADER_FEATURE, HEAD_BYTES + 8 + 8);
  blocks.view.setBigUint64(at + 8, BigInt(FEATURE.NRCPUS), true);
  blocks.bytes.set(cpusFeature(cpus), at + 16);
}

/** A record of zeros with its head, `size` a multiple of 8. Returns its offset in the block's bytes. */
export function beginRecord(blocks: BlockWriter, type: number, size: number, misc = 0): number {
  const at = blocks.begin(size);
  const { view } = blocks;
  view.setUint32(at, type, true);
  view.setUint16(at + 4, misc, true);
  view.setUint16(at + 6, size, true);
  return at;
}

export const padded = (length: number): number => Math.ceil(length / 8) * 8;

function writeMagic(bytes: Uint8Array, offset: number): void {
  bytes.set(new TextEncoder().encode(MAGIC), offset);
}

/** CPUs that the machine can have, and CPUs online. */
function cpusFeature(cpus: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(cpus, cpus).buffer);
}

/** EVENT_DESC: number of events, bytes of an attr, then attr, number of ids, name and ids of each. */
function descriptions(events: readonly OutputEvent[]): Uint8Array {
  const names = events.map(({ name }) => textSection(name));
  const length = names.reduce((sum, name) => sum + ATTR_BYTES + 4 + name.length + ID_BYTES, 8);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, events.length, true);
  view.setUint32(4, ATTR_BYTES, true);
  let at = 8;
  events.forEach(({ id }, index) => {
    const name = names[index]!;
    writeAttr(view, at);
    view.setUint32(at + ATTR_BYTES, 1, true);
    bytes.set(name, at + ATTR_BYTES + 4);
    at += ATTR_BYTES + 4 + name.length;
    view.setBigUint64(at, BigInt(id), true);
    at += ID_BYTES;
  });
  return bytes;
}
