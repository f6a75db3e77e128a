/**
 * Kernel objects that sources make of what their events tell: instances by struct and identity, so that a pointer means the
 * same object in every event. Layouts come with the programs (Manifest.kernel).
 */
import { UsageError } from "../../base/index.ts";
import {
  COMM_BYTES,
  type KernelLayouts,
  type MemberPlace,
  NULL_GUARD_BYTES,
  POINTER_TAG,
  RUNTIME,
  TASK,
} from "../../spec/index.ts";

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

/** The part of an arena that objects live in. */
export interface KernelMemory {
  /** live views; `u32` by address / 4 */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly u32: Uint32Array;
  /** zeroed */
  allocate(bytes: number, alignment?: number): number;
  free(address: number): void;
}

interface Instance {
  readonly address: number;
  /** task_struct: the TASK block that it was filled from */
  task: Uint32Array;
}
const NO_TASK = new Uint32Array(0);

export class KernelSpace {
  readonly #arena: KernelMemory;
  #layouts: KernelLayouts = {};
  /** struct → identity → address; in order of use */
  readonly #instances = new Map<string, Map<string | number, Instance>>();
  /** bytes as Latin-1 → address */
  readonly #texts = new Map<string, number>();

  constructor(arena: KernelMemory) {
    this.#arena = arena;
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
      if (place !== null) this.#arena.view.setUint32(NULL_GUARD_BYTES + word, place.offsetBytes + 1, true);
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
    return this.#find(struct, identity)?.address ?? 0;
  }

  /** One of no identity, zeroed: the caller's until it is given to release(). 0 where the kernel has no such struct. */
  create(struct: string): number {
    const layout = this.#layouts[struct];
    return layout === undefined ? 0 : this.#allocate(layout.bytes);
  }
  release(address: number): void {
    this.#arena.free(address - MARGIN_BYTES);
  }

  /** As instance(), but 0 for one that was not asked for before. */
  known(struct: string, identity: string | number): number {
    return this.#instances.get(struct)?.get(identity)?.address ?? 0;
  }

  /** Address of a text with its zero, the same for the same bytes. */
  text(from: number, length: number): number {
    const key = latin1(this.#arena.bytes.subarray(from, from + length));
    const found = this.#texts.get(key);
    if (found !== undefined) return found;
    if (this.#texts.size >= MOST_INSTANCES) {
      const [oldest, address] = this.#texts.entries().next().value!;
      this.#texts.delete(oldest);
      this.#arena.free(address);
    }
    const address = this.#arena.allocate(length + 1);
    this.#arena.bytes.copyWithin(address, from, from + length);
    this.#texts.set(key, address);
    return address;
  }

  #find(struct: string, identity: string | number): Instance | null {
    const layout = this.#layouts[struct];
    if (layout === undefined) return null;
    let known = this.#instances.get(struct);
    if (known === undefined) {
      known = new Map();
      this.#instances.set(struct, known);
    }
    let found = known.get(identity);
    if (found === undefined) {
      const address = known.size < MOST_INSTANCES ? this.#allocate(layout.bytes) : this.#reuse(known, layout.bytes);
      found = { address, task: NO_TASK };
    } else known.delete(identity);
    known.set(identity, found);
    return found;
  }

  /** Sets a member, cut to its width; one that the kernel does not have is nothing. */
  setNumber(address: number, struct: string, path: string, value: number | bigint): void {
    const place = this.place(struct, path);
    if (place === null) return;
    const { bytes } = this.#arena;
    const end = address + place.offsetBytes + Math.min(WORD_BYTES, place.bytes);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (let at = address + place.offsetBytes; at < end; at++, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
  }
  hasNumber(address: number, struct: string, path: string, value: bigint): boolean {
    const place = this.place(struct, path);
    if (place === null) return true;
    const { bytes } = this.#arena;
    const end = address + place.offsetBytes + Math.min(WORD_BYTES, place.bytes);
    let rest = value;
    for (let at = address + place.offsetBytes; at < end; at++, rest >>= 8n) {
      if (bytes[at] !== Number(rest & 0xffn)) return false;
    }
    return true;
  }

  setPointer(address: number, struct: string, path: string, target: number): void {
    this.setNumber(address, struct, path, pointerTo(target));
  }

  /** Bytes of the arena at `from`; what the member is longer becomes zeros. */
  setBytes(address: number, struct: string, path: string, from: number, length: number): void {
    const place = this.place(struct, path);
    if (place === null) return;
    const { bytes } = this.#arena;
    const at = address + place.offsetBytes;
    const copied = Math.min(length, place.bytes);
    bytes.copyWithin(at, from, from + copied);
    bytes.fill(0, at + copied, at + place.bytes);
  }
  hasBytes(address: number, struct: string, path: string, from: number, length: number): boolean {
    const place = this.place(struct, path);
    if (place === null) return true;
    const { bytes } = this.#arena;
    const at = address + place.offsetBytes;
    for (let index = 0; index < place.bytes; index++) {
      if (bytes[at + index] !== (index < length ? bytes[from + index] : 0)) return false;
    }
    return true;
  }

  /** Address of a task's instance, 0 where it has none yet. */
  knownTask(task: number): number {
    return this.known(TASK_STRUCT, this.#identityOf(task));
  }

  /** Threads have a number each; the idle ones of all CPUs have 0, and are told apart by where their blocks lie. */
  #identityOf(task: number): number {
    return this.#arena.view.getUint32(task + TASK.pid, true) || -task;
  }

  /** Whether taskStruct() would change nothing. */
  isFilledFrom(task: number): boolean {
    const { u32 } = this.#arena;
    const known = this.#instances.get(TASK_STRUCT)?.get(this.#identityOf(task));
    return known !== undefined && isSame(u32.subarray(task >>> 2, (task + TASK.bytes) >>> 2), known.task);
  }

  /**
   * The task_struct of a TASK block, with what the block tells: one a thread. 0 where the programs brought no layout of it.
   * Parents and credentials are instances too; a parent that has not run yet has only its number.
   */
  taskStruct(task: number): number {
    const given = this.#arena.view.getBigUint64(task + TASK.taskStruct, true);
    if (given !== 0n) return Number(given & 0xffff_ffffn);
    if (!this.has(TASK_STRUCT)) return 0;
    const { view, u32 } = this.#arena;
    const pid = view.getUint32(task + TASK.pid, true);
    const known = this.#find(TASK_STRUCT, this.#identityOf(task))!;
    const { address } = known;
    const told = u32.subarray(task >>> 2, (task + TASK.bytes) >>> 2);
    if (isSame(told, known.task)) return address;
    known.task = told.slice();
    const tgid = view.getUint32(task + TASK.tgid, true);
    const ppid = view.getUint32(task + TASK.ppid, true);
    const startTime = view.getBigUint64(task + TASK.startTimeNs, true);
    // instances first: making one may grow the memory and move the views
    const leader = tgid === pid ? address : this.#numbered(tgid);
    const parent = ppid === 0 ? 0 : this.#numbered(ppid);
    const credentials = this.#credentials(
      this.#arena.view.getUint32(task + TASK.uid, true),
      this.#arena.view.getUint32(task + TASK.gid, true),
    );
    this.setNumber(address, TASK_STRUCT, "pid", pid);
    this.setNumber(address, TASK_STRUCT, "tgid", tgid);
    this.setBytes(address, TASK_STRUCT, "comm", task + TASK.comm, COMM_BYTES);
    this.setPointer(address, TASK_STRUCT, "group_leader", leader);
    for (const path of ["real_parent", "parent"]) this.setPointer(address, TASK_STRUCT, path, parent);
    for (const path of ["real_cred", "cred"]) this.setPointer(address, TASK_STRUCT, path, credentials);
    for (const path of ["start_time", "start_boottime"]) this.setNumber(address, TASK_STRUCT, path, startTime);
    return address;
  }

  /** A task of which only the number is known, unless it has run: then it is as it was. */
  #numbered(pid: number): number {
    const address = this.instance(TASK_STRUCT, pid);
    this.setNumber(address, TASK_STRUCT, "pid", pid);
    this.setNumber(address, TASK_STRUCT, "tgid", pid);
    return address;
  }

  #credentials(uid: number, gid: number): number {
    const address = this.instance("cred", `${uid}:${gid}`);
    if (address === 0) return 0;
    for (const path of ["uid.val", "suid.val", "euid.val", "fsuid.val"]) this.setNumber(address, "cred", path, uid);
    for (const path of ["gid.val", "sgid.val", "egid.val", "fsgid.val"]) this.setNumber(address, "cred", path, gid);
    return address;
  }

  #allocate(bytes: number): number {
    return this.#arena.allocate(bytes + 2 * MARGIN_BYTES, ALIGNMENT) + MARGIN_BYTES;
  }

  #reuse(known: Map<string | number, Instance>, bytes: number): number {
    const [oldest, { address }] = known.entries().next().value!;
    known.delete(oldest);
    this.#arena.bytes.fill(0, address, address + bytes);
    return address;
  }
}

/** A string with a character a byte: a key. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function isSame(words: Uint32Array, others: Uint32Array): boolean {
  if (words.length !== others.length) return false;
  for (let index = 0; index < words.length; index++) if (words[index] !== others[index]) return false;
  return true;
}

const TASK_STRUCT = "task_struct";
const TAG = BigInt(POINTER_TAG) << 32n;

/** As programs see it. */
export const pointerTo = (address: number): bigint => (address === 0 ? 0n : TAG | BigInt(address));
