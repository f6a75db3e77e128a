/**
 * Types by name. One hash table over *essential* names (what is before the last `___flavour`), built when first asked for:
 * it answers exact look-ups and CO-RE's search for candidates alike, without making 130,000 strings of a kernel's BTF.
 */
import { ObjectError } from "../../../base/index.ts";
import type { StringTable } from "../strings.ts";

const UNDERSCORE = 0x5f;
/** Bytes of names that are hashed at most, as a multiple of the strings: types may share names, but not without bound. */
const SHARE_FACTOR = 4;
const SHARE_FLOOR_BYTES = 1 << 20;

/**
 * Length of a name without its flavour: `task_struct___old` → 11. A flavour is what follows the last `___` that has
 * something other than an underscore on both sides. libbpf: bpf_core_essential_name_len().
 */
export function essentialLength(bytes: Uint8Array, start: number, end: number): number {
  for (let at = end - 5; at >= start; at--) {
    if (
      bytes[at] !== UNDERSCORE &&
      bytes[at + 1] === UNDERSCORE &&
      bytes[at + 2] === UNDERSCORE &&
      bytes[at + 3] === UNDERSCORE &&
      bytes[at + 4] !== UNDERSCORE
    )
      return at + 1 - start;
  }
  return end - start;
}

const ENCODER = new TextEncoder();

/** The same of a string, as a string. */
export function essentialName(name: string): string {
  if (!name.includes("___")) return name;
  const bytes = ENCODER.encode(name);
  const length = essentialLength(bytes, 0, bytes.length);
  return length === bytes.length ? name : new TextDecoder().decode(bytes.subarray(0, length));
}

/** Names of the types `firstId` to `endId` − 1: a split BTF has an index of its own part. */
export class NameIndex {
  readonly #strings: StringTable;
  readonly #nameOffset: (id: number) => number;
  readonly #firstId: number;
  readonly #mask: number;
  /** first id of a bucket, 0: none */
  readonly #heads: Int32Array;
  /** next id in the bucket, ascending; by id − firstId */
  readonly #next: Int32Array;

  constructor(strings: StringTable, firstId: number, endId: number, nameOffset: (id: number) => number) {
    this.#strings = strings;
    this.#nameOffset = nameOffset;
    this.#firstId = firstId;
    const count = endId - firstId;
    const buckets = 1 << Math.max(4, 32 - Math.clz32(count));
    this.#mask = buckets - 1;
    this.#heads = new Int32Array(buckets);
    this.#next = new Int32Array(count);
    let budgetBytes = SHARE_FACTOR * strings.endOffset + SHARE_FLOOR_BYTES;
    // From the last to the first, so that a bucket lists ids in ascending order.
    for (let id = endId - 1; id >= firstId; id--) {
      const offset = nameOffset(id);
      if (offset === 0 || offset >= strings.endOffset) continue;
      const { bytes, firstOffset } = strings.tableOf(offset);
      const start = offset - firstOffset;
      const end = bytes.indexOf(0, start);
      if (end < 0) continue;
      budgetBytes -= end - start + 1;
      if (budgetBytes < 0) throw new ObjectError("BTF_MALFORMED", "names of types overlap beyond all measure");
      const bucket = hash(bytes, start, start + essentialLength(bytes, start, end)) & this.#mask;
      this.#next[id - firstId] = this.#heads[bucket]!;
      this.#heads[bucket] = id;
    }
  }

  /** Ids, ascending, of the types whose essential name is that of `name`. */
  *withEssentialName(name: string): Generator<number> {
    const wanted = ENCODER.encode(name);
    const wantedLength = essentialLength(wanted, 0, wanted.length);
    const first = this.#heads[hash(wanted, 0, wantedLength) & this.#mask]!;
    for (let id = first; id !== 0; id = this.#next[id - this.#firstId]!) {
      const offset = this.#nameOffset(id);
      const { bytes, firstOffset } = this.#strings.tableOf(offset);
      const start = offset - firstOffset;
      if (!startsWith(bytes, start, wanted, wantedLength)) continue;
      const end = bytes.indexOf(0, start + wantedLength);
      if (essentialLength(bytes, start, end) === wantedLength) yield id;
    }
  }
}

function startsWith(bytes: Uint8Array, start: number, prefix: Uint8Array, length: number): boolean {
  for (let at = 0; at < length; at++) if (bytes[start + at] !== prefix[at]) return false;
  return true;
}

/** FNV-1a, 32 bits */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = 0x811c9dc5;
  for (let at = start; at < end; at++) value = Math.imul(value ^ bytes[at]!, 0x01000193);
  return value ^ (value >>> 15);
}
