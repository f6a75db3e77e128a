/**
 * Structs that a text program declares, as BTF: what its maps hold, what it allocates.
 *
 *     ; struct: value { u64 hits; bpf_spin_lock lock; }
 *     ; struct: node { u64 key; bpf_list_node link; }
 *     ; struct: list packed { u32 id; bpf_spin_lock lock; bpf_list_head nodes contains node.link; node kptr *spare; u8 pad[4]; }
 *
 * And what its functions take, where that is not numbers; tags behind a parameter are its `arg:` tags, words behind all of
 * them are tags of the function:
 *
 *     ; function: prog() exception_callback:handler
 *     ; function: check(task_struct *task trusted nullable, value *found nonnull, u64 n)
 *     ; function: void done(void *memory arena)
 *
 * Members lie as a C compiler lays them out. Types are u8 … s64, structs declared before, those that the kernel knows by
 * name (bpf_spin_lock …), or any other name behind a pointer: a struct without members. A word before the `*` is a type tag.
 */
import { specialStruct } from "../../spec/special-fields.ts";
import { Btf } from "../object/btf/btf.ts";
import { BtfWriter, type WrittenMember } from "../object/btf/write.ts";
import type { ProgramFunction } from "../program.ts";
import { type SourceText, syntaxError } from "./scan.ts";

interface Layout {
  readonly id: number;
  readonly sizeBytes: number;
  readonly alignBytes: number;
}

/** `TYPE [TAG] [*] NAME [[COUNT]] [contains STRUCT.MEMBER]` */
const MEMBER = /^(\w+)(?:(?:\s+(\w+))?\s*(\*)\s*|\s+)(\w+)(?:\s*\[(\d{1,6})\])?(?:\s+contains\s+(\w+)\.(\w+))?$/;
const STRUCT = /^(\w+)(\s+packed)?\s*\{(.*)\}\s*$/;
/** `[RESULT] NAME(PARAMETERS) TAGS` */
const FUNCTION = /^(?:(\w+)\s*(\*)?\s+)?(\w+)\(([^)]*)\)\s*(.*)$/;
/** `TYPE [*|**] NAME TAGS` */
const PARAMETER = /^(\w+)(?:\s*(\*{1,2})\s*|\s+)(\w+)((?:\s+\w+)*)$/;
const GLOBAL_PARAMETERS = 5;

interface DeclaredFunction {
  readonly source: SourceText;
  readonly returns: { readonly type: string; readonly isPointer: boolean } | null;
  readonly parameters: readonly DeclaredParameter[];
  readonly tags: readonly string[];
}
interface DeclaredParameter {
  readonly type: string;
  readonly isPointer: boolean;
  /** points to such pointers */
  readonly isDouble: boolean;
  readonly name: string;
  readonly tags: readonly string[];
}

export class TextTypes {
  readonly #writer = new BtfWriter();
  readonly #layouts = new Map<string, Layout>();
  readonly #declared = new Set<string>();
  readonly #functions = new Map<string, DeclaredFunction>();
  /** int, which indices and keys are */
  readonly intId = this.#writer.int("int", 4, "signed");
  readonly #longId = this.#writer.int("long", 8, "signed");

  get isEmpty(): boolean {
    return this.#declared.size === 0 && this.#functions.size === 0;
  }

  /** Reads what stands behind `; struct:`. */
  declare(source: SourceText, text: string): void {
    const match = STRUCT.exec(text);
    if (match === null) throw syntaxError(source, "a struct is NAME { TYPE MEMBER; … }");
    const [, name, packed, body] = match;
    if (this.#declared.has(name!)) throw syntaxError(source, `struct ${name} is declared twice`);
    const members: WrittenMember[] = [];
    const contents: { readonly index: number; readonly text: string }[] = [];
    let end = 0;
    let most = 1;
    for (const part of body!.split(";").map((member) => member.trim())) {
      if (part === "") continue;
      const found = MEMBER.exec(part);
      if (found === null) throw syntaxError(source, `cannot read member ${JSON.stringify(part)}`);
      const [, type, tag, star, member, count, node, field] = found;
      const layout = this.#memberType(
        source,
        type!,
        tag,
        star !== undefined,
        count === undefined ? null : Number(count),
      );
      const alignBytes = packed === undefined ? layout.alignBytes : 1;
      const offsetBytes = Math.ceil(end / alignBytes) * alignBytes;
      if (node !== undefined) contents.push({ index: members.length, text: `contains:${node}:${field}` });
      members.push({ name: member!, type: layout.id, offsetBytes });
      end = offsetBytes + layout.sizeBytes;
      most = Math.max(most, alignBytes);
    }
    const sizeBytes = Math.ceil(end / most) * most;
    const id = this.#writer.struct(name!, sizeBytes, members);
    for (const { index, text } of contents) this.#writer.declTag(text, id, index);
    this.#layouts.set(name!, { id, sizeBytes, alignBytes: most });
    this.#declared.add(name!);
  }

  /** Reads what stands behind `; function:`. */
  declareFunction(source: SourceText, text: string): void {
    const match = FUNCTION.exec(text);
    if (match === null) throw syntaxError(source, "a function is NAME(TYPE PARAMETER, …)");
    const [, type, star, name, list, tags] = match;
    const parts = list!.split(",").map((part) => part.trim());
    const parameters = parts
      .filter((part) => part !== "")
      .map((part): DeclaredParameter => {
        const found = PARAMETER.exec(part);
        if (found === null) throw syntaxError(source, `cannot read parameter ${JSON.stringify(part)}`);
        const [, written, stars, shown, words] = found;
        return {
          type: written!,
          isPointer: stars !== undefined,
          isDouble: stars === "**",
          name: shown!,
          tags: wordsOf(words!),
        };
      });
    const returns = type === undefined ? null : { type, isPointer: star !== undefined };
    this.#functions.set(name!, { source, returns, parameters, tags: wordsOf(tags!) });
  }

  /** A struct that is declared, null where there is none of the name. */
  find(name: string): Layout | null {
    return this.#declared.has(name) ? this.#layouts.get(name)! : null;
  }

  /** A type for keys of that many bytes. */
  key(sizeBytes: number): number {
    return sizeBytes === 4 ? this.intId : this.#writer.array(this.#number("u8")!.id, sizeBytes, this.intId);
  }

  /** The BTF, with types for `functions`: global ones but the first take five numbers, the others nothing. */
  finish(functions: readonly ProgramFunction[]): { readonly btf: Btf; readonly functions: readonly ProgramFunction[] } {
    const typed = functions.map((known) => {
      const declared = this.#functions.get(known.name);
      if (declared !== undefined) return { ...known, type: this.#writeFunction(known, declared) };
      const count = known.linkage === "global" && known.insnIndex > 0 ? GLOBAL_PARAMETERS : 0;
      const parameters = Array.from({ length: count }, () => ({ name: "a", type: this.#longId }));
      const prototype = this.#writer.prototype(this.intId, parameters);
      return { ...known, type: this.#writer.func(known.name.replace(/\W/g, "_"), prototype, known.linkage) };
    });
    return { btf: new Btf(this.#writer.bytes()), functions: typed };
  }

  #writeFunction({ name, linkage }: ProgramFunction, declared: DeclaredFunction): number {
    const { source, returns, parameters, tags } = declared;
    const typeOf = (type: string, isPointer: boolean): number =>
      type === "void" && !isPointer ? 0 : this.#memberType(source, type, undefined, isPointer, null).id;
    const written = parameters.map(({ name: shown, type, isPointer, isDouble }) => {
      const single = typeOf(type, isPointer);
      return { name: shown, type: isDouble ? this.#writer.pointer(single) : single };
    });
    const result = returns === null ? this.intId : typeOf(returns.type, returns.isPointer);
    const id = this.#writer.func(name, this.#writer.prototype(result, written), linkage);
    for (const tag of tags) this.#writer.declTag(tag, id, -1);
    for (const [index, parameter] of parameters.entries())
      for (const tag of parameter.tags) this.#writer.declTag(`arg:${tag}`, id, index);
    return id;
  }

  #memberType(
    source: SourceText,
    name: string,
    tag: string | undefined,
    isPointer: boolean,
    count: number | null,
  ): Layout {
    let layout = this.#layouts.get(name) ?? this.#number(name) ?? this.#special(name);
    if (isPointer && name === "void") layout = { id: 0, sizeBytes: 0, alignBytes: 1 };
    if (isPointer) {
      layout ??= this.#opaque(name);
      const target = tag === undefined ? layout.id : this.#writer.typeTag(tag, layout.id);
      layout = { id: this.#writer.pointer(target), sizeBytes: 8, alignBytes: 8 };
    }
    if (layout === null) throw syntaxError(source, `no type ${name}`);
    if (count === null) return layout;
    const id = this.#writer.array(layout.id, count, this.intId);
    return { id, sizeBytes: layout.sizeBytes * count, alignBytes: layout.alignBytes };
  }

  #number(name: string): Layout | null {
    const match = /^([us])(8|16|32|64)$/.exec(name);
    if (match === null) return null;
    const sizeBytes = Number(match[2]) / 8;
    return this.#keep(
      name,
      this.#writer.int(name, sizeBytes, match[1] === "s" ? "signed" : "unsigned"),
      sizeBytes,
      sizeBytes,
    );
  }

  #special(name: string): Layout | null {
    const row = specialStruct(name);
    if (row === undefined) return null;
    return this.#keep(name, this.#writer.struct(name, row.sizeBytes, []), row.sizeBytes, row.alignBytes);
  }

  #opaque(name: string): Layout {
    return this.#keep(name, this.#writer.struct(name, 0, []), 0, 1);
  }

  #keep(name: string, id: number, sizeBytes: number, alignBytes: number): Layout {
    const layout = { id, sizeBytes, alignBytes };
    this.#layouts.set(name, layout);
    return layout;
  }
}

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");
