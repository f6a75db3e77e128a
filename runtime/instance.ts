/** Instantiates a compiled module for one worker: what it imports, from that worker's world. */
import { HELPER_IMPLEMENTATIONS } from "../helpers/index.ts";
import { type HelperImplementation, IMPORT, WORKER } from "../spec/index.ts";
import type { ProfilePlacement } from "./profile/code.ts";
import type { World } from "./world.ts";

/** Where a module's map lies: its descriptor, and its first value (0 where the storage has none). */
export interface MapPlace {
  readonly address: number;
  readonly valuesAddress: number;
}

/** `maps` in the order of the manifest; `profile` of a module that says where it is. */
export function importsOf(
  world: World,
  maps: readonly MapPlace[],
  profile: ProfilePlacement | null,
): WebAssembly.Imports {
  const addresses = (addressOf: (map: MapPlace) => number) =>
    Object.fromEntries(
      maps.map((map, index) => [String(index), new WebAssembly.Global({ value: "i32" }, addressOf(map))]),
    );
  return {
    [IMPORT.env]: {
      [IMPORT.memory]: world.arena.memory,
      [IMPORT.table]: world.table,
      [IMPORT.worker]: new WebAssembly.Global({ value: "i32" }, world.worker),
      ...(profile !== null && profileImports(world, profile)),
    },
    [IMPORT.map]: addresses((map) => map.address),
    [IMPORT.mapValue]: addresses((map) => map.valuesAddress),
    [IMPORT.helper]: boundHelpers(world),
    // a module that carries the library itself does not ask for it
    get [IMPORT.library]() {
      return world.library;
    },
    [IMPORT.host]: { ...world.libraryHost, [IMPORT.fault]: (code: number, insn: number) => world.fault(code, insn) },
  };
}

function profileImports(world: World, { places, entries, laneBytes }: ProfilePlacement): WebAssembly.Imports[string] {
  const lane = world.view.getUint32(world.worker + WORKER.lane, true) / 4;
  return {
    [IMPORT.places]: new WebAssembly.Global({ value: "i32" }, places),
    [IMPORT.entries]: new WebAssembly.Global({ value: "i32" }, entries + lane * laneBytes),
  };
}

/** Helpers with their host. Pointers reach them as unsigned numbers, also above 2 GiB. */
function boundHelpers(world: World): Record<string, (...args: number[]) => number | undefined> {
  return Object.fromEntries(
    Object.entries<HelperImplementation>(HELPER_IMPLEMENTATIONS).map(([name, implementation]) => [
      name,
      (...values: number[]) => implementation(world, ...values.map((value) => value >>> 0)),
    ]),
  );
}
