/** How the maps that a program uses are kept. */
import { MAP_TYPES, type MapStorage } from "../../spec/index.ts";
import type { Program } from "../program.ts";

/** Null: bpfjit has no such map. */
export function storageOf(program: Program, map: number): MapStorage | null {
  const type = program.maps[map]?.type;
  return MAP_TYPES.find((row) => row.name === type)?.storage ?? null;
}
