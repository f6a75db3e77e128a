/**
 * Kernel objects that sources make of what their events tell: instances by struct and identity, so that a pointer means the
 * same object in every event. Layouts come with the programs (Manifest.kernel).
 */
import { UsageError } from "../../base/index.ts";
import { type KernelLayouts, type MemberPlace, NULL_GUARD_BYTES, POINTER_TAG, RUNTIME } from "../../spec/index.ts";
import type { Instance, Instances, KernelMemory } from "./instances.ts";
import { TaskObjects } from "./tasks.ts";
import type { ObjectWatch } from "./watch.ts";

/**
 * Instances of one struct that are kept; beyond it the one that was used longest ago is given to another identity, as the
 * kernel reuses memory of what is gone.
 */
const MOST_INSTANCES = 4096;
/** Room around an instance that reads as zeros. */
const MARGIN_BYTES = 64;
const ALIGNMENT = 64;
const WORD_BYTES = 8;

/** Members that the library itself reads. */
const PACKET_MEMBERS = [
  ["sk_buff", "data", RUNTIME.skbData],
  ["sk_buff", "len", RUNTIME.skbLength],
  ["sk_buff", "data_len", RUNTIME.skbFragmented],
  ["xdp_buff", "data", RUNTIME.xdpData],
  ["xdp_buff", "data_end", RUNTIME.xdpDataEnd],
] as const;

export class KernelSpace implements Instances {
  /** as its owner has it */
  readonly memory: KernelMemory;
  #layouts: KernelLayouts = {};
  /** struct → identity → address; in order of use */
  readonly #instances = new Map<string, Map<string | number, Instance>>();
  /** bytes as Latin-1 → address */
  readonly #texts = new Map<string, number>();
  readonly tasks = new TaskObjects(this);
  readonly #watch: ObjectWatch | null;

  constructor(arena: KernelMemory, watch: ObjectWatch | null = null) {
    this.memory = arena;
    this.#watch = watch;
  }

  /** The layouts of programs that are linked. Throws UsageError where those before have others: a runtime plays one kernel. */
  use(layouts: KernelLayouts): void {
    for (const [struct, layout] of Object.entries(layouts)) {
      const known = this.#layouts[struct];
      if (known !== undefined && JSON.stringify(known) !== JSON.stringify(layout)) {
        throw new UsageError("USAGE", `the program was prepared for a kernel with another struct ${struct}`, {
          hint: "programs of different kernels need runtimes of their own",
        });
      }
    }
    this.#layouts = { ...this.#layouts, ...layouts };
    for (const [struct, path, word] of PACKET_MEMBERS) {
      const place = this.place(struct, path);
      if (place !== null) this.memory.view.setUint32(NULL_GUARD_BYTES + word, place.offsetBytes + 1, true);
    }
  }

  has(struct: string): boolean {
    return this.#layouts[struct] !== undefined;
  }
  place(struct: string, path: string): MemberPlace | null {
    return this.#layouts[struct]?.members[path] ?? null;
  }

  /** Address of the instance with that identity, zeroed when it is new; 0 where the kernel has no such struct. */
  instance(struct: string, identity: string | number): number {
    return this.find(struct, identity)?.address ?? 0;
  }

  /** TaskObjects.of() */
  taskStruct(task: number): number {
    return this.tasks.of(task);
  }

  /** One of no identity, zeroed: the caller's until it is given to release(). 0 where the kernel has no such struct. */
  create(struct: string): number {
    const layout = this.#layouts[struct];
    return layout === undefined ? 0 : this.#allocate(struct, layout.bytes);
  }
  release(address: number): void {
    this.#watch?.remove(address);
    this.memory.free(address - MARGIN_BYTES);
  }

  /** As instance(), but 0 for one that was not asked for before. */
  known(struct: string, identity: string | number): number {
    return this.peek(struct, identity)?.address ?? 0;
  }
  /** As known(), null for 0. */
  peek(struct: string, identity: string | number): Instance | null {
    return this.#instances.get(struct)?.get(identity) ?? null;
  }

  /** Address of a text with its zero, the same for the same bytes. */
  text(from: number, length: number): number {
    const bytes = this.memory.bytes.subarray(from, from + length);
    return this.#texts.get(latin1(bytes)) ?? this.#keepText(bytes.slice());
  }
  textOf(text: string): number {
    const bytes = ENCODER.encode(text);
    return this.#texts.get(latin1(bytes)) ?? this.#keepText(bytes);
  }

  #keepText(bytes: Uint8Array): number {
    if (this.#texts.size >= MOST_INSTANCES) {
      const [oldest, address] = this.#texts.entries().next().value!;
      this.#texts.delete(oldest);
      this.memory.free(address);
    }
    const address = this.memory.allocate(bytes.length + 1);
    this.memory.bytes.set(bytes, address);
    this.#texts.set(latin1(bytes), address);
    return address;
  }

  /** As instance(), null for 0. */
  find(struct: string, identity: string | number): Instance | null {
    const layout = this.#layouts[struct];
    if (layout === undefined) return null;
    let known = this.#instances.get(struct);
    if (known === undefined) {
      known = new Map();
      this.#instances.set(struct, known);
    }
    let found = known.get(identity);
    if (found === undefined) {
      const address =
        known.size < MOST_INSTANCES ? this.#allocate(struct, layout.bytes) : this.#reuse(known, layout.bytes);
      found = { address, source: null };
    } else known.delete(identity);
    known.set(identity, found);
    return found;
  }

  /** Sets a member, cut to its width; one that the kernel does not have is nothing. */
  setNumber(address: number, struct: string, path: string, value: number | bigint): void {
    const place = this.place(struct, path);
    if (place === null) return;
    const { view } = this.memory;
    const at = address + place.offsetBytes;
    const width = Math.min(WORD_BYTES, place.bytes);
    // nearly all are of these widths, and objects are filled at events
    if (width === WORD_BYTES) view.setBigUint64(at, BigInt(value), true);
    else if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, BigInt(value))), true);
    else {
      let rest = BigInt(value);
      for (let index = 0; index < width; index++, rest >>= 8n) view.setUint8(at + index, Number(rest & 0xffn));
    }
    this.#watch?.give(at, width);
  }
  hasNumber(address: number, struct: string, path: string, value: bigint): boolean {
    const place = this.place(struct, path);
    if (place === null) return true;
    const { view } = this.memory;
    const at = address + place.offsetBytes;
    const width = Math.min(WORD_BYTES, place.bytes);
    if (width === WORD_BYTES) return view.getBigUint64(at, true) === BigInt.asUintN(64, value);
    if (width === 4) return view.getUint32(at, true) === Number(BigInt.asUintN(32, value));
    let rest = value;
    for (let index = 0; index < width; index++, rest >>= 8n) {
      if (view.getUint8(at + index) !== Number(rest & 0xffn)) return false;
    }
    return true;
  }

  setPointer(address: number, struct: string, path: string, target: number): void {
    this.setNumber(address, struct, path, pointerTo(target));
    // what is not known is null
    const place = target === 0 ? this.place(struct, path) : null;
    if (place !== null) this.#watch?.give(address + place.offsetBytes, place.bytes, false);
  }

  /** Bytes of the arena at `from`; what the member is longer becomes zeros. */
  setBytes(address: number, struct: string, path: string, from: number, length: number): void {
    const place = this.place(struct, path);
    if (place === null) return;
    const { bytes } = this.memory;
    const at = address + place.offsetBytes;
    const copied = Math.min(length, place.bytes);
    bytes.copyWithin(at, from, from + copied);
    bytes.fill(0, at + copied, at + place.bytes);
    this.#watch?.give(at, place.bytes);
  }
  hasBytes(address: number, struct: string, path: string, from: number, length: number): boolean {
    const place = this.place(struct, path);
    if (place === null) return true;
    const { bytes } = this.memory;
    const at = address + place.offsetBytes;
    for (let index = 0; index < place.bytes; index++) {
      if (bytes[at + index] !== (index < length ? bytes[from + index] : 0)) return false;
    }
    return true;
  }

  #allocate(struct: string, bytes: number): number {
    const address = this.memory.allocate(bytes + 2 * MARGIN_BYTES, ALIGNMENT) + MARGIN_BYTES;
    this.#watch?.add(address, { bytes, marginBytes: MARGIN_BYTES, struct });
    return address;
  }

  #reuse(known: Map<string | number, Instance>, bytes: number): number {
    const [oldest, { address }] = known.entries().next().value!;
    known.delete(oldest);
    this.memory.bytes.fill(0, address, address + bytes);
    this.#watch?.forget(address);
    return address;
  }
}

/** A string with a character a byte: a key. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

const ENCODER = new TextEncoder();
const TAG = BigInt(POINTER_TAG) << 32n;

/** As programs see it. */
export const pointerTo = (address: number): bigint => (address === 0 ? 0n : TAG | BigInt(address));
