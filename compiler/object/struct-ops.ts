/**
 * struct_ops: variables of .struct_ops sections, each a map whose value is a kernel structure of functions, some of them
 * programs of the object. Source: libbpf, init_struct_ops_maps() and bpf_object__collect_st_ops_relos().
 */
import { ObjectError } from "../../base/index.ts";
import { MAP_FLAG, type MapSpec } from "../../spec/index.ts";
import { INSN_BYTES } from "../../spec/isa.ts";
import { STRUCT_OPS_VALUE_PREFIX } from "../../spec/struct-ops.ts";
import type { Btf } from "./btf/btf.ts";
import { essentialName } from "./btf/names.ts";
import { type ElfSection, readRelocations } from "./elf.ts";
import type { FunctionTable } from "./functions.ts";
import { ctypeOrNull, invalid } from "./map-definition.ts";
import { type MapSources, type MapTable, mapAround, type ObjectMap } from "./maps.ts";
import type { Target } from "./target.ts";

/** Adds the maps of all struct_ops sections, in file order. */
export function addStructOps(sources: MapSources, table: MapTable, functions: FunctionTable): void {
  const { layout, btf } = sources;
  if (btf === null) return;
  for (const section of layout.structOps) {
    const maps = readVariables(sources, btf, section);
    for (const relocations of layout.relocations) {
      if (relocations.info === section.index) fillMembers(sources, btf, relocations, maps, functions);
    }
    for (const map of maps) table.add(map);
  }
}

/**
 * A structure of functions that the target does not have: libbpf loads no program of the object then, unless the section
 * says that its maps are optional (`?.struct_ops`). libbpf: bpf_map__init_kern_struct_ops()
 */
export function missingStructOps(maps: readonly ObjectMap[], { btf, modules }: Target): ObjectError | null {
  if (btf === null) return null;
  for (const { spec, section } of maps) {
    if (spec.type !== "struct_ops" || spec.valueType?.kind !== "struct" || section?.name.startsWith("?")) continue;
    const name = essentialName(spec.valueType.name);
    const isThere =
      btf.findByName(STRUCT_OPS_VALUE_PREFIX + name, "struct") !== null ||
      modules.some((module) => module.btf.findOwnByName(STRUCT_OPS_VALUE_PREFIX + name, "struct") !== null);
    if (isThere) continue;
    return new ObjectError(
      "ATTACH_BTF_MISSING",
      `map ${spec.name} is a struct ${name}, which the target does not have`,
      {
        where: { section: section?.name ?? spec.name, symbol: name },
        hint: 'SEC("?.struct_ops") makes the map optional',
      },
    );
  }
  return null;
}

/** With the id of the value's struct. */
type StructMap = ObjectMap & { readonly struct: number };

function readVariables({ dataSections }: MapSources, btf: Btf, section: ElfSection): StructMap[] {
  const described = dataSections.get(section.name);
  if (described === undefined)
    throw new ObjectError("BTF_MISSING", `section ${section.name} is not in the BTF`, {
      where: { section: section.name },
    });
  let end = 0;
  return described.variables.map(({ name, type, offsetBytes }) => {
    const id = btf.skipModifiers(type);
    const struct = btf.typeById(id);
    if (struct.kind !== "struct" || struct.name === "") throw invalid(name, "is no struct with a name");
    // Each map has a copy of its bytes, so they must not overlap.
    if (offsetBytes < end) throw invalid(name, `overlaps the variable before it in ${section.name}`);
    end = offsetBytes + struct.size;
    if (end > section.data.length) throw invalid(name, `ends outside section ${section.name}`);
    const spec: MapSpec = {
      name,
      type: "struct_ops",
      keySize: 4,
      valueSize: struct.size,
      maxEntries: 1,
      flags: section.name.endsWith(".link") ? MAP_FLAG.LINK : 0,
      keyType: null,
      valueType: ctypeOrNull(btf, id),
      initial: section.data.slice(offsetBytes, offsetBytes + struct.size),
      frozen: false,
      section: null,
      variables: [],
      programs: [],
      inner: null,
      innerMaps: [],
      pinned: false,
      numaNode: null,
      extra: 0n,
    };
    return { spec, section, offsetBytes, sizeBytes: struct.size, slotsOffset: null, struct: id };
  });
}

function fillMembers(
  { layout }: MapSources,
  btf: Btf,
  relocations: ElfSection,
  maps: StructMap[],
  functions: FunctionTable,
): void {
  const members = new Map<number, { index: number; program: string }[]>();
  for (const { offset, symbol: symbolIndex } of readRelocations(relocations)) {
    const map = mapAround(maps, offset);
    const symbol = layout.elf.symbols[symbolIndex];
    if (map === null || symbol === undefined)
      throw new ObjectError("RELOCATION_MALFORMED", `relocation at ${offset} fills no member`, {
        where: { section: relocations.name, offsetBytes: offset },
      });
    const index = functionMember(btf, map, offset - map.offsetBytes);
    const section = layout.elf.sections[symbol.section] ?? null;
    const program = functions.find(section, Math.floor(symbol.value / INSN_BYTES));
    if (index === null || program === null || symbol.value % INSN_BYTES !== 0)
      throw invalid(map.spec.name, `has no program for the function at byte ${offset - map.offsetBytes}`);
    const at = maps.indexOf(map);
    const filled = members.get(at) ?? [];
    filled.push({ index, program: program.name });
    members.set(at, filled);
  }
  for (const [at, filled] of members) {
    const map = maps[at]!;
    maps[at] = { ...map, spec: { ...map.spec, programs: filled.sort((a, b) => a.index - b.index) } };
  }
}

/** Index of the member at that byte, null where none is or it points to no function. */
function functionMember(btf: Btf, map: StructMap, offsetBytes: number): number | null {
  const struct = btf.typeById(map.struct);
  if (struct.kind !== "struct") return null;
  const index = struct.members.findIndex((member) => member.offsetBits === 8 * offsetBytes);
  if (index < 0) return null;
  const pointer = btf.resolve(struct.members[index]!.type);
  return pointer.kind === "ptr" && btf.resolve(pointer.type).kind === "func_proto" ? index : null;
}
