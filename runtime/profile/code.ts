/**
 * Objects compiled with `profile` that are linked in one runtime: which numbers their places have, and how often their programs
 * were entered.
 */
import type { ProfileTable } from "../../spec/index.ts";
import type { World } from "../world.ts";

/** Where a module finds what it writes; each worker's instance gets the entry counts of its own lane. */
export interface ProfilePlacement {
  /** number of the module's first place */
  readonly places: number;
  /** address of the entry counts of lane 0: a u64 for each function, in its own cache lines */
  readonly entries: number;
  readonly laneBytes: number;
}

export class ProfiledObject {
  readonly name: string;
  readonly table: ProfileTable;
  readonly placement: ProfilePlacement;
  readonly #world: World;

  constructor(world: World, name: string, table: ProfileTable, firstPlace: number) {
    const laneBytes = Math.ceil((table.functions.length * 8) / 64) * 64;
    this.#world = world;
    this.name = name;
    this.table = table;
    // never given back: a program may live on in a prog array of another object
    const entries = world.arena.allocate(world.arena.lanes * laneBytes, 64);
    this.placement = { places: firstPlace, entries, laneBytes };
  }

  /** Times that a program was entered so far: by an event, a test run, a tail call. `functionIndex` is its main function's. */
  entries(functionIndex: number): number {
    const { entries, laneBytes } = this.placement;
    const { lanes, view } = this.#world.arena;
    let sum = 0n;
    for (let lane = 0; lane < lanes; lane++)
      sum += view.getBigUint64(entries + lane * laneBytes + 8 * functionIndex, true);
    return Number(sum);
  }
}

/** In the order of their numbers. Those of closed objects stay: a profile under way may have met them. */
export class ProfiledCode {
  readonly #world: World;
  readonly #objects: ProfiledObject[] = [];
  /** 0 is no place */
  #next = 1;

  constructor(world: World) {
    this.#world = world;
  }

  get objects(): readonly ProfiledObject[] {
    return this.#objects;
  }

  add(name: string, table: ProfileTable): ProfilePlacement {
    const object = new ProfiledObject(this.#world, name, table, this.#next);
    this.#next += table.places.length;
    this.#objects.push(object);
    return object.placement;
  }

  /** The object that has a place of that number. */
  objectAt(place: number): ProfiledObject | undefined {
    return this.#objects.find(
      ({ placement, table }) => place >= placement.places && place < placement.places + table.places.length,
    );
  }
}
