/**
 * C declarations → BTF, so that tests can say types in a line. Understands structs, unions, bit-fields, enums (`enum64` for
 * wide ones), typedefs, pointers, arrays, functions, qualifiers; lays out as x86-64 and BPF do, `packed` without padding.
 * `fwd struct x;` is a declaration only; a second definition of a name is a second type; `tag(text)` before a type is a
 * type tag. A name that is never defined becomes a forward declaration.
 */

interface Entry {
  kind: number;
  name: string;
  flag: boolean;
  count: number;
  /** size or type */
  size: number;
  rest: (number | string)[];
  bytes: number;
  align: number;
  /** only referred to so far */
  isPlaceholder: boolean;
}

const KIND = {
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  FLOAT: 16,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

const SIGNED = 1 << 24;
const BOOL = 4 << 24;
const INTS: Readonly<Record<string, readonly [bytes: number, encoding: number]>> = {
  char: [1, SIGNED],
  "signed char": [1, SIGNED],
  "unsigned char": [1, 0],
  short: [2, SIGNED],
  "unsigned short": [2, 0],
  int: [4, SIGNED],
  "unsigned int": [4, 0],
  long: [8, SIGNED],
  "unsigned long": [8, 0],
  __int128: [16, SIGNED],
  "unsigned __int128": [16, 0],
  _Bool: [1, BOOL],
};
const FLOATS: Readonly<Record<string, number>> = { float: 4, double: 8 };
const QUALIFIERS: Readonly<Record<string, number>> = {
  const: KIND.CONST,
  volatile: KIND.VOLATILE,
  restrict: KIND.RESTRICT,
};

/** The bytes of a BTF with these types, ids from 1 in the order of their first mention. */
export function btfOf(declarations: string): Uint8Array {
  return declare(declarations).bytes;
}

export interface Declared {
  readonly bytes: Uint8Array;
  /** id of a struct, union, enum, typedef, function or variable: the first that was defined by that name */
  idOf(name: string): number;
  /** where a string is, for .BTF.ext; strings are given beforehand */
  stringAt(text: string): number;
}

/** `strings`: more that the string section is to have. `base`: ids and strings begin where that ends (split BTF). */
export function declare(declarations: string, strings: readonly string[] = [], base: Base = WHOLE): Declared {
  const parser = new Parser(declarations, base);
  parser.run();
  const table = new Strings(base);
  const words = parser.types.flatMap(({ kind, name, flag, count, size, rest }) => [
    table.add(name),
    (kind << 24) | count | (flag ? 1 << 31 : 0),
    size,
    ...rest.map((word) => (typeof word === "string" ? table.add(word) : word)),
  ]);
  for (const text of strings) table.add(text);
  const tail = table.bytes();
  const bytes = new Uint8Array(24 + 4 * words.length + tail.length);
  const view = new DataView(bytes.buffer);
  [0x1eb9f, 24, 0, 4 * words.length, 4 * words.length, tail.length, ...words].forEach((word, index) => {
    view.setUint32(4 * index, word >>> 0, true);
  });
  bytes.set(tail, 24 + 4 * words.length);
  return {
    bytes,
    stringAt: (text) => table.add(text),
    idOf: (name) => {
      const index = parser.types.findIndex(
        (type) => type.name === name && !type.isPlaceholder && type.kind !== KIND.FWD,
      );
      const found = index >= 0 ? index : parser.types.findIndex((type) => type.name === name);
      if (found < 0) throw new Error(`no type ${name}`);
      return base.firstId + found;
    },
  };
}

export interface Base {
  readonly firstId: number;
  readonly stringBytes: number;
}
const WHOLE: Base = { firstId: 1, stringBytes: 0 };

class Strings {
  readonly #bytes: number[];
  readonly #known = new Map([["", 0]]);
  readonly #first: number;

  constructor(base: Base) {
    this.#first = base.stringBytes;
    this.#bytes = base.stringBytes === 0 ? [0] : [];
  }

  add(text: string): number {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const offset = this.#first + this.#bytes.length;
    this.#bytes.push(...new TextEncoder().encode(text), 0);
    this.#known.set(text, offset);
    return offset;
  }

  bytes(): number[] {
    return this.#bytes;
  }
}

/** A declarator: how it makes its type out of the one before it. */
interface Declarator {
  readonly name: string;
  readonly apply: (type: number) => number;
}

class Parser {
  readonly types: Entry[] = [];
  readonly #tokens: string[];
  readonly #first: number;
  readonly #named = new Map<string, number>();
  #at = 0;

  constructor(text: string, base: Base) {
    this.#tokens = text.match(/-?\w+|[{}();,*[\]:=]/g) ?? [];
    this.#first = base.firstId;
  }

  run(): void {
    while (this.#at < this.#tokens.length) this.#declaration();
  }

  #declaration(): void {
    if (this.#accept("fwd")) {
      const isUnion = this.#take() === "union";
      this.#add({ kind: KIND.FWD, name: this.#take(), flag: isUnion });
      this.#expect(";");
      return;
    }
    const isTypedef = this.#accept("typedef");
    const base = this.#specifiers();
    if (this.#accept(";")) return;
    const { name, apply } = this.#declarator();
    this.#expect(";");
    const type = apply(base);
    if (isTypedef) this.#define(`typedef ${name}`, { kind: KIND.TYPEDEF, name, size: type, ...this.#shape(type) });
    else if (this.#entry(type)?.kind === KIND.FUNC_PROTO) this.#add({ kind: KIND.FUNC, name, size: type, count: 1 });
    else this.#add({ kind: KIND.VAR, name, size: type, rest: [1] });
  }

  #specifiers(): number {
    const qualifiers: number[] = [];
    const tags: string[] = [];
    const words: string[] = [];
    let type = -1;
    for (;;) {
      const token = this.#peek();
      if (QUALIFIERS[token] !== undefined) qualifiers.push(QUALIFIERS[this.#take()]!);
      else if (token === "tag") tags.push(this.#tag());
      else if (token === "struct" || token === "union") type = this.#composite();
      else if (token === "enum" || token === "enum64") type = this.#enumeration();
      else if (
        type < 0 &&
        (/^(signed|unsigned|char|short|int|long|__int128|_Bool|float|double|void)$/.test(token) ||
          words.length === 0) &&
        /^\w/.test(token)
      )
        words.push(this.#take());
      else break;
    }
    if (type < 0) type = this.#plain(words.join(" "));
    for (const name of tags) type = this.#add({ kind: KIND.TYPE_TAG, name, size: type, ...this.#shape(type) });
    for (const kind of qualifiers.reverse()) type = this.#add({ kind, size: type, ...this.#shape(type) });
    return type;
  }

  #tag(): string {
    this.#expect("tag");
    this.#expect("(");
    const text = this.#take();
    this.#expect(")");
    return text;
  }

  #plain(name: string): number {
    if (name === "void") return 0;
    const known = this.#named.get(`typedef ${name}`) ?? this.#named.get(name);
    if (known !== undefined) return known;
    const int = INTS[name];
    if (int !== undefined) {
      const [bytes, encoding] = int;
      const rest = [encoding | (bytes * 8)];
      return this.#define(name, { kind: KIND.INT, name, size: bytes, rest, bytes, align: bytes });
    }
    const bytes = FLOATS[name];
    if (bytes === undefined) throw new Error(`no type ${name}`);
    return this.#define(name, { kind: KIND.FLOAT, name, size: bytes, bytes, align: bytes });
  }

  #composite(): number {
    const word = this.#take();
    const packed = this.#accept("packed");
    const name = this.#peek() === "{" ? "" : this.#take();
    if (this.#peek() !== "{") return this.#mention(`${word} ${name}`, name, word === "union");
    this.#expect("{");
    const members: { name: string; type: number; bits: number }[] = [];
    while (!this.#accept("}")) {
      const base = this.#specifiers();
      if (this.#accept(";")) {
        members.push({ name: "", type: base, bits: 0 });
        continue;
      }
      do {
        const { name: member, apply } = this.#peek() === ":" ? ANONYMOUS : this.#declarator();
        const bits = this.#accept(":") ? Number(this.#take()) : 0;
        members.push({ name: member, type: apply(base), bits });
      } while (this.#accept(","));
      this.#expect(";");
    }
    const entry = this.#layOut(word === "union", packed, members);
    return this.#define(`${word} ${name}`, { ...entry, kind: word === "union" ? KIND.UNION : KIND.STRUCT, name });
  }

  #layOut(
    isUnion: boolean,
    packed: boolean,
    members: readonly { name: string; type: number; bits: number }[],
  ): Partial<Entry> {
    const flag = members.some(({ bits }) => bits > 0);
    const rest: (number | string)[] = [];
    let end = 0;
    let most = 1;
    let largest = 0;
    for (const { name, type, bits } of members) {
      const { bytes, align } = this.#shape(type);
      const step = packed ? 1 : align;
      let offset = isUnion ? 0 : end;
      // A bit-field may not cross a border of its type.
      if (bits === 0 || Math.floor(offset / (8 * bytes)) !== Math.floor((offset + bits - 1) / (8 * bytes)))
        offset = Math.ceil(offset / (8 * step)) * 8 * step;
      rest.push(name, type, flag ? ((bits << 24) | offset) >>> 0 : offset);
      end = offset + (bits || bytes * 8);
      largest = Math.max(largest, end);
      most = Math.max(most, step);
    }
    const bytes = Math.ceil(largest / (8 * most)) * most;
    return { flag, count: members.length, size: bytes, rest, bytes, align: most };
  }

  #enumeration(): number {
    const isWide = this.#take() === "enum64";
    const name = this.#peek() === "{" ? "" : this.#take();
    if (this.#peek() !== "{") return this.#mention(`enum ${name}`, name, false);
    this.#expect("{");
    const rest: (number | string)[] = [];
    let next = 0n;
    let count = 0;
    let isSigned = false;
    while (!this.#accept("}")) {
      const entry = this.#take();
      const value = this.#accept("=") ? bigintOf(this.#take()) : next;
      if (value < 0n) isSigned = true;
      rest.push(entry, Number(BigInt.asUintN(32, value)));
      if (isWide) rest.push(Number(BigInt.asUintN(32, value >> 32n)));
      next = value + 1n;
      count++;
      this.#accept(",");
    }
    const bytes = isWide ? 8 : 4;
    const kind = isWide ? KIND.ENUM64 : KIND.ENUM;
    return this.#define(`enum ${name}`, { kind, name, flag: isSigned, count, size: bytes, rest, bytes, align: bytes });
  }

  #declarator(): Declarator {
    if (this.#accept("*")) {
      const qualifiers: number[] = [];
      while (QUALIFIERS[this.#peek()] !== undefined) qualifiers.push(QUALIFIERS[this.#take()]!);
      const inner = this.#declarator();
      return {
        name: inner.name,
        apply: (type) => {
          let pointer = this.#add({ kind: KIND.PTR, size: type, bytes: 8, align: 8 });
          for (const kind of qualifiers) pointer = this.#add({ kind, size: pointer, bytes: 8, align: 8 });
          return inner.apply(pointer);
        },
      };
    }
    let inner: Declarator = ANONYMOUS;
    if (this.#peek() === "(" && this.#tokens[this.#at + 1] === "*") {
      this.#expect("(");
      inner = this.#declarator();
      this.#expect(")");
    } else if (/^[A-Za-z_]/.test(this.#peek())) inner = { name: this.#take(), apply: (type) => type };
    const suffixes: ((type: number) => number)[] = [];
    for (;;) {
      if (this.#accept("[")) {
        const length = this.#peek() === "]" ? 0 : Number(this.#take());
        this.#expect("]");
        suffixes.push((type) => this.#array(type, length));
      } else if (this.#accept("(")) {
        const parameters = this.#parameters();
        suffixes.push((type) =>
          this.#add({ kind: KIND.FUNC_PROTO, size: type, count: parameters.length, rest: parameters.flat() }),
        );
      } else break;
    }
    return {
      name: inner.name,
      apply: (type) => inner.apply(suffixes.reduceRight((made, suffix) => suffix(made), type)),
    };
  }

  #array(element: number, length: number): number {
    const { bytes, align } = this.#shape(element);
    const index = this.#plain("int");
    return this.#add({ kind: KIND.ARRAY, rest: [element, index, length], bytes: bytes * length, align });
  }

  #parameters(): [string, number][] {
    const parameters: [string, number][] = [];
    while (!this.#accept(")")) {
      const base = this.#specifiers();
      const { name, apply } = this.#declarator();
      const type = apply(base);
      if (type !== 0 || name !== "" || this.#peek() !== ")") parameters.push([name, type]);
      this.#accept(",");
    }
    return parameters;
  }

  /** A name of a struct or enum that is, was or will be defined. */
  #mention(key: string, name: string, isUnion: boolean): number {
    const known = this.#named.get(key);
    if (known !== undefined) return known;
    const id = this.#add({ kind: KIND.FWD, name, flag: isUnion, isPlaceholder: true });
    this.#named.set(key, id);
    return id;
  }

  #define(key: string, entry: Partial<Entry> & { kind: number }): number {
    const known = entry.name ? this.#named.get(key) : undefined;
    const before = known === undefined ? undefined : this.#entry(known);
    if (before?.isPlaceholder) {
      Object.assign(before, { flag: false, ...entry, isPlaceholder: false });
      return known!;
    }
    const id = this.#add(entry);
    if (entry.name && known === undefined) this.#named.set(key, id);
    return id;
  }

  #add(entry: Partial<Entry> & { kind: number }): number {
    const whole = { name: "", flag: false, count: 0, size: 0, rest: [], bytes: 0, align: 1, isPlaceholder: false };
    return this.#first + this.types.push({ ...whole, ...entry }) - 1;
  }

  #entry(id: number): Entry | undefined {
    return this.types[id - this.#first];
  }

  #shape(id: number): { bytes: number; align: number } {
    const { bytes, align } = this.#entry(id) ?? { bytes: 0, align: 1 };
    return { bytes, align };
  }

  #peek(): string {
    return this.#tokens[this.#at] ?? "";
  }
  #take(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error("declarations end too soon");
    return token;
  }
  #accept(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at++;
    return true;
  }
  #expect(token: string): void {
    if (!this.#accept(token)) throw new Error(`${this.#peek()} where ${token} belongs`);
  }
}

const ANONYMOUS: Declarator = { name: "", apply: (type) => type };

const bigintOf = (text: string): bigint => (text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text));
