/**
 * The maps of a runtime, and the elements of one of them. Kernel: kernel/bpf/map_iter.c, bpf_array_map_seq_next(),
 * bpf_hash_map_seq_find_next().
 */
import { UsageError } from "../../base/index.ts";
import { ELEMENT, MAP, MAP_PRIVATE } from "../../spec/index.ts";
import { type KernelSpace, pointerTo } from "../kernel/index.ts";
import { HashMap } from "../maps/hash.ts";
import type { BpfMap } from "../maps/map.ts";
import type { Element, Walk, WalkWorld } from "./walk.ts";

const STRUCT = "bpf_map";

/** Address of the map's struct bpf_map, 0 where the target has none. Made anew when it is asked for: maps are frozen. */
function structOf(
  { kernel, arena }: { readonly kernel: KernelSpace; readonly arena: WalkWorld["arena"] },
  map: BpfMap,
): number {
  const address = kernel.instance(STRUCT, map.id);
  if (address === 0) return 0;
  const { spec, type } = map;
  const numbers = {
    id: map.id,
    map_type: type.id,
    key_size: spec.keySize,
    value_size: spec.valueSize,
    max_entries: spec.maxEntries,
    map_flags: spec.flags,
    frozen: map.frozen ? 1 : 0,
  };
  for (const [member, value] of Object.entries(numbers)) kernel.setNumber(address, STRUCT, member, value);
  const name = new TextEncoder().encode(spec.name);
  const room = kernel.place(STRUCT, "name");
  if (room !== null) {
    const bytes = name.subarray(0, room.bytes - 1);
    arena.bytes.fill(0, address + room.offsetBytes, address + room.offsetBytes + room.bytes);
    arena.bytes.set(bytes, address + room.offsetBytes);
  }
  return address;
}

/** By ascending id; a map that is made meanwhile is passed too. */
export function walkMaps(world: WalkWorld): Walk {
  let least = 0;
  const start = (): Element | null => {
    const [found] = [...world.maps].filter(({ id }) => id >= least).sort((a, b) => a.id - b.id);
    if (found === undefined) return null;
    least = found.id;
    return [pointerTo(structOf(world, found))];
  };
  return {
    start,
    next: () => {
      least++;
      return start();
    },
    close: () => {},
  };
}

/** Where an element is: of an array its index + 1, of a hash its address; 0: nowhere. */
type Position = number;

/** (map, key, value) of every element. The value is the map's own memory, or a copy of all CPUs' values. */
export function walkElements(world: WalkWorld, map: BpfMap): Walk {
  const places = map instanceof HashMap ? new HashPlaces(world, map) : new ArrayPlaces(map);
  const stride = Math.ceil(map.valueSize / 8) * 8;
  const { cpus } = world.arena;
  const copies = map.perCpu ? world.arena.allocate(stride * cpus) : 0;
  const valueAt = (position: Position, key: number): number => {
    if (!map.perCpu) return world.library.map_position_value(map.address, position) >>> 0;
    const bytes = world.bytes.slice(key, key + map.keySize);
    for (let cpu = 0; cpu < cpus; cpu++) {
      const from = map.valueAddress(bytes, cpu);
      const to = copies + cpu * stride;
      world.bytes.copyWithin(to, from, from + map.valueSize);
      for (const { offsetBytes, sizeBytes } of map.spec.fields ?? [])
        world.bytes.fill(0, to + offsetBytes, to + offsetBytes + sizeBytes);
    }
    return copies;
  };
  const elementAt = (position: Position): Element | null => {
    if (position === 0) return null;
    const key = world.library.map_position_key(map.address, position) >>> 0;
    return [structOf(world, map), key, valueAt(position, key)].map(pointerTo);
  };
  const requireOpen = (): void => {
    if (map.closed) throw new UsageError("CLOSED", `map ${map.name} is closed`);
  };
  return {
    start: () => {
      requireOpen();
      return elementAt(places.start());
    },
    next: () => {
      requireOpen();
      return elementAt(places.next());
    },
    end: () => [pointerTo(structOf(world, map))],
    close: () => {
      if (copies !== 0) world.arena.free(copies);
    },
  };
}

class ArrayPlaces {
  readonly #entries: number;
  #index = 0;

  constructor(map: BpfMap) {
    this.#entries = map.maxEntries;
  }

  start(): Position {
    return this.#index < this.#entries ? this.#index + 1 : 0;
  }
  next(): Position {
    this.#index++;
    return this.start();
  }
}

/**
 * By bucket and how many of its elements were passed: that is what is kept between two reads, in which the element itself may
 * go away. Within a read the next of a chain is found from the last, which keeps its link when it is deleted.
 */
class HashPlaces {
  readonly #world: WalkWorld;
  readonly #map: BpfMap;
  #bucket = 0;
  #passed = 0;
  #position: Position = 0;

  constructor(world: WalkWorld, map: BpfMap) {
    this.#world = world;
    this.#map = map;
  }

  start(): Position {
    const { view } = this.#world;
    const heads = view.getUint32(this.#map.address + MAP.private + MAP_PRIVATE.hash.buckets, true);
    const last = view.getUint32(this.#map.address + MAP.private + MAP_PRIVATE.hash.bucketMask, true);
    for (; this.#bucket <= last; this.#bucket++, this.#passed = 0) {
      this.#position = view.getUint32(heads + 4 * this.#bucket, true);
      for (let left = this.#passed; left > 0 && this.#position !== 0; left--) this.#position = this.#nextInChain();
      if (this.#position !== 0) return this.#position;
    }
    return 0;
  }

  next(): Position {
    this.#passed++;
    this.#position = this.#nextInChain();
    if (this.#position !== 0) return this.#position;
    this.#bucket++;
    this.#passed = 0;
    return this.start();
  }

  #nextInChain(): Position {
    return this.#world.view.getUint32(this.#position + ELEMENT.next, true);
  }
}
