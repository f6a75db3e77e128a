/**
 * What every map with elements does, for the user and for programs. A map type runs this suite once; where types differ, the
 * difference is a field of MapContract, with the kernel's reason beside it.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BpfMap, createMap, type MapValue } from "../../runtime/maps/index.ts";
import {
  ERRNO,
  type ErrnoName,
  type LibraryName,
  MAP,
  MAP_FLAG,
  MAP_OPERATIONS,
  type MapSpec,
  type MapStorage,
  mapTypeByName,
  UPDATE_FLAG,
} from "../../spec/index.ts";
import { makeWorld, place, type TestWorld } from "../maps/world.ts";

export interface MapContract {
  readonly name: string;
  readonly spec: MapSpec;
  readonly storage: MapStorage;
  /** array_map: all keys exist from the start and none can be deleted; keys are indices */
  readonly dense: boolean;
  /** the program's update of an existing key writes in place instead of taking another element */
  readonly inPlace: boolean;
  /** LRU: a full map gives up an element instead of refusing a new key. Kernel: htab_lru_map_update_elem() */
  readonly evicts?: true;
}

export const CPUS = 4;
const { ANY, NOEXIST, EXIST, LOCK } = UPDATE_FLAG;

/** Key number `n`: its first bytes are n, so that keys of a byte or more differ for n < 256. */
export function keyBytes(spec: MapSpec, n: number): Uint8Array {
  const key = new Uint8Array(spec.keySize);
  for (let i = 0; i < Math.min(4, key.length); i++) key[i] = (n >>> (8 * i)) & 0xff;
  return key;
}

export function valueBytes(spec: MapSpec, n: number): Uint8Array {
  return Uint8Array.from({ length: spec.valueSize }, (_, i) => (n + i * 7) & 0xff);
}

/** A program's view of a map: calls what the lowering calls, on the virtual CPU that runs. */
export class ProgramSide {
  readonly #world: TestWorld;
  readonly #map: BpfMap;
  readonly #names: { lookup: LibraryName; update: LibraryName; delete: LibraryName };
  readonly #key: number;
  readonly #value: number;

  constructor(world: TestWorld, map: BpfMap, storage: MapStorage) {
    const operations = MAP_OPERATIONS[storage];
    this.#world = world;
    this.#map = map;
    this.#names = {
      lookup: operations.bpf_map_lookup_elem!,
      update: operations.bpf_map_update_elem!,
      delete: operations.bpf_map_delete_elem!,
    };
    this.#key = place(world, new Uint8Array(map.keySize));
    this.#value = place(world, new Uint8Array(map.valueSize));
  }

  /** address of the value, 0: none */
  lookup(key: Uint8Array): number {
    const { arena, library } = this.#world;
    arena.bytes.set(key, this.#key);
    const call = library[this.#names.lookup] as (map: number, key: number) => number;
    const address = call(this.#map.address, this.#key) >>> 0;
    expect(library.map_lookup(this.#map.address, this.#key) >>> 0).toBe(address);
    return address;
  }

  read(key: Uint8Array): Uint8Array | null {
    const address = this.lookup(key);
    return address === 0 ? null : this.#world.arena.bytes.slice(address, address + this.#map.valueSize);
  }

  update(key: Uint8Array, value: Uint8Array, flags: number, call: LibraryName = this.#names.update): number {
    this.#world.arena.bytes.set(key, this.#key);
    this.#world.arena.bytes.set(value, this.#value);
    const update = this.#world.library[call] as (map: number, key: number, value: number, flags: bigint) => number;
    return update(this.#map.address, this.#key, this.#value, BigInt(flags));
  }

  delete(key: Uint8Array, call: LibraryName = this.#names.delete): number {
    this.#world.arena.bytes.set(key, this.#key);
    const remove = this.#world.library[call] as (map: number, key: number) => number;
    return remove(this.#map.address, this.#key);
  }
}

/** The errno of the MapError that `action` throws, null where it throws none. */
export function errnoOf(action: () => unknown): ErrnoName | null {
  try {
    action();
    return null;
  } catch (error) {
    expect(error).toHaveProperty("name", "MapError");
    return (error as { errno: ErrnoName | null }).errno;
  }
}

export function describeMap(contract: MapContract): void {
  const { spec, dense, evicts = false } = contract;
  const perCpu = mapTypeByName(spec.type)!.perCpu;
  const key = (n: number) => keyBytes(spec, n);
  const value = (n: number) => valueBytes(spec, n);
  /** what the user writes: the same bytes for each CPU, but for its number in the first */
  const userValue = (n: number): MapValue =>
    perCpu ? Array.from({ length: CPUS }, (_, cpu) => valueBytes(spec, n + cpu)) : valueBytes(spec, n);
  /** what the user reads where a program on CPU 1 wrote into a new element */
  const programValue = (n: number): MapValue =>
    perCpu
      ? Array.from({ length: CPUS }, (_, cpu) => (cpu === 1 ? valueBytes(spec, n) : new Uint8Array(spec.valueSize)))
      : valueBytes(spec, n);

  describe(contract.name, () => {
    let world: TestWorld;
    let map: BpfMap;
    let program: ProgramSide;

    beforeEach(() => {
      world = makeWorld({ cpus: CPUS });
      world.onCpu(1);
      map = createMap(world, spec);
      program = new ProgramSide(world, map, contract.storage);
    });
    afterEach(() => map.close());

    it("shows programs what the user wrote, each CPU its own", () => {
      map.update(key(3), userValue(10));
      expect(program.read(key(3))).toEqual(value(perCpu ? 11 : 10));
      world.onCpu(0);
      expect(program.read(key(3))).toEqual(value(10));
      expect(map.lookup(key(3))).toEqual(userValue(10));
    });

    it("shows the user what a program wrote; other CPUs' values of a new element are zeros", () => {
      expect(program.update(key(2), value(40), ANY)).toBe(0);
      expect(map.lookup(key(2))).toEqual(programValue(40));
    });

    it("gives programs a pointer to the value itself", () => {
      program.update(key(1), value(5), ANY);
      const address = program.lookup(key(1));
      expect(address % 8).toBe(0);
      expect(map.valueAddress(key(1), perCpu ? 1 : 0)).toBe(address);
      world.arena.bytes[address] = 0xee;
      expect(program.read(key(1))![0]).toBe(0xee);
    });

    it(dense ? "has every key" : "does not have what was not added", () => {
      expect(program.read(key(4))).toEqual(dense ? new Uint8Array(spec.valueSize) : null);
      expect(map.lookup(key(4)) === null).toBe(!dense);
      expect(map.size).toBe(dense ? spec.maxEntries : 0);
    });

    it("takes BPF_NOEXIST and BPF_EXIST as the kernel does", () => {
      // Kernel: array_map_update_elem() answers -EEXIST to BPF_NOEXIST, since all elements exist
      expect(program.update(key(1), value(1), EXIST)).toBe(dense ? 0 : -ERRNO.ENOENT);
      expect(errnoOf(() => map.update(key(1), userValue(1), EXIST))).toBe(dense ? null : "ENOENT");
      expect(program.update(key(1), value(1), NOEXIST)).toBe(dense ? -ERRNO.EEXIST : 0);
      expect(program.update(key(1), value(2), NOEXIST)).toBe(-ERRNO.EEXIST);
      expect(errnoOf(() => map.update(key(1), userValue(2), NOEXIST))).toBe("EEXIST");
      // the user's EXIST above wrote all CPUs of a dense map
      expect(program.read(key(1))).toEqual(value(dense && perCpu ? 2 : 1));
      expect(program.update(key(1), value(3), EXIST)).toBe(0);
      expect(program.read(key(1))).toEqual(value(3));
    });

    it("refuses flags that it does not know", () => {
      for (const flags of [3, LOCK, LOCK | EXIST, 8, 2 ** 32]) {
        expect(program.update(key(1), value(1), flags), `flags ${flags}`).toBe(-ERRNO.EINVAL);
        expect(errnoOf(() => map.update(key(1), userValue(1), flags))).toBe("EINVAL");
      }
    });

    it(evicts ? "gives up what was not used lately beyond max_entries" : "answers -E2BIG beyond max_entries", () => {
      if (dense) {
        const beyond = key(spec.maxEntries);
        expect(program.lookup(beyond)).toBe(0);
        expect(program.update(beyond, value(1), ANY)).toBe(-ERRNO.E2BIG);
        expect(map.lookup(beyond)).toBeNull();
        expect(errnoOf(() => map.update(beyond, userValue(1)))).toBe("E2BIG");
        return;
      }
      for (let n = 0; n < spec.maxEntries; n++) expect(program.update(key(n), value(n), ANY)).toBe(0);
      expect(map.size).toBe(spec.maxEntries);
      if (evicts) {
        const used = [1, 2, 20, spec.maxEntries - 1];
        for (let n = 100; n < 100 + 3 * spec.maxEntries; n++) {
          for (const each of used) expect(program.read(key(each))).toEqual(value(each));
          expect(program.update(key(n), value(n), ANY)).toBe(0);
          expect(map.size).toBe(spec.maxEntries);
          expect(map.lookup(key(n - 1)) !== null).toBe(n > 100);
          expect(map.lookup(key(n))).toEqual(programValue(n));
        }
        expect(errnoOf(() => map.update(key(0), userValue(1)))).toBeNull();
        expect([...map.keys()].length).toBe(spec.maxEntries);
        for (const each of used) expect(program.read(key(each))).toEqual(value(each));
        return;
      }
      const beyond = key(spec.maxEntries);
      expect(program.update(beyond, value(1), ANY)).toBe(-ERRNO.E2BIG);
      expect(errnoOf(() => map.update(beyond, userValue(1)))).toBe("E2BIG");
      // a full map still replaces, and takes another key for one that goes
      for (let n = 0; n < spec.maxEntries; n++) expect(program.update(key(n), value(n + 1), ANY)).toBe(0);
      expect(program.delete(key(0))).toBe(0);
      expect(program.update(beyond, value(1), ANY)).toBe(0);
      expect(program.update(key(0), value(1), ANY)).toBe(-ERRNO.E2BIG);
      for (let n = 1; n < spec.maxEntries; n++) expect(program.read(key(n))).toEqual(value(n + 1));
    });

    it("deletes", () => {
      map.update(key(6), userValue(6));
      if (dense) {
        expect(program.delete(key(6))).toBe(-ERRNO.EINVAL);
        expect(errnoOf(() => map.delete(key(6)))).toBe("EINVAL");
        expect(errnoOf(() => map.lookupAndDelete(key(6)))).toBe("ENOTSUPP");
        return;
      }
      expect(program.delete(key(6))).toBe(0);
      expect(program.delete(key(6))).toBe(-ERRNO.ENOENT);
      expect(map.delete(key(6))).toBe(false);
      expect(map.lookup(key(6))).toBeNull();
      map.update(key(7), userValue(7));
      expect(map.lookupAndDelete(key(7))).toEqual(userValue(7));
      expect(map.lookupAndDelete(key(7))).toBeNull();
      expect(map.size).toBe(0);
    });

    it("keeps what an old value pointer shows, as far as the kernel does", () => {
      program.update(key(1), value(1), ANY);
      const before = program.lookup(key(1));
      program.update(key(1), value(2), ANY);
      expect(program.lookup(key(1)) === before).toBe(contract.inPlace);
      const old = world.arena.bytes.slice(before, before + spec.valueSize);
      expect(old).toEqual(value(contract.inPlace ? 2 : 1));
      if (dense) return;
      const deleted = program.lookup(key(1));
      program.delete(key(1));
      expect(world.arena.bytes.slice(deleted, deleted + spec.valueSize)).toEqual(value(2));
      // the element that was freed last is the one that the next insert takes
      program.update(key(9), value(9), ANY);
      expect(program.lookup(key(9))).toBe(deleted);
    });

    it("lists every key once, first to last", () => {
      const wanted = new Set<string>();
      for (let n = 0; n < spec.maxEntries; n += 2) {
        map.update(key(n), userValue(n));
        wanted.add(key(n).join());
      }
      const keys = [...map.keys()].map((each) => each.join());
      expect(keys.length).toBe(new Set(keys).size);
      if (dense) expect(keys).toEqual(Array.from({ length: spec.maxEntries }, (_, n) => key(n).join()));
      else expect(new Set(keys)).toEqual(wanted);
      for (const entry of map.entries()) {
        if (wanted.has(entry.key.join())) expect(entry.value).toEqual(userValue(entry.key[0]!));
      }
      // a key that is not there starts from the beginning
      expect(map.nextKey(key(250))).toEqual(map.nextKey(null));
    });

    it("lets a program iterate, and delete what it stands on", () => {
      for (let n = 0; n < spec.maxEntries; n++) program.update(key(n), value(n), ANY);
      const { library, arena } = world;
      const seen: string[] = [];
      let position = library.map_next(map.address, 0);
      while (position !== 0) {
        const at = library.map_position_key(map.address, position) >>> 0;
        const each = arena.bytes.slice(at, at + spec.keySize);
        seen.push(each.join());
        const valueAt = library.map_position_value(map.address, position) >>> 0;
        expect(valueAt).toBe(program.lookup(each));
        const after = library.map_after(map.address, position);
        if (!dense) {
          expect(program.delete(each)).toBe(0);
          // a new element takes its place, perhaps in a later chain, where the iteration may meet it
          if (seen.length % 4 === 0) program.update(each, value(0), ANY);
        }
        position = library.map_resume(map.address, after);
        expect(seen.length).toBeLessThan(3 * spec.maxEntries);
      }
      expect(new Set(seen).size).toBe(spec.maxEntries);
    });

    it("is cleared", () => {
      for (let n = 0; n < spec.maxEntries; n++) map.update(key(n), userValue(n + 1));
      map.clear();
      expect(map.size).toBe(dense ? spec.maxEntries : 0);
      expect(program.read(key(1))).toEqual(dense ? new Uint8Array(spec.valueSize) : null);
    });

    it("refuses keys and values of another size", () => {
      const wrong = (action: () => unknown) =>
        expect(action).toThrow(expect.objectContaining({ code: "MAP_KEY_TYPE" }));
      wrong(() => map.lookup(new Uint8Array(spec.keySize + 1)));
      wrong(() => map.delete(new Uint8Array(0)));
      wrong(() => map.update(key(1), perCpu ? [value(1)] : new Uint8Array(spec.valueSize + 8)));
      wrong(() => map.update(key(1), perCpu ? value(1) : [value(1)]));
    });

    it("keeps the user out as its flags and freezing say", () => {
      const limited = (flags: number) => createMap(world, { ...spec, flags: spec.flags | flags });
      const readOnly = limited(MAP_FLAG.RDONLY);
      expect(errnoOf(() => readOnly.update(key(1), userValue(1)))).toBe("EPERM");
      expect(errnoOf(() => readOnly.lookup(key(1)))).toBeNull();
      const writeOnly = limited(MAP_FLAG.WRONLY);
      expect(errnoOf(() => writeOnly.update(key(1), userValue(1)))).toBeNull();
      expect(errnoOf(() => writeOnly.lookup(key(1)))).toBe("EPERM");
      expect(errnoOf(() => [...writeOnly.keys()])).toBe("EPERM");
      map.freeze();
      expect(errnoOf(() => map.freeze())).toBe("EPERM");
      expect(errnoOf(() => map.update(key(1), userValue(1)))).toBe("EPERM");
      expect(errnoOf(() => map.clear())).toBe("EPERM");
      expect(program.update(key(1), value(1), ANY)).toBe(0);
      expect(map.lookup(key(1))).toEqual(programValue(1));
    });

    it("gives its memory back", () => {
      const used = world.arena.usedBytes;
      const other = createMap(world, spec);
      other.update(key(1), userValue(1));
      other.close();
      other.close();
      expect(world.arena.usedBytes).toBe(used);
      expect(() => other.lookup(key(1))).toThrow(expect.objectContaining({ code: "CLOSED" }));
    });

    it("agrees with a JS Map over random operations of user and programs", () => {
      const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
      const random = makeRandom(seed);
      /** key number → the value of each CPU (of CPU 0 alone where the map is not per CPU) */
      const model = new Map<number, Uint8Array[]>();
      const zeros = () => Array.from({ length: CPUS }, () => new Uint8Array(spec.valueSize));
      if (dense) for (let n = 0; n < spec.maxEntries; n++) model.set(n, zeros());
      const put = (n: number, flags: number, write: (values: Uint8Array[]) => void): number => {
        if (flags > EXIST) return -ERRNO.EINVAL;
        if (dense && n >= spec.maxEntries) return -ERRNO.E2BIG;
        const known = model.get(n);
        if (known !== undefined && flags === NOEXIST) return -ERRNO.EEXIST;
        if (known === undefined && flags === EXIST) return -ERRNO.ENOENT;
        if (known === undefined && model.size === spec.maxEntries) return -ERRNO.E2BIG;
        const values = known ?? zeros();
        write(values);
        model.set(n, values);
        return 0;
      };
      for (let step = 0; step < 700; step++) {
        const where = `seed ${seed}, step ${step}`;
        // of an LRU map it is its own matter what goes, so nothing does
        const n = random() % (evicts ? spec.maxEntries : spec.maxEntries + (spec.maxEntries >> 2) + 1);
        const flags = random() % 20 === 0 ? random() % 4 : ANY;
        const cpu = random() % CPUS;
        const fresh = valueBytes(spec, random());
        world.onCpu(cpu);
        switch (random() % 8) {
          case 0:
          case 1: {
            const wanted = put(n, flags, (values) => {
              values[perCpu ? cpu : 0] = fresh;
            });
            const call = random() % 2 === 0 ? undefined : "map_update";
            expect(program.update(key(n), fresh, flags, call), where).toBe(wanted);
            break;
          }
          case 2: {
            const all = perCpu ? Array.from({ length: CPUS }, (_, i) => valueBytes(spec, step + i)) : [fresh];
            const wanted = put(n, flags, (values) => values.splice(0, all.length, ...all));
            const got = errnoOf(() => map.update(key(n), perCpu ? all : fresh, flags));
            expect(got === null ? 0 : -ERRNO[got], where).toBe(wanted);
            break;
          }
          case 3:
          case 4: {
            const wanted = dense ? -ERRNO.EINVAL : model.delete(n) ? 0 : -ERRNO.ENOENT;
            const call = random() % 2 === 0 ? undefined : "map_delete";
            expect(program.delete(key(n), call), where).toBe(wanted);
            break;
          }
          case 5: {
            const known = model.get(n);
            const wanted = known === undefined ? null : perCpu ? known : known[0]!;
            expect(map.lookup(key(n)), where).toEqual(wanted);
            break;
          }
          default:
            expect(program.read(key(n)), where).toEqual(model.get(n)?.[perCpu ? cpu : 0] ?? null);
        }
        expect(map.size, where).toBe(model.size);
      }
      const entries = new Map([...map.entries()].map((entry) => [entry.key.join(), entry.value]));
      expect(entries.size).toBe(model.size);
      for (const [n, values] of model) expect(entries.get(key(n).join())).toEqual(perCpu ? values : values[0]);
      const left = world.arena.view.getUint32(map.address + MAP.count, true);
      expect(left).toBe(dense ? 0 : model.size);
    });
  });
}

/** Numbers of 31 bits from a seed. */
export function makeRandom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 1;
  };
}
