/**
 * A kernel's BTF without what nobody asks for: the types that a run of tests looked at, under the ids that they have in the
 * kernel; in the place of the others stand forward declarations without a name. 5 MB become some tens of KB.
 */
import { Btf } from "../../compiler/object/btf/btf.ts";
import { type BtfType, infoCount, infoKind, TYPE_HEAD_BYTES, TYPE_TAIL } from "../../compiler/object/btf/types.ts";

const HEADER_BYTES = 24;
const MAGIC = 0xeb9f;
const STRUCT = 4;
const UNION = 5;
const ENUM = 6;
const FWD = 7;
const FUNC_PROTO = 13;
const ENUM64 = 19;
/** Kinds whose entries begin with the offset of a name. */
const NAMED_ENTRIES: ReadonlySet<number> = new Set([STRUCT, UNION, ENUM, FUNC_PROTO, ENUM64]);

/** BTF that remembers which of its types were looked at. */
export class WatchedBtf extends Btf {
  readonly seen = new Set<number>();

  override typeById(id: number): BtfType {
    this.seen.add(id);
    return super.typeById(id);
  }
  override nameOf(id: number): string {
    this.seen.add(id);
    return super.nameOf(id);
  }
}

/** The same BTF with the types `kept` only. */
export function thinBtf(bytes: Uint8Array, kept: ReadonlySet<number>): Uint8Array {
  const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = source.getUint32(4, true);
  const typesStart = headerBytes + source.getUint32(8, true);
  const typesEnd = typesStart + source.getUint32(12, true);
  const stringsStart = headerBytes + source.getUint32(16, true);
  const strings = new Strings(bytes, stringsStart);
  const words: number[] = [];
  for (let at = typesStart, id = 1; at < typesEnd; id++) {
    const info = source.getUint32(at + 4, true);
    const tail = TYPE_TAIL[infoKind(info)]!;
    const end = at + TYPE_HEAD_BYTES + tail.fixed + tail.entry * infoCount(info);
    if (kept.has(id)) copyType(source, at, end, strings, words);
    else words.push(0, FWD << 24, 0);
    at = end;
  }
  return assemble(words, strings.bytes);
}

function copyType(source: DataView, start: number, end: number, strings: Strings, words: number[]): void {
  const info = source.getUint32(start + 4, true);
  const { fixed, entry } = TYPE_TAIL[infoKind(info)]!;
  const entries = start + TYPE_HEAD_BYTES + fixed;
  for (let at = start; at < end; at += 4) {
    const word = source.getUint32(at, true);
    const isEntryName = NAMED_ENTRIES.has(infoKind(info)) && at >= entries && (at - entries) % entry === 0;
    words.push(at === start || isEntryName ? strings.move(word) : word);
  }
}

/** Strings of the source by their offset, each copied once. */
class Strings {
  readonly bytes: number[] = [0];
  readonly #source: Uint8Array;
  readonly #start: number;
  readonly #moved = new Map<number, number>([[0, 0]]);

  constructor(source: Uint8Array, start: number) {
    this.#source = source;
    this.#start = start;
  }
  /** The new offset of the string at `offset`. */
  move(offset: number): number {
    const known = this.#moved.get(offset);
    if (known !== undefined) return known;
    const to = this.bytes.length;
    this.#moved.set(offset, to);
    for (let at = this.#start + offset; this.#source[at] !== 0; at++) this.bytes.push(this.#source[at]!);
    this.bytes.push(0);
    return to;
  }
}

function assemble(words: readonly number[], strings: readonly number[]): Uint8Array {
  const typeBytes = words.length * 4;
  const bytes = new Uint8Array(HEADER_BYTES + typeBytes + strings.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, MAGIC, true);
  view.setUint8(2, 1);
  [HEADER_BYTES, 0, typeBytes, typeBytes, strings.length].forEach((word, index) => {
    view.setUint32(4 + 4 * index, word, true);
  });
  words.forEach((word, index) => {
    view.setUint32(HEADER_BYTES + 4 * index, word, true);
  });
  bytes.set(strings, HEADER_BYTES + typeBytes);
  return bytes;
}
