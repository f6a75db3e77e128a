/**
 * A map of a type that bpfjit has not, in an object whose loaded programs never use it: tools define maps for options that
 * are off. It has a definition and no contents; whoever asks for any is told what is missing.
 */
import { UnsupportedError } from "../../base/index.ts";
import type { MapSpec } from "../../spec/index.ts";
import { BpfMap, type MapValue, type MapWorld } from "./map.ts";

export class IdleMap extends BpfMap {
  constructor(world: MapWorld, spec: MapSpec) {
    super({ world, spec, owned: [] }, "array");
  }

  override get size(): number {
    return 0;
  }
  override valueAddress(): number {
    return this.#refuse();
  }
  protected override read(): MapValue | null {
    return this.#refuse();
  }
  protected override write(): void {
    this.#refuse();
  }
  protected override remove(): boolean {
    return this.#refuse();
  }
  /** Lists of all maps pass it by. */
  protected override after(): Uint8Array | null {
    return null;
  }
  protected override removeAll(): void {}
  protected override get deletable(): boolean {
    return false;
  }

  #refuse(): never {
    const { name, type } = this.spec;
    throw new UnsupportedError(
      "UNSUPPORTED_MAP_TYPE",
      `map type ${type}`,
      `map ${name}: bpfjit has no map of type ${type}`,
    );
  }
}
