/** Definitions of maps for tests. */
import type { MapSpec } from "../../spec/map-types.ts";

/** A definition with everything that does not matter left out. */
export function mapSpec(
  spec: Pick<MapSpec, "type" | "keySize" | "valueSize" | "maxEntries"> & Partial<MapSpec>,
): MapSpec {
  return {
    name: "test",
    flags: 0,
    keyType: null,
    valueType: null,
    initial: null,
    frozen: false,
    section: null,
    variables: [],
    programs: [],
    inner: null,
    innerMaps: [],
    pinned: false,
    numaNode: null,
    extra: 0n,
    ...spec,
  };
}
