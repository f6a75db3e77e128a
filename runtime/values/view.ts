/**
 * Views: a struct's members as lazy getters over memory that stays where it is. For hot readers of rings: nothing is copied
 * or decoded before it is asked for. A view names a place; what it answers changes with the memory there.
 */
import { UsageError } from "../../base/index.ts";
import type { CType } from "../../spec/index.ts";
import { type ReadOptions, readMember, readText, readValue } from "./read.ts";
import {
  type ArrayType,
  type FlatMember,
  flatMembers,
  isStruct,
  isText,
  requireRoom,
  type StructType,
  type Value,
} from "./type.ts";

/** Memory whose views go stale when it grows: the property is read anew at every access. */
export interface LiveMemory {
  readonly view: DataView;
}

/** A place in memory, with one getter for every member of its struct. */
export interface StructView {
  readonly $memory: LiveMemory;
  /** may be set, to look at another record with the same view */
  $address: number;
  /** everything copied into a plain object */
  $copy(options?: ReadOptions): Value;
  toJSON(): Value;
  readonly [member: string]: unknown;
}
export type StructViewClass = new (memory: LiveMemory, address: number) => StructView;

const CLASSES = new WeakMap<StructType, StructViewClass>();

/**
 * The class of views on a struct or union, the same for the same type. Integers, enums (as numbers), pointers and floats
 * come as from readValue(); text comes as a string; a struct as a view; an array of them as an array of views; an array
 * of numbers as a typed array over the memory itself where it is aligned, else over a copy.
 */
export function viewOf(type: CType): StructViewClass {
  if (!isStruct(type)) throw new UsageError("USAGE", `a view needs a struct or union, not ${type.kind}`);
  const known = CLASSES.get(type);
  if (known !== undefined) return known;
  const made = makeClass(type);
  CLASSES.set(type, made);
  return made;
}

function makeClass(type: StructType): StructViewClass {
  class View {
    readonly $memory: LiveMemory;
    $address: number;
    constructor(memory: LiveMemory, address: number) {
      requireRoom(type, address, memory.view.byteLength);
      this.$memory = memory;
      this.$address = address;
    }
    $copy(options: ReadOptions = {}): Value {
      return readValue(type, this.$memory.view, this.$address, options);
    }
    toJSON(): Value {
      return this.$copy();
    }
  }
  for (const member of flatMembers(type)) {
    Object.defineProperty(View.prototype, member.name, { get: getter(member), enumerable: true });
  }
  return View as unknown as StructViewClass;
}

type Getter = (this: StructView) => unknown;

function getter(member: FlatMember): Getter {
  const { type } = member;
  if (member.bitfieldBits !== 0) {
    return function (this: StructView) {
      return readMember(member, this.$memory.view, this.$address, NUMBERS);
    };
  }
  const offset = member.offsetBits / 8;
  if (type.kind === "int" && type.encoding !== "bool") return integerGetter(offset, type.size, type.signed, member);
  if (type.kind === "enum") return integerGetter(offset, type.size, type.signed, member);
  if (type.kind === "pointer") return integerGetter(offset, 8, false, member);
  if (type.kind === "array" && isText(type)) return textGetter(offset, type);
  if (isStruct(type)) return structGetter(offset, type);
  if (type.kind === "array") return arrayGetter(offset, type, member);
  return copyGetter(member);
}

const NUMBERS: ReadOptions = { enums: "number" };

function copyGetter(member: FlatMember): Getter {
  return function (this: StructView) {
    return readMember(member, this.$memory.view, this.$address, NUMBERS);
  };
}

/** One closure a width, so that each is a single DataView access when it is hot. */
function integerGetter(offset: number, size: number, signed: boolean, member: FlatMember): Getter {
  switch (size * (signed ? -1 : 1)) {
    case 1:
      return function (this: StructView) {
        return this.$memory.view.getUint8(this.$address + offset);
      };
    case -1:
      return function (this: StructView) {
        return this.$memory.view.getInt8(this.$address + offset);
      };
    case 2:
      return function (this: StructView) {
        return this.$memory.view.getUint16(this.$address + offset, true);
      };
    case -2:
      return function (this: StructView) {
        return this.$memory.view.getInt16(this.$address + offset, true);
      };
    case 4:
      return function (this: StructView) {
        return this.$memory.view.getUint32(this.$address + offset, true);
      };
    case -4:
      return function (this: StructView) {
        return this.$memory.view.getInt32(this.$address + offset, true);
      };
    case 8:
      return function (this: StructView) {
        return this.$memory.view.getBigUint64(this.$address + offset, true);
      };
    case -8:
      return function (this: StructView) {
        return this.$memory.view.getBigInt64(this.$address + offset, true);
      };
    default:
      return copyGetter(member);
  }
}

/** comm and its like: 16 bytes that are mostly among few values, so decoded texts are kept by their four words. */
const CACHE_SLOTS = 1024;
const CACHED_TEXT_BYTES = 16;
const cachedWords = new Int32Array(CACHE_SLOTS * 4);
const cachedTexts: (string | undefined)[] = new Array(CACHE_SLOTS).fill(undefined);

function textGetter(offset: number, type: ArrayType): Getter {
  if (type.length !== CACHED_TEXT_BYTES) {
    return function (this: StructView) {
      return readText(type, this.$memory.view, this.$address + offset);
    };
  }
  return function (this: StructView) {
    const { view } = this.$memory;
    const at = this.$address + offset;
    const a = view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    const mixed = Math.imul(a ^ Math.imul(b, 31) ^ Math.imul(c, 961) ^ Math.imul(d, 29_791), 0x9e37_79b1);
    const slot = mixed >>> 22;
    const word = slot * 4;
    const known = cachedTexts[slot];
    if (
      known !== undefined &&
      cachedWords[word] === a &&
      cachedWords[word + 1] === b &&
      cachedWords[word + 2] === c &&
      cachedWords[word + 3] === d
    ) {
      return known;
    }
    const text = readText(type, view, at);
    cachedWords[word] = a;
    cachedWords[word + 1] = b;
    cachedWords[word + 2] = c;
    cachedWords[word + 3] = d;
    cachedTexts[slot] = text;
    return text;
  };
}

function structGetter(offset: number, type: StructType): Getter {
  const Inner = viewOf(type);
  return function (this: StructView) {
    return new Inner(this.$memory, this.$address + offset);
  };
}

const TYPED_ARRAYS = {
  "1": Uint8Array,
  "-1": Int8Array,
  "2": Uint16Array,
  "-2": Int16Array,
  "4": Uint32Array,
  "-4": Int32Array,
  "8": BigUint64Array,
  "-8": BigInt64Array,
} as const;

function arrayGetter(offset: number, type: ArrayType, member: FlatMember): Getter {
  const { element, length } = type;
  if (isStruct(element)) {
    const Inner = viewOf(element);
    return function (this: StructView) {
      const start = this.$address + offset;
      return Array.from({ length }, (_, index) => new Inner(this.$memory, start + index * element.size));
    };
  }
  const signed = (element.kind === "int" || element.kind === "enum") && element.signed;
  const name = String(element.size * (signed ? -1 : 1)) as keyof typeof TYPED_ARRAYS;
  const Typed = TYPED_ARRAYS[name];
  const plain = element.kind === "int" || element.kind === "enum" || element.kind === "pointer";
  if (Typed === undefined || !plain) return copyGetter(member);
  return function (this: StructView) {
    const { buffer, byteOffset } = this.$memory.view;
    const start = byteOffset + this.$address + offset;
    if (start % element.size === 0) return new Typed(buffer as ArrayBuffer, start, length);
    return new Typed(new Uint8Array(buffer, start, type.size).slice().buffer as ArrayBuffer);
  };
}
