/**
 * All maps of an object in libbpf's order: those of .maps by offset, then one for each data section in file order, then
 * the configuration, then struct_ops. Their order is what BPF_PSEUDO_MAP_* immediates index.
 */
import { UnsupportedError } from "../../base/index.ts";
import { LIMITS, MAP_FLAG, type MapSpec, type MapVariable } from "../../spec/index.ts";
import type { Btf } from "./btf/btf.ts";
import type { DataSection } from "./datasec.ts";
import { type ElfSection, readRelocations } from "./elf.ts";
import type { ObjectFunction } from "./functions.ts";
import type { Layout } from "./layout.ts";
import { ctypeOrNull, invalid, readMapDefinition } from "./map-definition.ts";

/** Zeroed variables of all .bss sections together: memory that a file of a few bytes can ask for. */
const MOST_BSS_BYTES = 256 << 20;
const SLOT_BYTES = 8;

export interface ObjectMap {
  readonly spec: MapSpec;
  readonly section: ElfSection | null;
  /** of the definition in .maps */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** of the initial slots in the definition */
  readonly slotsOffset: number | null;
}

export class MapTable {
  readonly all: ObjectMap[] = [];
  readonly #defined = new Map<number, number>();
  readonly #bySection = new Map<ElfSection, number>();

  add(map: ObjectMap): number {
    const index = this.all.push(map) - 1;
    if (map.section?.name === ".maps") this.#defined.set(map.offsetBytes, index);
    else if (map.section !== null) this.#bySection.set(map.section, index);
    return index;
  }

  /** Gives every map what `edit` makes of it. */
  change(edit: (spec: MapSpec) => MapSpec): void {
    for (const [index, map] of this.all.entries()) this.all[index] = { ...map, spec: edit(map.spec) };
  }

  /** The section's variables live in that map. */
  place(section: ElfSection, index: number): void {
    this.#bySection.set(section, index);
  }

  mapAt(offsetBytes: number): number | null {
    return this.#defined.get(offsetBytes) ?? null;
  }

  dataMapOf(section: ElfSection): number | null {
    return this.#bySection.get(section) ?? null;
  }
}

export interface MapSources {
  readonly layout: Layout;
  readonly btf: Btf | null;
  readonly dataSections: ReadonlyMap<string, DataSection>;
  /** name of the object, which internal maps carry */
  readonly objectName: string;
}

export function readMaps(sources: MapSources): MapTable {
  const table = new MapTable();
  addDefinedMaps(sources, table);
  addArena(sources, table);
  let bssBytes = 0;
  for (const { section, kind } of sources.layout.data) {
    if (kind === "bss") bssBytes += section.size;
    if (bssBytes > MOST_BSS_BYTES)
      throw new UnsupportedError(
        "UNSUPPORTED_FEATURE",
        "large .bss",
        `zeroed variables of more than ${MOST_BSS_BYTES} bytes`,
        { where: { section: section.name } },
      );
    const bytes = kind === "bss" ? new Uint8Array(section.size) : section.data.slice();
    const described = sources.dataSections.get(section.name) ?? { name: section.name, variables: [] };
    table.add(dataMap(sources, described, bytes, kind === "rodata", section));
  }
  return table;
}

function addDefinedMaps({ layout, btf, dataSections }: MapSources, table: MapTable): void {
  const section = layout.maps;
  if (section === null || btf === null) return;
  const variables = dataSections.get(section.name)?.variables;
  if (variables === undefined) throw invalid("section .maps", "is not in the BTF");
  for (const variable of variables) {
    const { name, offsetBytes, sizeBytes } = variable;
    if (name === "") throw invalid(`at ${offsetBytes}`, "has no name");
    if (offsetBytes + sizeBytes > section.size) throw invalid(name, `ends outside the ${section.size} bytes of .maps`);
    if (variable.linkage !== "global") throw invalid(name, `has ${variable.linkage} linkage`);
    const definition = readMapDefinition(btf, name, variable.type);
    const definitionBytes = btf.sizeOf(variable.type);
    if (definitionBytes === null || definitionBytes > sizeBytes) throw invalid(name, "is larger than its variable");
    table.add({ ...definition, section, offsetBytes, sizeBytes });
  }
}

/** Variables in the arena's address space are the arena's first bytes. */
function addArena({ layout }: MapSources, table: MapTable): void {
  const arenas = table.all.filter((map) => map.spec.type === "arena");
  if (arenas.length > 1) throw invalid(arenas[1]!.spec.name, "is the second arena");
  if (layout.arena === null) return;
  const arena = arenas[0];
  if (arena === undefined) throw invalid("section .addr_space.1", "has variables, but there is no arena map");
  const index = table.all.indexOf(arena);
  table.all[index] = { ...arena, spec: { ...arena.spec, initial: layout.arena.data.slice() } };
  table.place(layout.arena, index);
}

/** The map that holds a section of global variables: an array of one entry. libbpf: bpf_object__init_internal_map(). */
export function dataMap(
  { btf, objectName }: MapSources,
  { name: sectionName, variables: described }: Pick<DataSection, "name" | "variables">,
  initial: Uint8Array,
  isReadOnly: boolean,
  section: ElfSection | null,
): ObjectMap {
  const variables: MapVariable[] = described.map((variable) => ({
    name: variable.name,
    offsetBytes: variable.offsetBytes,
    sizeBytes: variable.sizeBytes,
    type: btf === null ? null : ctypeOrNull(btf, variable.type),
  }));
  // User space may map it only if something in it is visible outside.
  const isShared = described.some((variable) => variable.linkage !== "static");
  return {
    spec: {
      name: internalName(objectName, sectionName),
      type: "array",
      keySize: 4,
      valueSize: initial.length,
      maxEntries: 1,
      flags: (isReadOnly ? MAP_FLAG.RDONLY_PROG : 0) | (isShared ? MAP_FLAG.MMAPABLE : 0),
      keyType: null,
      valueType: null,
      btf: sectionType(btf, sectionName),
      initial,
      frozen: isReadOnly,
      section: sectionName,
      variables,
      programs: [],
      inner: null,
      innerMaps: [],
      pinned: false,
      numaNode: null,
      extra: 0n,
    },
    section,
    offsetBytes: 0,
    sizeBytes: initial.length,
    slotsOffset: null,
  };
}

function sectionType(btf: Btf | null, name: string): NonNullable<MapSpec["btf"]> | null {
  const value = btf?.findByName(name, "datasec") ?? null;
  return value === null ? null : { key: 0, value };
}

/**
 * `execsnoop` and `.rodata` → `execsnoo.rodata`: the section's name, with as much of the object's in front as the kernel's
 * 15 characters leave (at least 7 are the section's); a name with a second dot stands alone. libbpf: internal_map_name().
 */
export function internalName(objectName: string, sectionName: string): string {
  const most = LIMITS.objectName - 1;
  const suffixLength = Math.min(Math.max(7, sectionName.length), most);
  const prefix = sectionName.indexOf(".", 1) >= 0 ? "" : objectName.slice(0, most - suffixLength);
  return (prefix + sectionName.slice(0, suffixLength)).replace(/[^A-Za-z0-9_.]/g, "_");
}

/** Fills the initial slots of prog arrays and maps of maps. libbpf: bpf_object__collect_map_relos(). */
export function fillSlots(layout: Layout, table: MapTable, functions: readonly ObjectFunction[]): void {
  const relocations = layout.relocations.filter((section) => section.info === layout.maps?.index);
  const maps = table.all.filter((map) => map.section === layout.maps && map.section !== null);
  const programs = new Map(functions.filter((fn) => !fn.isSubprogram).map((fn) => [fn.name, fn]));
  const slots = new Map<ObjectMap, { index: number; name: string }[]>();
  for (const { offset, symbol: symbolIndex } of relocations.flatMap(readRelocations)) {
    const map = mapAround(maps, offset);
    const symbol = layout.elf.symbols[symbolIndex];
    if (map === null || symbol === undefined || map.slotsOffset === null)
      throw invalid(map?.spec.name ?? `at ${offset}`, `has a relocation at ${offset} that fills no slot`);
    const name = layout.elf.symbolName(symbol);
    const within = offset - map.offsetBytes - map.slotsOffset;
    if (within < 0 || within % SLOT_BYTES !== 0) throw invalid(map.spec.name, `has a slot at byte ${within}`);
    if (map.spec.type === "prog_array") {
      const program = programs.get(name);
      if (program?.section.index !== symbol.section || program.start * SLOT_BYTES !== symbol.value)
        throw invalid(map.spec.name, `has a slot with ${name || "something"}, which is no program`);
    } else {
      if (map.spec.type === "hash_of_maps" && map.spec.keySize !== 4)
        throw invalid(map.spec.name, `has slots and keys of ${map.spec.keySize} bytes instead of 4`);
      if (symbol.section !== layout.maps!.index || table.mapAt(symbol.value) === null)
        throw invalid(map.spec.name, `has a slot with ${name || "something"}, which is no map`);
    }
    const filled = slots.get(map) ?? [];
    filled.push({ index: within / SLOT_BYTES, name });
    slots.set(map, filled);
  }
  for (const [map, filled] of slots) {
    filled.sort((a, b) => a.index - b.index);
    const spec: MapSpec =
      map.spec.type === "prog_array"
        ? { ...map.spec, programs: filled.map(({ index, name }) => ({ index, program: name })) }
        : { ...map.spec, innerMaps: filled.map(({ index, name }) => ({ index, map: name })) };
    table.all[table.all.indexOf(map)] = { ...map, spec };
  }
}

/** The map whose definition holds the pointer at `offset`. `maps` are ascending by offset. */
export function mapAround<T extends ObjectMap>(maps: readonly T[], offset: number): T | null {
  let low = 0;
  let high = maps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (maps[middle]!.offsetBytes <= offset) low = middle + 1;
    else high = middle;
  }
  const map = maps[low - 1];
  return map !== undefined && offset + SLOT_BYTES <= map.offsetBytes + map.sizeBytes ? map : null;
}
