/** A compiled object that is linked into a runtime: its programs and maps by name, and the end of their life. */
import type { Manifest } from "../spec/index.ts";
import type { BpfMap } from "./maps/index.ts";
import type { LinkedProgram } from "./program.ts";

export interface LinkedObjectParts {
  readonly manifest: Manifest;
  readonly programs: readonly LinkedProgram[];
  /** in the order of the manifest */
  readonly maps: readonly BpfMap[];
  /** puts other code of the same programs in place of theirs */
  readonly onReplace: (code: Uint8Array) => Promise<void>;
  /** takes the programs out of the runtime and gives the object's own maps back */
  readonly onClose: () => void;
}

export class LinkedObject {
  readonly manifest: Manifest;
  /** without a prototype: names come from outside */
  readonly programs: Readonly<Record<string, LinkedProgram>>;
  readonly maps: Readonly<Record<string, BpfMap>>;
  readonly #onReplace: LinkedObjectParts["onReplace"];
  readonly #onClose: () => void;
  #closed = false;

  constructor(parts: LinkedObjectParts) {
    this.manifest = parts.manifest;
    this.programs = byName(parts.programs.map((program) => [program.name, program]));
    this.maps = byName(parts.maps.map((map, index) => [parts.manifest.maps[index]!.name, map]));
    this.#onReplace = parts.onReplace;
    this.#onClose = parts.onClose;
  }

  get name(): string {
    return this.manifest.name;
  }
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Runs `wasm` from the next event on, which is compiled from the same verified programs in another way: maps, links and
   * places in tables stay. Nothing happens to an object that is closed meanwhile. Throws as linking does.
   */
  replaceCode(wasm: Uint8Array): Promise<void> {
    return this.#onReplace(wasm);
  }

  /** Detaches every link of its programs and closes its maps, except those that another object brought. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

function byName<Value>(entries: readonly (readonly [string, Value])[]): Readonly<Record<string, Value>> {
  const record: Record<string, Value> = Object.create(null);
  for (const [name, value] of entries) record[name] = value;
  return record;
}
