/** Maps: createMap() makes one of a MapSpec; all have the user's operations of BpfMap. */
export { createMap } from "./create.ts";
export { IdleMap } from "./idle.ts";
export { KeylessMap } from "./keyless.ts";
export { BpfMap, type MapValue } from "./map.ts";
export { PerfEventArrayMap } from "./perf-array.ts";
export { ProgArrayMap } from "./prog-array.ts";
export { RingbufMap } from "./ringbuf.ts";
export { UserRingbufMap } from "./user-ringbuf.ts";
