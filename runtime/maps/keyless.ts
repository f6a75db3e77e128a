/** Maps that programs write records to and the user reads as a stream: no lookup, no update, no keys. */
import { BpfMap, type MapValue } from "./map.ts";

/** What the map knows of who reads it. */
export interface MapReader extends Disposable {
  wake(): void;
}

export abstract class KeylessMap extends BpfMap {
  #reader: MapReader | null = null;

  /** One of its buffers is more than half full: time for a reader, or records may be lost. */
  abstract get moreThanHalfFull(): boolean;

  /** Makes `reader` the one that takes the records; a second one would take them from the first: -EBUSY. */
  attachReader(reader: MapReader): void {
    this.requireOpen();
    if (this.#reader !== null) throw this.error("EBUSY", "it has a reader already");
    this.#reader = reader;
  }
  detachReader(reader: MapReader): void {
    if (this.#reader === reader) this.#reader = null;
  }
  get hasReader(): boolean {
    return this.#reader !== null;
  }

  /** Wakes a reader that waits, whatever programs asked for. */
  wakeReader(): void {
    this.#reader?.wake();
  }

  protected override onClose(): void {
    this.#reader?.[Symbol.dispose]();
  }

  override get size(): number {
    return 0;
  }

  override valueAddress(_key: Uint8Array): number {
    return 0;
  }

  protected override read(_key: Uint8Array): MapValue | null {
    throw this.error("ENOTSUPP", "this type has no lookup: read its records");
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
    throw this.error("ENOTSUPP", "this type has nothing to clear: read its records");
  }
  protected override get deletable(): boolean {
    return false;
  }
}
