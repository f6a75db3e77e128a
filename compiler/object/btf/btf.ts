/**
 * BTF, the type information of a program or a kernel. Opening it finds where each type begins and no more; types are
 * decoded when asked for. References between types are followed with a bound, so cycles end in an error.
 * Source: Documentation/bpf/btf.rst. The size and alignment rules are libbpf's: btf__resolve_size(), btf__align_of().
 */
import { ObjectError } from "../../../base/index.ts";
import type { CType } from "../../../spec/index.ts";
import { StringTable } from "../strings.ts";
import { CTypes } from "./ctype.ts";
import { NameIndex } from "./names.ts";
import {
  BTF_KINDS,
  type BtfKind,
  type BtfType,
  decodeType,
  infoCount,
  infoKind,
  TYPE_HEAD_BYTES,
  TYPE_TAIL,
  VOID,
} from "./types.ts";

export const BTF_MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** Modifiers, typedefs and array dimensions that are followed (libbpf and kernel: MAX_RESOLVE_DEPTH). */
const RESOLVE_DEPTH = 32;
/** Typedefs and modifiers in a row: more than the kernel takes, few enough to follow often. */
const MODIFIER_DEPTH = 64;
const POINTER_BYTES = 8;
const U32_MAX = 0xffff_ffff;

export class Btf {
  /** as it was given */
  readonly bytes: Uint8Array;
  /** whose types and strings come before this one's own (split BTF: a module's, on the kernel's), null where it is whole */
  readonly base: Btf | null;
  /** the first of its own types: 1, or what follows the types of `base` */
  readonly firstId: number;
  /** ids are 0 (void) to typeCount − 1, those of `base` included */
  readonly typeCount: number;
  readonly strings: StringTable;
  readonly #view: DataView;
  /** by id − firstId: offset of the type's head in #view */
  readonly #offsets: Uint32Array;
  readonly #types = new Map<number, BtfType>();
  readonly #aligns = new Map<number, number | null>();
  #names: NameIndex | null = null;
  #ctypes: CTypes | null = null;

  /** `bytes` begin with the BTF header. They are kept, not copied. */
  constructor(bytes: Uint8Array, base: Btf | null = null) {
    if (bytes.length < HEADER_BYTES) throw malformed(`${bytes.length} bytes are too few for a header`, 0);
    const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (header.getUint16(0, true) !== BTF_MAGIC) throw malformed("the magic number is not that of BTF", 0);
    const headerBytes = header.getUint32(4, true);
    const typesOffset = headerBytes + header.getUint32(8, true);
    const typesBytes = header.getUint32(12, true);
    const stringsOffset = headerBytes + header.getUint32(16, true);
    const stringsBytes = header.getUint32(20, true);
    if (headerBytes < HEADER_BYTES || typesOffset % 4 !== 0) throw malformed(`a header of ${headerBytes} bytes`, 4);
    if (typesOffset + typesBytes > stringsOffset || stringsOffset + stringsBytes > bytes.length)
      throw malformed(`types and strings do not fit in ${bytes.length} bytes`, 8);
    const strings = bytes.subarray(stringsOffset, stringsOffset + stringsBytes);
    // The empty string is the base's first; a split BTF may have no strings at all.
    const isWhole = stringsBytes > 0 && strings[0] === 0;
    if ((base === null && !isWhole) || (stringsBytes > 0 && strings[stringsBytes - 1] !== 0))
      throw malformed("the strings neither begin nor end with an empty one", stringsOffset);
    this.bytes = bytes;
    this.base = base;
    this.firstId = base === null ? 1 : base.typeCount;
    const fail = (message: string, offset: number) => malformed(message, stringsOffset + offset);
    this.strings = new StringTable(strings, fail, base?.strings ?? null);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset + typesOffset, typesBytes);
    this.#offsets = indexTypes(this.#view, this.firstId);
    this.typeCount = this.firstId + this.#offsets.length;
  }

  /** Throws BTF_MALFORMED where there is no such type or it cannot be decoded. */
  typeById(id: number): BtfType {
    if (id === 0) return VOID;
    if (id < this.firstId) return this.base!.typeById(id);
    const known = this.#types.get(id);
    if (known !== undefined) return known;
    const type = decodeType(this.#view, this.#offsetOf(id), this.strings, id);
    this.#types.set(id, type);
    return type;
  }

  kindOf(id: number): BtfKind {
    if (id < this.firstId && id > 0) return this.base!.kindOf(id);
    return id === 0 ? "void" : BTF_KINDS[infoKind(this.#view.getUint32(this.#offsetOf(id) + 4, true))]!;
  }

  nameOf(id: number): string {
    if (id < this.firstId && id > 0) return this.base!.nameOf(id);
    return id === 0 ? "" : this.strings.at(this.#view.getUint32(this.#offsetOf(id), true));
  }

  /** The string at an offset of the string section. */
  string(offset: number): string {
    return this.strings.at(offset);
  }

  /** The first type of that name (and kind), the base's before its own; null where there is none. */
  findByName(name: string, kind?: BtfKind): number | null {
    return this.base?.findByName(name, kind) ?? this.findOwnByName(name, kind);
  }

  /** The same, among its own types only. */
  findOwnByName(name: string, kind?: BtfKind): number | null {
    for (const id of this.ownCandidates(name)) {
      if ((kind === undefined || this.kindOf(id) === kind) && this.nameOf(id) === name) return id;
    }
    return null;
  }

  /** Its own types' ids, ascending, whose name is `name` up to a `___flavour` on either side. */
  ownCandidates(name: string): Iterable<number> {
    if (name === "") return [];
    this.#names ??= new NameIndex(this.strings, this.firstId, this.typeCount, (id) =>
      this.#view.getUint32(this.#offsets[id - this.firstId]!, true),
    );
    return this.#names.withEssentialName(name);
  }

  /** All ids of a kind among its own types, ascending. */
  *idsOf(kind: BtfKind): Generator<number> {
    for (let id = this.firstId; id < this.typeCount; id++) if (this.kindOf(id) === kind) yield id;
  }

  /** Follows typedef, const, volatile, restrict and type_tag. Throws on a cycle. */
  skipModifiers(id: number): number {
    for (let at = id, steps = 0; steps < MODIFIER_DEPTH; steps++) {
      const type = this.typeById(at);
      if (!isModifier(type)) return at;
      at = type.type;
    }
    throw malformed(`typedefs and modifiers of type ${id} do not end`, this.#offsetOf(id));
  }

  /** The type behind typedefs and modifiers. */
  resolve(id: number): BtfType {
    return this.typeById(this.skipModifiers(id));
  }

  /** Bytes of a value of the type, null where it has no size (void, functions, forward declarations, cycles). */
  sizeOf(id: number): number | null {
    let elements = 1;
    for (let at = id, depth = 0; depth < RESOLVE_DEPTH; depth++) {
      const type = this.typeById(at);
      switch (type.kind) {
        case "int":
        case "struct":
        case "union":
        case "enum":
        case "enum64":
        case "datasec":
        case "float":
          return elements * type.size <= U32_MAX ? elements * type.size : null;
        case "ptr":
          return elements * POINTER_BYTES <= U32_MAX ? elements * POINTER_BYTES : null;
        case "typedef":
        case "volatile":
        case "const":
        case "restrict":
        case "type_tag":
        case "var":
        case "decl_tag":
          at = type.type;
          break;
        case "array":
          elements *= type.length;
          if (elements > U32_MAX) return null;
          at = type.element;
          break;
        default:
          return null;
      }
    }
    return null;
  }

  /** Bytes that a value of the type is aligned to, null where that cannot be told. */
  alignOf(id: number): number | null {
    return this.#alignOf(id, 0);
  }

  #alignOf(id: number, depth: number): number | null {
    if (depth > RESOLVE_DEPTH) return null;
    const known = this.#aligns.get(id);
    if (known !== undefined) return known;
    // A type that contains itself finds this entry.
    this.#aligns.set(id, null);
    const align = this.#findAlign(id, depth);
    this.#aligns.set(id, align);
    return align;
  }

  #findAlign(id: number, depth: number): number | null {
    const type = this.resolve(id);
    switch (type.kind) {
      case "int":
      case "enum":
      case "enum64":
      case "float":
        return Math.min(POINTER_BYTES, type.size);
      case "ptr":
        return POINTER_BYTES;
      case "array":
        return this.#alignOf(type.element, depth + 1);
      case "struct":
      case "union": {
        let most = 1;
        for (const member of type.members) {
          const align = this.#alignOf(member.type, depth + 1);
          if (align === null) return null;
          most = Math.max(most, align);
          // A member off its alignment: the struct is packed.
          if (member.bitfieldBits === 0 && member.offsetBits % (8 * align) !== 0) return 1;
        }
        return type.size % most === 0 ? most : 1;
      }
      default:
        return null;
    }
  }

  /** The type as the runtime reads it. Throws where it contains itself or nests too deep. */
  ctype(id: number): CType {
    this.#ctypes ??= new CTypes(this);
    return this.#ctypes.of(id);
  }

  /** Decodes every type and checks every reference, as libbpf does before it uses a program's BTF. */
  validate(): void {
    for (let id = this.firstId; id < this.typeCount; id++) {
      const type = this.typeById(id);
      for (const reference of referencesOf(type)) {
        if (reference >= this.typeCount)
          throw malformed(`type ${id} refers to type ${reference}, which does not exist`, this.#offsetOf(id));
      }
      if (type.kind === "func" && this.kindOf(type.type) !== "func_proto")
        throw malformed(`type ${id} is a function without a prototype`, this.#offsetOf(id));
    }
  }

  #offsetOf(id: number): number {
    const offset = this.#offsets[id - this.firstId];
    if (offset === undefined) throw malformed(`there is no type ${id}`);
    return offset;
  }
}

export const isModifier = (
  type: BtfType,
): type is Extract<BtfType, { kind: "typedef" | "volatile" | "const" | "restrict" | "type_tag" }> =>
  type.kind === "typedef" ||
  type.kind === "const" ||
  type.kind === "volatile" ||
  type.kind === "restrict" ||
  type.kind === "type_tag";

export const isComposite = (type: BtfType): type is Extract<BtfType, { kind: "struct" | "union" }> =>
  type.kind === "struct" || type.kind === "union";

/** Where each type begins. */
function indexTypes(view: DataView, firstId: number): Uint32Array {
  const end = view.byteLength;
  // A type takes at least its head.
  const offsets = new Uint32Array(Math.floor(end / TYPE_HEAD_BYTES));
  let count = 0;
  let at = 0;
  while (at + TYPE_HEAD_BYTES <= end) {
    const info = view.getUint32(at + 4, true);
    const tail = TYPE_TAIL[infoKind(info)];
    if (tail === undefined) throw malformed(`type ${firstId + count} is of unknown kind ${infoKind(info)}`, at);
    if (infoKind(info) === 0) throw malformed(`type ${firstId + count} is void`, at);
    offsets[count++] = at;
    at += TYPE_HEAD_BYTES + tail.fixed + tail.entry * infoCount(info);
  }
  if (at !== end) throw malformed(`type ${firstId + count - 1} is cut short`, at);
  return offsets.slice(0, count);
}

function referencesOf(type: BtfType): number[] {
  switch (type.kind) {
    case "ptr":
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
    case "type_tag":
    case "var":
    case "decl_tag":
    case "func":
      return [type.type];
    case "array":
      return [type.element, type.index];
    case "struct":
    case "union":
      return type.members.map((member) => member.type);
    case "func_proto":
      return [type.returns, ...type.parameters.map((parameter) => parameter.type)];
    case "datasec":
      return type.variables.map((variable) => variable.type);
    default:
      return [];
  }
}

function malformed(message: string, offsetBytes?: number): ObjectError {
  return new ObjectError("BTF_MALFORMED", message, { where: { section: ".BTF", offsetBytes } });
}
