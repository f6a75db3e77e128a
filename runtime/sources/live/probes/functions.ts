/** Functions of an ELF file by name or pattern, as offsets in the file. libbpf: elf_find_func_offset(), elf_resolve_pattern_offsets(). */
import { AttachError } from "../../../../base/index.ts";
import { type ElfImage, fileOffset } from "./elf.ts";
import { type ElfFunction, functionsOf } from "./symbols.ts";

export interface FunctionPlace {
  readonly name: string;
  /** of its first instruction, in the file */
  readonly offset: number;
}

const TABLES = ["dynamic", "static"] as const;

/**
 * The function of that name: a definition that is not weak before one that is, the dynamic table before the other. Of several
 * versions it is the default one; `malloc@GLIBC_2.2.5` means another. Throws AttachError where there is none, or where two differ.
 */
export function findFunction(image: ElfImage, wanted: string): FunctionPlace {
  const [name = "", version = null] = wanted.split(/@@?/);
  const isMeant = (one: ElfFunction): boolean =>
    one.name === name && (version === null ? one.isDefault : one.version === version);
  for (const table of TABLES) {
    const found = functionsOf(image, table).filter(isMeant);
    const strong = found.filter(({ weak }) => !weak);
    const meant = strong.length > 0 ? strong : found;
    const places = new Set(meant.flatMap((one) => offsetsOf(image, one)));
    if (places.size > 1) {
      throw new AttachError("ATTACH_TARGET", `${image.bytes.name} has ${places.size} functions ${wanted}`, {
        hint: "name the place by its offset in the file: PATH:0x1234",
        errno: "EINVAL",
      });
    }
    if (meant.some(({ isResolver }) => isResolver)) {
      throw new AttachError(
        "ATTACH_TARGET",
        `${wanted} of ${image.bytes.name} is an IFUNC: which function it is turns out at run time`,
        {
          hint: "name the one that it becomes on this processor, as __strlen_avx2, or its offset in the file: PATH:0x1234",
          errno: "EINVAL",
        },
      );
    }
    for (const offset of places) return { name, offset };
  }
  throw new AttachError("ATTACH_TARGET", `${image.bytes.name} has no function ${wanted}${versionsText(image, name)}`, {
    hint: "it must be in the file's symbol table: nm -D FILE, nm FILE",
  });
}

/** ", but NAME@VERSION" for a name that has versions. */
function versionsText(image: ElfImage, name: string): string {
  const versions = TABLES.flatMap((table) => functionsOf(image, table)).flatMap((one) =>
    one.name === name && one.version !== null ? [`${name}@${one.version}`] : [],
  );
  return versions.length === 0 ? "" : `, but ${[...new Set(versions)].sort().join(", ")}`;
}

/** The functions whose names match, in all their versions: `*` and `?` stand for any characters and for one. Each place once. */
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
      if (one.isResolver || !expression.test(one.name)) continue;
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
