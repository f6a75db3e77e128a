/**
 * Kernel objects as values: instances of the target's structs in the arena, behind pointers that look like the kernel's.
 * Direct loads, probe reads and CO-RE reads of programs work on them. Members that were not given are zeros, pointers that
 * were not given are null, and around every object lies room that reads as zeros.
 */
import { UsageError } from "../../base/index.ts";
import type { CType } from "../../spec/index.ts";
import {
  type FlatMember,
  flatMembers,
  isStruct,
  type StructType,
  type StructView,
  type Value,
  viewOf,
  writeMember,
  writeValue,
} from "../values/index.ts";
import type { World } from "../world.ts";
import { pointerTo } from "./space.ts";

/** A type of the target by name: structs and unions first, then typedefs; null where it has none. */
export type KernelTypes = (name: string) => CType | null;

/**
 * What a member can be given: what a map's value can (docs/core.md), and for pointers an object made before, a plain object
 * (an instance of the pointer's struct is made), a text (for `char *`), or the pointer itself as a bigint.
 */
export type KernelValue =
  | Value
  | KernelObject
  | readonly KernelValue[]
  | { readonly [member: string]: KernelValue | undefined };

/** Bytes around an object that read as zeros: container_of() with a wrong type, and reads past its end. */
const MARGIN_BYTES = 256;
const ALIGNMENT = 64;

/** One instance; `free()` or closing what it belongs to ends it. */
export class KernelObject {
  readonly type: StructType;
  /** in the arena */
  readonly address: number;
  readonly #home: KernelObjects;

  constructor(home: KernelObjects, type: StructType, address: number) {
    this.#home = home;
    this.type = type;
    this.address = address;
  }

  /** As programs see it, unsigned: for raw arguments, map values and other objects. */
  get pointer(): bigint {
    return pointerTo(this.address);
  }
  /** Its members, read where they are. */
  get view(): StructView {
    return new (viewOf(this.type))(this.#home.memory, this.address);
  }

  /** Sets the members that are named; the others stay. Throws what making one throws. */
  set(values: { readonly [member: string]: KernelValue | undefined }): void {
    this.#home.fill(this, values);
  }

  free(): void {
    this.#home.free(this);
  }
  [Symbol.dispose](): void {
    this.free();
  }
}

export class KernelObjects {
  readonly #world: World;
  readonly #types: KernelTypes;
  /** base addresses of what was allocated, by the address that programs see */
  readonly #owned = new Map<number, number>();

  constructor(world: World, types: KernelTypes) {
    this.#world = world;
    this.#types = types;
  }

  get memory(): { readonly view: DataView } {
    return this.#world;
  }

  /** Throws UsageError where the target has no struct of that name, MapError where a value does not fit its member. */
  make(name: string, values: { readonly [member: string]: KernelValue | undefined } = {}): KernelObject {
    return this.#instance(this.#structNamed(name), values);
  }

  /** One that lies in the arena already; whoever made it frees it. */
  at(name: string, address: number): KernelObject {
    return new KernelObject(this, this.#structNamed(name), address);
  }

  /** A text with its terminating zero; the pointer to it, unsigned. */
  text(text: string): bigint {
    const bytes = new TextEncoder().encode(text);
    const address = this.#allocate(bytes.length + 1, "text");
    this.#world.bytes.set(bytes, address);
    return pointerTo(address);
  }

  fill(object: KernelObject, values: { readonly [member: string]: KernelValue | undefined }): void {
    const members = new Map(flatMembers(object.type).map((member) => [member.name, member]));
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) continue;
      const member = members.get(name);
      if (member === undefined) throw new UsageError("USAGE", `${nameOf(object.type)} has no member ${name}`);
      const path = `${object.type.name}.${name}`;
      // what it points to is made first: that may grow the memory
      const plain = this.#plain(member.type, value, path);
      writeMember(member, this.#world.view, object.address, plain, path);
      this.#give(member, object.address, value);
    }
  }

  free(object: KernelObject): void {
    this.#release(object.address);
  }

  /** Frees every object and text. */
  close(): void {
    for (const address of [...this.#owned.keys()]) this.#release(address);
  }

  #instance(type: StructType, values: { readonly [member: string]: KernelValue | undefined }): KernelObject {
    const object = new KernelObject(this, type, this.#allocate(type.size, type.name, type));
    this.fill(object, values);
    return object;
  }

  /** The value with every pointer as a number: what writeValue() takes. */
  #plain(type: CType, value: KernelValue, path: string): Value {
    if (type.kind === "pointer") return this.#pointer(type.target, value, path);
    if (value instanceof KernelObject) return this.#copyOf(type, value, path);
    if (type.kind === "array" && Array.isArray(value)) {
      return value.map((item, index) => this.#plain(type.element, item as KernelValue, `${path}[${index}]`));
    }
    if (!isStruct(type) || !isPlainObject(value)) return value as Value;
    const members = new Map(flatMembers(type).map((member) => [member.name, member.type]));
    const entries = Object.entries(value).map(([name, item]) => {
      const member = members.get(name);
      return [name, member === undefined ? (item as Value) : this.#plain(member, item, `${path}.${name}`)];
    });
    return Object.fromEntries(entries);
  }

  #pointer(target: string, value: KernelValue, path: string): Value {
    if (value === null) return 0n;
    if (value instanceof KernelObject) return value.pointer;
    if (typeof value === "string") return this.text(value);
    if (typeof value === "bigint" || typeof value === "number") return BigInt.asUintN(64, BigInt(value));
    if (value instanceof Uint8Array) {
      const address = this.#allocate(value.length, "bytes");
      this.#world.bytes.set(value, address);
      return pointerTo(address);
    }
    const type = this.#types(target);
    if (Array.isArray(value)) return this.#row(requireType(type, target, path), value as KernelValue[], path);
    const struct = requireType(type, target, path);
    if (!isStruct(struct) || !isPlainObject(value)) {
      throw new UsageError(
        "USAGE",
        `${path} is a pointer to ${target}: an object of it, its address or null is needed`,
      );
    }
    return this.#instance(struct, value).pointer;
  }

  /** Elements one behind the other, for a pointer to the first. */
  #row(element: CType, values: readonly KernelValue[], path: string): bigint {
    const address = this.#allocate(Math.max(1, values.length) * element.size, "array");
    for (const [index, value] of values.entries()) {
      const plain = this.#plain(element, value, `${path}[${index}]`);
      writeValue(element, this.#world.view, address + index * element.size, plain);
    }
    return pointerTo(address);
  }

  #copyOf(type: CType, { type: from, address }: KernelObject, path: string): Uint8Array {
    if (from.size !== type.size) throw new UsageError("USAGE", `${path}: a ${nameOf(from)} does not fit`);
    return this.#world.bytes.slice(address, address + from.size);
  }

  #structNamed(name: string): StructType {
    const type = this.#types(name);
    if (type !== null && isStruct(type)) return type;
    throw new UsageError("USAGE", `the target has no struct ${name}`, {
      hint: "objects need the target's BTF: load with { ...readKernel(path) }",
    });
  }

  /** `type`: its members are given one by one; null: all of it is. */
  #allocate(bytes: number, struct: string, type: StructType | null = null): number {
    const base = this.#world.arena.allocate(bytes + 2 * MARGIN_BYTES, ALIGNMENT);
    const address = base + MARGIN_BYTES;
    this.#owned.set(address, base);
    this.#world.watch?.add(address, { bytes, marginBytes: MARGIN_BYTES, struct, type, isWhole: type === null });
    return address;
  }

  /** What a value says of its member is given; what it leaves out of a struct is not. */
  #give({ type, offsetBits, bitfieldBits }: FlatMember, address: number, value: KernelValue): void {
    const { watch } = this.#world;
    if (watch === null) return;
    const at = address + Math.floor(offsetBits / 8);
    if (!isStruct(type) || !isPlainObject(value)) {
      watch.give(at, bitfieldBits === 0 ? type.size : Math.ceil(((offsetBits % 8) + bitfieldBits) / 8));
      return;
    }
    for (const member of flatMembers(type)) {
      const part = value[member.name];
      if (part !== undefined) this.#give(member, at, part);
    }
  }

  #release(address: number): void {
    const base = this.#owned.get(address);
    if (base === undefined) return;
    this.#owned.delete(address);
    this.#world.watch?.remove(address);
    this.#world.arena.free(base);
  }
}

const nameOf = (type: StructType): string => `${type.kind} ${type.name}`;

function requireType(type: CType | null, target: string, path: string): CType {
  if (type !== null) return type;
  throw new UsageError("USAGE", `${path} is a pointer to ${target}, which the target's BTF does not describe`);
}

function isPlainObject(value: KernelValue): value is { readonly [member: string]: KernelValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
