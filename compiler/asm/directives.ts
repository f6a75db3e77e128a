/**
 * Directives in the comments of a text program: what the instructions alone do not say.
 *
 *     ; prog: xdp                                      type; `raw` where the line is missing
 *     ; prog: tracepoint section=tp/sched/sched_switch target=sched/sched_switch license=GPL
 *     ; prog: raw mem=64                               bytes that r1 points to
 *     ; map: counts hash key=4 value=8 max=16 flags=0  in the order of their indices
 *     ; map: .rodata array key=4 value=8 max=1 frozen initial=0102030405060708
 *     ; struct: value { u64 hits; bpf_spin_lock lock; }    types of values: types.ts
 *     ; map: locked hash key=4 value=value max=16      value of a struct declared before
 *     ; map: tables array_of_maps key=4 value=4 max=2 inner=counts     a map declared before is the template
 *
 * Other directives (`; test:` …) are left to who owns them; `; prog:`, `; struct:`, `; function:` and `; map:` are reserved.
 */
import { fromHex } from "../../base/index.ts";
import {
  ATTACH_TYPES,
  type AttachTypeName,
  type MapSpec,
  mapTypeByName,
  type ProgramTypeName,
  programTypeByName,
} from "../../spec/index.ts";
import { type SourceText, syntaxError } from "./scan.ts";
import { TextTypes } from "./types.ts";

export interface ProgramDirectives {
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | null;
  readonly section: string;
  readonly target: string | null;
  readonly sleepable: boolean;
  readonly license: string;
  readonly memoryBytes: number;
  readonly maps: readonly MapSpec[];
  /** null: no struct is declared */
  readonly types: TextTypes | null;
}

/** Most bytes of raw memory or of a map's initial value that text may ask for. */
const MEMORY_LIMIT = 1 << 20;

/** Reads the `; prog:` and `; map:` lines of a text; throws ASM_SYNTAX with the line. */
export function readDirectives(text: string, file?: string): ProgramDirectives {
  let program: ProgramDirectives | null = null;
  const maps: MapSpec[] = [];
  const types = new TextTypes();
  text.split(/\r\n|\n|\r/).forEach((raw, lineIndex) => {
    const match = /^\s*(?:;|\/\/|#)\s*(prog|map|struct|function):\s*(.*)$/.exec(raw);
    if (match === null) return;
    const source = { line: lineIndex + 1, text: raw, file };
    if (match[1] === "function") {
      types.declareFunction(source, match[2]!);
      return;
    }
    if (match[1] === "struct") {
      types.declare(source, match[2]!);
      return;
    }
    const fields = new Fields(source, match[2]!);
    if (match[1] === "map") {
      const map = readMap(fields, maps, types);
      if (maps.some((other) => other.name === map.name)) fields.fail(`map ${map.name} is declared twice`);
      maps.push(map);
    } else if (program !== null) fields.fail("a second prog: line");
    else program = readProgram(fields);
  });
  return { ...(program ?? DEFAULT_PROGRAM), maps, types: types.isEmpty ? null : types };
}

const DEFAULT_PROGRAM: ProgramDirectives = {
  name: "prog",
  type: "raw",
  attachType: null,
  section: "",
  target: null,
  sleepable: false,
  license: "GPL",
  memoryBytes: 0,
  maps: [],
  types: null,
};

function readProgram(fields: Fields): ProgramDirectives {
  const typeName = fields.word("a program type");
  const type = programTypeByName(typeName);
  if (type === undefined) fields.fail(`no program type ${typeName}`);
  const program: ProgramDirectives = {
    name: fields.text("name") ?? "prog",
    type: type.name,
    attachType: attachTypeOf(fields),
    section: fields.text("section") ?? "",
    target: fields.text("target") ?? null,
    sleepable: fields.flag("sleepable"),
    license: fields.text("license") ?? "GPL",
    memoryBytes: fields.number("mem", MEMORY_LIMIT) ?? 0,
    maps: [],
    types: null,
  };
  fields.end();
  if (program.memoryBytes !== 0 && program.type !== "raw") fields.fail("only raw programs have mem=");
  return program;
}

function attachTypeOf(fields: Fields): AttachTypeName | null {
  const name = fields.text("attach");
  if (name === undefined) return null;
  return ATTACH_TYPES.find((known) => known === name) ?? fields.fail(`no attach type ${name}`);
}

function readMap(fields: Fields, declared: readonly MapSpec[], types: TextTypes): MapSpec {
  const name = fields.word("a map name");
  const typeName = fields.word("a map type");
  const type = mapTypeByName(typeName);
  if (type === undefined) fields.fail(`no map type ${typeName}`);
  const initialText = fields.text("initial");
  const initial = initialText === undefined ? null : fromHex(initialText);
  if (initialText !== undefined && initial === null) fields.fail("initial= is not hexadecimal");
  const struct = fields.valueStruct(types);
  const keySize = fields.number("key", 0xffff_ffff) ?? 0;
  const map: MapSpec = {
    name,
    type: type.name,
    keySize,
    valueSize: struct?.sizeBytes ?? fields.number("value", 0xffff_ffff) ?? 0,
    maxEntries: fields.number("max", 0xffff_ffff) ?? 0,
    flags: fields.number("flags", 0xffff_ffff) ?? 0,
    keyType: null,
    valueType: null,
    ...(struct !== null && { btf: { key: types.key(keySize), value: struct.id } }),
    initial,
    frozen: fields.flag("frozen"),
    section: name.startsWith(".") ? name : null,
    variables: [],
    programs: [],
    inner: innerOf(fields, declared),
    innerMaps: [],
    pinned: false,
    numaNode: null,
    extra: BigInt(fields.number("extra", 0xffff_ffff) ?? 0),
  };
  fields.end();
  if (initial !== null && initial.length !== map.valueSize) fields.fail("initial= must be as long as value=");
  return map;
}

function innerOf(fields: Fields, declared: readonly MapSpec[]): MapSpec | null {
  const name = fields.text("inner");
  if (name === undefined) return null;
  return declared.find((map) => map.name === name) ?? fields.fail(`no map ${name} before this one`);
}

/** `word word key=value flag`, each taken once. */
class Fields {
  readonly #source: SourceText;
  readonly #words: string[] = [];
  readonly #values = new Map<string, string>();

  constructor(source: SourceText, text: string) {
    this.#source = source;
    for (const part of text.split(/\s+/).filter((part) => part !== "")) {
      const equals = part.indexOf("=");
      if (equals < 0) this.#words.push(part);
      else this.#values.set(part.slice(0, equals), part.slice(equals + 1));
    }
  }
  fail(message: string): never {
    throw syntaxError(this.#source, message);
  }
  word(what: string): string {
    return this.#words.shift() ?? this.fail(`expected ${what}`);
  }
  flag(name: string): boolean {
    const at = this.#words.indexOf(name);
    if (at >= 0) this.#words.splice(at, 1);
    return at >= 0;
  }
  text(key: string): string | undefined {
    const value = this.#values.get(key);
    this.#values.delete(key);
    return value;
  }
  /** `value=NAME` of a struct; null where it says a number. */
  valueStruct(types: TextTypes): { readonly id: number; readonly sizeBytes: number } | null {
    const struct = types.find(this.#values.get("value") ?? "");
    if (struct !== null) this.#values.delete("value");
    return struct;
  }
  number(key: string, high: number): number | undefined {
    const text = this.text(key);
    if (text === undefined) return undefined;
    const value = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : Number.NaN;
    return value <= high ? value : this.fail(`${key}=${text} is not a number up to ${high}`);
  }
  end(): void {
    const left = this.#words[0] ?? [...this.#values.keys()][0];
    if (left !== undefined) this.fail(`unknown field ${JSON.stringify(left)}`);
  }
}
