/**
 * Kernel objects that sources make of what their events tell: instances by struct and identity, so that a pointer means the
 * same object in every event. Layouts come with the programs (Manifest.kernel).
 */
import { UsageError } from "../../base/index.ts";
import { COMM_BYTES, type KernelLayouts, type MemberPlace, POINTER_TAG, TASK } from "../../spec/index.ts";
import type { Arena } from "../arena.ts";

/**
 * Instances of one struct that are kept; beyond it the one that was used longest ago is given to another identity, as the
 * kernel reuses memory of what is gone.
 */
const MOST_INSTANCES = 4096;
/** Room around an instance that reads as zeros. */
const MARGIN_BYTES = 64;
const ALIGNMENT = 64;

interface Instance {
  readonly address: number;
  /** task_struct: the TASK block that it was filled from */
  task: Uint32Array;
}
const NO_TASK = new Uint32Array(0);

export class KernelSpace {
  readonly #arena: Arena;
  #layouts: KernelLayouts = {};
  /** struct → identity → address; in order of use */
  readonly #instances = new Map<string, Map<string | number, Instance>>();

  constructor(arena: Arena) {
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

  /** True where that changed something. A member that the kernel does not have is nothing. Little-endian, cut to its width. */
  setNumber(address: number, struct: string, path: string, value: number | bigint): boolean {
    const place = this.place(struct, path);
    if (place === null) return false;
    const { view } = this.#arena;
    const at = address + place.offsetBytes;
    let changed = false;
    let rest = BigInt.asUintN(64, BigInt(value));
    for (let byte = 0; byte < Math.min(8, place.bytes); byte++, rest >>= 8n) {
      const octet = Number(rest & 0xffn);
      if (view.getUint8(at + byte) === octet) continue;
      view.setUint8(at + byte, octet);
      changed = true;
    }
    return changed;
  }

  setPointer(address: number, struct: string, path: string, target: number): boolean {
    return this.setNumber(address, struct, path, pointerTo(target));
  }

  /** Bytes of the arena at `from`; what the member is longer becomes zeros. */
  setBytes(address: number, struct: string, path: string, from: number, length: number): boolean {
    const place = this.place(struct, path);
    if (place === null) return false;
    const { bytes } = this.#arena;
    const at = address + place.offsetBytes;
    let changed = false;
    for (let index = 0; index < place.bytes; index++) {
      const octet = index < length ? bytes[from + index]! : 0;
      if (bytes[at + index] === octet) continue;
      bytes[at + index] = octet;
      changed = true;
    }
    return changed;
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
    const known = this.#find(TASK_STRUCT, pid)!;
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

function isSame(words: Uint32Array, others: Uint32Array): boolean {
  if (words.length !== others.length) return false;
  for (let index = 0; index < words.length; index++) if (words[index] !== others[index]) return false;
  return true;
}

const TASK_STRUCT = "task_struct";
const TAG = BigInt(POINTER_TAG) << 32n;

/** As programs see it. */
export const pointerTo = (address: number): bigint => (address === 0 ? 0n : TAG | BigInt(address));
