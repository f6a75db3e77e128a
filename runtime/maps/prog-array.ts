/**
 * Prog arrays: slots that tail calls jump through. In the arena a slot holds the program's index in the workers' tables + 1;
 * which program that is, and that every worker has it installed before it is put here, is the caller's matter.
 * Kernel: prog_array_map_ops in kernel/bpf/arraymap.c.
 */
import { MAP, MAP_PRIVATE, type ProgramManifest } from "../../spec/index.ts";
import { indexKey, indexOf, nextIndex } from "./array.ts";
import { BpfMap, type MapOrigin, type MapValue } from "./map.ts";

export interface ProgramSlot {
  /** index in the table that the library and the compiled modules call through */
  readonly tableIndex: number;
  /** what a lookup of the user answers, as the kernel answers with the program's id */
  readonly id: number;
  readonly manifest: ProgramKind;
}

/** What programs that call each other through a prog array share: the ctx is handed on as it is. */
type ProgramKind = Pick<ProgramManifest, "name" | "type" | "attachType">;

export class ProgArrayMap extends BpfMap {
  readonly #slots: number;
  readonly #programs = new Map<number, ProgramSlot>();
  /** the first program that calls through it or is in it, for as long as it lives */
  #owner: ProgramKind | null = null;

  constructor(origin: MapOrigin) {
    super(origin, "progArray");
    const { world, spec } = origin;
    this.#slots = this.own(world.arena.allocate(4 * spec.maxEntries));
    this.set(MAP.private + MAP_PRIVATE.progArray.slots, this.#slots);
  }

  /** Slots in use. */
  override get size(): number {
    return this.#programs.size;
  }

  /** Before a program calls through it, or is put into it: -EINVAL where it is of another kind. Kernel: bpf_prog_map_compatible(). */
  claim(program: ProgramKind): void {
    this.#owner ??= program;
    const { name, type, attachType } = this.#owner;
    if (program.type === type && program.attachType === attachType) return;
    const kindOf = (kind: ProgramKind): string =>
      kind.attachType === null ? kind.type : `${kind.type}/${kind.attachType}`;
    throw this.error(
      "EINVAL",
      `${program.name} is of type ${kindOf(program)}, ${name}, which has it, of ${kindOf(this.#owner)}`,
    );
  }

  /**
   * Puts a program into a slot, null empties it. -E2BIG where there is no such slot, -EINVAL where those that have the map are of
   * another kind, -EPERM where the user may not write.
   */
  setProgram(index: number, program: ProgramSlot | null): void {
    this.require("write");
    if (!(index >= 0 && index < this.maxEntries))
      throw this.error("E2BIG", `slot ${index} of ${this.maxEntries} does not exist`);
    if (program !== null) this.claim(program.manifest);
    this.world.arena.view.setUint32(this.#slots + 4 * index, program === null ? 0 : program.tableIndex + 1, true);
    if (program === null) this.#programs.delete(index);
    else this.#programs.set(index, program);
  }

  program(index: number): ProgramSlot | null {
    return this.#programs.get(index) ?? null;
  }

  override valueAddress(key: Uint8Array): number {
    this.requireKey(key);
    return 0;
  }

  protected override read(key: Uint8Array): MapValue | null {
    const program = this.program(indexOf(key));
    return program === null ? null : indexKey(program.id);
  }

  /** The kernel takes a program's file descriptor here; bpfjit has none: setProgram(). */
  protected override write(_key: Uint8Array, _value: MapValue, _flags: number): void {
    throw this.error("EBADF", "a program goes into a slot by setProgram");
  }

  protected override remove(key: Uint8Array): boolean {
    const index = indexOf(key);
    const known = this.#programs.has(index);
    this.setProgram(index, null);
    return known;
  }

  protected override after(key: Uint8Array | null): Uint8Array | null {
    return nextIndex(key, this.maxEntries);
  }

  protected override removeAll(): void {
    for (const index of [...this.#programs.keys()]) this.setProgram(index, null);
  }

  protected override get deletable(): boolean {
    return false;
  }
}
