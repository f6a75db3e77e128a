/** Maps: createMap() makes one of a MapSpec; all have the user's operations of BpfMap. */
export { ArrayMap } from "./array.ts";
export { type CreateOptions, createMap } from "./create.ts";
export { HashMap } from "./hash.ts";
export { KeylessMap } from "./keyless.ts";
export { BpfMap, type MapEntry, type MapValue, type MapWorld } from "./map.ts";
export { type PerfBufferOptions, PerfEventArrayMap } from "./perf-array.ts";
export { ProgArrayMap, type ProgramSlot } from "./prog-array.ts";
export { RingbufMap, type RingbufOptions } from "./ringbuf.ts";
