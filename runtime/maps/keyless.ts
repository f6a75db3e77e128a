/** Maps that programs write records to and the user reads as a stream. */
import { ElementlessMap } from "./elementless.ts";

/** What the map knows of who reads it. */
export interface MapReader extends Disposable {
  wake(): void;
}

export abstract class KeylessMap extends ElementlessMap {
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

  protected override get instead(): string {
    return "read its records";
  }
  protected override onClose(): void {
    this.#reader?.[Symbol.dispose]();
  }
}
