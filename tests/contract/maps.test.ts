/** Every map type with elements runs the contract, hashes with each key size that has code of its own. */
import { MAP_FLAG } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";
import { describeMap } from "./map.ts";

for (const [valueSize, flags] of [
  [8, 0],
  [13, MAP_FLAG.MMAPABLE],
  [700, 0],
] as const) {
  describeMap({
    name: `array, values of ${valueSize} bytes`,
    spec: mapSpec({ type: "array", keySize: 4, valueSize, maxEntries: 40, flags }),
    storage: "array",
    dense: true,
    inPlace: true,
  });
}

for (const valueSize of [4, 64, 300]) {
  describeMap({
    name: `percpu_array, values of ${valueSize} bytes`,
    spec: mapSpec({ type: "percpu_array", keySize: 4, valueSize, maxEntries: 40 }),
    storage: "perCpuArray",
    dense: true,
    inPlace: true,
  });
}

for (const flags of [0, MAP_FLAG.NO_PREALLOC]) {
  for (const [keySize, valueSize] of [
    [4, 8],
    [8, 1],
    [16, 24],
    [1, 4],
    [7, 12],
    [20, 300],
    [600, 400],
  ] as const) {
    describeMap({
      name: `hash${flags === 0 ? "" : " without preallocation"}, keys of ${keySize} bytes, values of ${valueSize}`,
      spec: mapSpec({ type: "hash", keySize, valueSize, maxEntries: 33, flags }),
      storage: "hash",
      dense: false,
      inPlace: false,
    });
  }
  for (const [keySize, valueSize] of [
    [4, 8],
    [8, 3],
    [16, 40],
    [12, 16],
  ] as const) {
    describeMap({
      name: `percpu_hash${flags === 0 ? "" : " without preallocation"}, keys of ${keySize} bytes, values of ${valueSize}`,
      spec: mapSpec({ type: "percpu_hash", keySize, valueSize, maxEntries: 33, flags }),
      storage: "perCpuHash",
      dense: false,
      // Kernel: __htab_percpu_map_update_elem() copies into the element that is there
      inPlace: true,
    });
  }
}

for (const [keySize, valueSize, flags] of [
  [4, 8, 0],
  [8, 1, MAP_FLAG.NO_COMMON_LRU],
  [16, 24, 0],
  [7, 300, 0],
] as const) {
  const sizes = `keys of ${keySize} bytes, values of ${valueSize}`;
  // Kernel: with NO_COMMON_LRU max_entries is rounded up to a multiple of the CPUs
  const maxEntries = 36;
  describeMap({
    name: `lru_hash, ${sizes}`,
    spec: mapSpec({ type: "lru_hash", keySize, valueSize, maxEntries, flags }),
    storage: "lruHash",
    dense: false,
    inPlace: false,
    evicts: true,
  });
  describeMap({
    name: `lru_percpu_hash, ${sizes}`,
    spec: mapSpec({ type: "lru_percpu_hash", keySize, valueSize, maxEntries, flags }),
    storage: "lruPerCpuHash",
    dense: false,
    inPlace: true,
    evicts: true,
  });
}
