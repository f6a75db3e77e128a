/**
 * Global variables of an object that is open: `object.rodata.targ_pid = 7`, typed by BTF. Structs and arrays are live: what
 * is assigned to a member or element is in the section's bytes at once. A name or value that does not fit is an error.
 */
import { MapError, UsageError } from "../base/index.ts";
import type { Value } from "../runtime/index.ts";
import {
  type FlatMember,
  flatMembers,
  isStruct,
  isText,
  readMember,
  readValue,
  writeMember,
  writeValue,
} from "../runtime/values/index.ts";
import type { CType, MapVariable } from "../spec/index.ts";

/** Values by name, as readValue() gives and writeValue() takes them; members of structs may be set by themselves. */
// biome-ignore lint/suspicious/noExplicitAny: variables are as deep as their C types, which only the object knows
export type Variables = Record<string, any>;

/** Bytes of a data section, with what must happen before they change. */
export interface DataSection {
  /** in messages: `.rodata` */
  readonly name: string;
  readonly variables: readonly MapVariable[];
  /** the bytes as they are */
  read(): DataView;
  /** the same bytes, to be written; throws where that is too late */
  write(): DataView;
}

export function variablesOf(section: DataSection): Variables {
  return placeView(
    {
      name: section.name,
      memory: section,
      offsetBytes: 0,
      keys: () => section.variables.map(({ name }) => name),
      member: (name) => {
        const variable = section.variables.find((candidate) => candidate.name === name);
        if (variable === undefined) return null;
        const { offsetBytes, sizeBytes } = variable;
        // Without BTF a variable is its bytes.
        const type: CType = variable.type ?? { kind: "opaque", name: "bytes", size: sizeBytes };
        return { name, offsetBits: offsetBytes * 8, bitfieldBits: 0, type };
      },
    },
    () => `it has ${section.variables.map(({ name }) => name).join(", ") || "no variables"}`,
  );
}

/** A struct, an array or a section at a place in the bytes. */
interface Place {
  readonly name: string;
  readonly memory: Pick<DataSection, "read" | "write">;
  readonly offsetBytes: number;
  keys(): string[];
  /** null where there is none of that name */
  member(key: string): FlatMember | null;
}

function placeView(place: Place, hint: () => string): Variables {
  const memberOf = (key: string): FlatMember => {
    const member = place.member(key);
    if (member !== null) return member;
    throw new UsageError("USAGE", `${place.name} has no ${key}`, { hint: hint() });
  };
  return new Proxy(Object.create(null), {
    get: (_, key) => {
      if (typeof key === "symbol") return undefined;
      const member = place.member(key);
      return member === null ? undefined : valueAt(place, member);
    },
    set: (_, key, value: Value) => {
      const member = memberOf(String(key));
      setMember(place, member, value);
      return true;
    },
    has: (_, key) => typeof key === "string" && place.member(key) !== null,
    ownKeys: () => place.keys(),
    getOwnPropertyDescriptor: (_, key) => {
      const member = typeof key === "string" ? place.member(key) : null;
      if (member === null) return undefined;
      return { value: valueAt(place, member), writable: true, enumerable: true, configurable: true };
    },
    deleteProperty: (_, key) => {
      throw new UsageError("USAGE", `${place.name}.${String(key)} cannot be deleted`);
    },
    defineProperty: (_, key) => {
      throw new UsageError("USAGE", `${place.name}.${String(key)} cannot be defined, only set`);
    },
  });
}

function valueAt(place: Place, member: FlatMember): unknown {
  const { type } = member;
  const path = `${place.name}.${member.name}`;
  const inner = { name: path, memory: place.memory, offsetBytes: place.offsetBytes + member.offsetBits / 8 };
  if (isStruct(type)) {
    const members = flatMembers(type);
    const names = members.map(({ name }) => name);
    const found = (key: string) => members.find(({ name }) => name === key) ?? null;
    return placeView({ ...inner, keys: () => names, member: found }, () => `it has ${names.join(", ")}`);
  }
  if (type.kind === "array" && !isText(type)) return arrayView(inner, type);
  const view = place.memory.read();
  return member.bitfieldBits === 0
    ? readValue(type, view, inner.offsetBytes)
    : readMember(member, view, place.offsetBytes, {});
}

function arrayView(inner: Omit<Place, "keys" | "member">, type: Extract<CType, { kind: "array" }>): Variables {
  const { element, length } = type;
  return placeView(
    {
      ...inner,
      keys: () => Array.from({ length }, (_, index) => String(index)),
      member: (key) => {
        const isIndex = /^(0|[1-9]\d{0,9})$/.test(key) && Number(key) < length;
        return isIndex
          ? { name: key, offsetBits: Number(key) * element.size * 8, bitfieldBits: 0, type: element }
          : null;
      },
    },
    () => `it has ${length} elements`,
  );
}

function setMember(place: Place, member: FlatMember, value: Value): void {
  const { type, bitfieldBits, offsetBits } = member;
  const path = `${place.name}.${member.name}`;
  const view = place.memory.write();
  if (type.kind === "opaque") setBytes(view, place.offsetBytes + offsetBits / 8, type.size, value, path);
  else if (bitfieldBits !== 0) writeMember(member, view, place.offsetBytes, value, path);
  else named(path, () => writeValue(type, view, place.offsetBytes + offsetBits / 8, value));
}

/** writeValue() calls what it is given `value`; the error is to name the variable. */
function named(path: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof MapError)) throw error;
    throw new MapError("MAP_KEY_TYPE", error.message.replace(/\bvalue\b/, path), { cause: error });
  }
}

function setBytes(view: DataView, offset: number, size: number, value: Value, path: string): void {
  if (!(value instanceof Uint8Array) || value.length !== size)
    throw new MapError("MAP_KEY_TYPE", `${path} has no type that bpfjit knows: give ${size} bytes`);
  new Uint8Array(view.buffer, view.byteOffset + offset, size).set(value);
}
