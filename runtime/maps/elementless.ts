/** Maps without elements: rings of any kind have no lookup, no update, no keys. */
import { BpfMap, type MapValue } from "./map.ts";

export abstract class ElementlessMap extends BpfMap {
  /** what there is to do with the map: "read its records" */
  protected abstract get instead(): string;

  override get size(): number {
    return 0;
  }

  override valueAddress(_key: Uint8Array): number {
    return 0;
  }

  protected override read(_key: Uint8Array): MapValue | null {
    throw this.error("ENOTSUPP", `this type has no lookup: ${this.instead}`);
  }
  protected override write(_key: Uint8Array, _value: MapValue, _flags: number): void {
    throw this.error("ENOTSUPP", "this type has no update");
  }
  protected override remove(_key: Uint8Array): boolean {
    throw this.error("ENOTSUPP", "this type has no delete");
  }
  override nextKey(_key: Uint8Array | null): Uint8Array | null {
    throw this.error("ENOTSUPP", "this type has no keys");
  }
  /** keys() and entries() give nothing, so that whoever lists all maps need not know this one. */
  protected override after(_key: Uint8Array | null): Uint8Array | null {
    return null;
  }
  protected override removeAll(): void {
    throw this.error("ENOTSUPP", `this type has nothing to clear: ${this.instead}`);
  }
  protected override get deletable(): boolean {
    return false;
  }
}
