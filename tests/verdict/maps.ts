/** The maps that random programs use: one of each kind that programs treat differently. */
import type { MapSpec } from "../../spec/map-types.ts";
import { mapSpec } from "../maps/spec.ts";

const map = (name: string, type: MapSpec["type"], keySize: number, valueSize: number, maxEntries: number): MapSpec =>
  mapSpec({ name, type, keySize, valueSize, maxEntries });

const READ_ONLY_PROGRAM = 128;
/** A format, a number that programs may use as an offset, a text without end. */
const CONSTANTS = Uint8Array.from([...Buffer.from("n=%d s=%u\n\0"), 0, 7, 0, 0, 0, 0, 0, 0, 0, 65, 66, 67, 68]);

export const MAPS: readonly MapSpec[] = [
  map("array", "array", 4, 48, 4),
  map("hash", "hash", 8, 16, 8),
  map("percpu", "percpu_array", 4, 24, 2),
  map("ring", "ringbuf", 0, 0, 4096),
  map("perf", "perf_event_array", 4, 4, 1),
  map("programs", "prog_array", 4, 4, 4),
  {
    ...map("constants", "array", 4, CONSTANTS.length, 1),
    flags: READ_ONLY_PROGRAM,
    frozen: true,
    initial: CONSTANTS,
  },
  map("globals", "array", 4, 64, 1),
  map("percpu_hash", "percpu_hash", 4, 8, 8),
  map("traces", "stack_trace", 4, 128, 4),
  map("cgroups", "cgroup_array", 4, 4, 4),
  map("devices", "devmap", 4, 8, 4),
  map("sockets", "sockmap", 4, 4, 4),
  map("socket_hash", "sockhash", 4, 4, 4),
  map("queue", "queue", 0, 8, 4),
  { ...map("storage", "sk_storage", 4, 8, 0), flags: 1 },
  { ...map("tables", "array_of_maps", 4, 4, 4), inner: map("table", "hash", 8, 8, 4) },
];
export const mapNamed = (name: string): number => MAPS.findIndex((one) => one.name === name);

export const ARRAY = 0;
export const HASH = 1;
export const PERCPU = 2;
export const RING = 3;
export const PERF = 4;
export const PROGRAMS = 5;
export const CONSTANT = 6;
export const GLOBALS = 7;
export const PERCPU_HASH = 8;
/** Maps with elements that a lookup finds. */
export const LOOKED_UP = [ARRAY, HASH, PERCPU, PERCPU_HASH, CONSTANT, GLOBALS] as const;
