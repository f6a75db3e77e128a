/** Functions of an ELF file by name or pattern, as offsets in the file. libbpf: elf_find_func_offset(), elf_resolve_pattern_offsets(). */
import { AttachError } from "../../../../base/index.ts";
import { type ElfFunction, type ElfImage, fileOffset, functionsOf } from "./elf.ts";

export interface FunctionPlace {
  readonly name: string;
  /** of its first instruction, in the file */
  readonly offset: number;
}

const TABLES = ["dynamic", "static"] as const;

/**
 * The function of that name: a definition that is not weak before one that is, the dynamic table before the other.
 * `malloc@GLIBC_2.2.5` means one version. Throws AttachError where there is none, or where two differ.
 */
export function findFunction(image: ElfImage, wanted: string): FunctionPlace {
  const [name = "", version] = wanted.split(/@@?/);
  for (const table of TABLES) {
    const found = functionsOf(image, table).filter(
      (one) => one.name === name && (version === undefined || one.version === version || table === "dynamic"),
    );
    const strong = found.filter(({ weak }) => !weak);
    const places = new Set((strong.length > 0 ? strong : found).flatMap((one) => offsetsOf(image, one)));
    if (places.size > 1) {
      throw new AttachError("ATTACH_TARGET", `${image.bytes.name} has ${places.size} functions ${wanted}`, {
        hint: "name the place by its offset in the file: PATH:0x1234",
        errno: "EINVAL",
      });
    }
    for (const offset of places) return { name, offset };
  }
  throw new AttachError("ATTACH_TARGET", `${image.bytes.name} has no function ${wanted}`, {
    hint: "it must be in the file's symbol table: nm -D FILE, nm FILE",
  });
}

/** The functions whose names match: `*` and `?` stand for any characters and for one. Each place once. */
export function matchFunctions(image: ElfImage, pattern: string): FunctionPlace[] {
  const expression = new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replace(/\*+/g, ".*")
      .replace(/\?/g, ".")}$`,
  );
  for (const table of TABLES) {
    const places = new Map<number, FunctionPlace>();
    for (const one of functionsOf(image, table)) {
      if (!expression.test(one.name)) continue;
      for (const offset of offsetsOf(image, one))
        if (!places.has(offset)) places.set(offset, { name: one.name, offset });
    }
    if (places.size > 0) return [...places.values()];
  }
  throw new AttachError("ATTACH_TARGET", `${image.bytes.name} has no function that matches ${pattern}`);
}

function offsetsOf(image: ElfImage, { address }: ElfFunction): number[] {
  const offset = fileOffset(image, address);
  return offset === null ? [] : [offset];
}
