/** What is filled by whom: the instances of the target's structs as those see them who fill them (space.ts makes them). */

/** The part of an arena that objects live in. */
export interface KernelMemory {
  /** live views; `u32` by address / 4 */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly u32: Uint32Array;
  /** zeroed */
  allocate(bytes: number, alignment?: number): number;
  free(address: number): void;
}

export interface Instance {
  readonly address: number;
  /** what it was filled from, null: nothing yet */
  source: Uint32Array | null;
}

/** Members that the kernel does not have are set to no effect, so are those of an instance at 0. */
export interface Instances {
  readonly memory: KernelMemory;
  /** The instance with that identity, zeroed when it is new; null where the kernel has no such struct. */
  find(struct: string, identity: string | number): Instance | null;
  /** As find(), but null for one that was not asked for before. */
  peek(struct: string, identity: string | number): Instance | null;
  /** Address of find(), 0 for null. */
  instance(struct: string, identity: string | number): number;
  /** Address of peek(), 0 for null. */
  known(struct: string, identity: string | number): number;
  /** Address of a text with its zero, the same for the same text. */
  textOf(text: string): number;
  /** Sets a member, cut to its width. */
  setNumber(address: number, struct: string, path: string, value: number | bigint): void;
  setPointer(address: number, struct: string, path: string, target: number): void;
  /** Bytes of the memory at `from`; what the member is longer becomes zeros. */
  setBytes(address: number, struct: string, path: string, from: number, length: number): void;
}
