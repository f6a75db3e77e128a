/** Collects what the verifier learns of each instruction on its way (compiler/program.ts, InsnFacts). */
import type { BufferBytes } from "../../spec/artifact.ts";
import type { MapSpec } from "../../spec/map-types.ts";
import type { InsnFacts, ProgramFacts } from "../program.ts";
import { constantArguments } from "./constants.ts";
import type { Env } from "./env.ts";

const NONE = -1;
const DIFFERENT = -2;
export const OUTCOME = { TAKEN: 1, FALLTHROUGH: 2 } as const;

/**
 * A fact holds on every path. Paths that were pruned are covered: their states lie within one that was explored, in every
 * respect that these facts depend on (types, maps, fixed offsets, alignment of precise offsets).
 */
export class FactsBuilder {
  readonly seen: Uint8Array;
  readonly #pointer: Uint16Array;
  readonly #alignment: Uint8Array;
  readonly #ctxOffset: Int32Array;
  readonly #map: Int32Array;
  readonly #outcome: Uint8Array;
  readonly #buffers = { readOnly: 0, writable: 0 };
  readonly #callbacks = new Map<number, Set<number>>();

  constructor(slots: number) {
    this.seen = new Uint8Array(slots);
    this.#pointer = new Uint16Array(slots);
    this.#alignment = new Uint8Array(slots).fill(8);
    this.#ctxOffset = new Int32Array(slots).fill(NONE);
    this.#map = new Int32Array(slots).fill(NONE);
    this.#outcome = new Uint8Array(slots);
  }

  /** An access through a pointer of `kind` (bit of POINTER) whose address is a multiple of `alignment`. */
  access(slot: number, kind: number, alignment: number): void {
    this.#pointer[slot]! |= kind;
    if (alignment < this.#alignment[slot]!) this.#alignment[slot] = alignment;
  }
  ctxOffset(slot: number, offset: number): void {
    meet(this.#ctxOffset, slot, offset);
  }
  map(slot: number, maps: readonly MapSpec[], map: MapSpec | null): void {
    const index = map === null ? -1 : maps.indexOf(map);
    // Maps inside of maps have no index.
    meet(this.#map, slot, index < 0 ? DIFFERENT : index);
  }
  /** An access of the first `bytes` bytes of a buffer of unknown length. Kernel: max_rdonly_access, max_rdwr_access. */
  buffer(kind: keyof BufferBytes, bytes: number): void {
    this.#buffers[kind] = Math.max(this.#buffers[kind], bytes);
  }
  callback(slot: number, start: number): void {
    const known = this.#callbacks.get(slot);
    if (known) known.add(start);
    else this.#callbacks.set(slot, new Set([start]));
  }
  branch(slot: number, outcomes: number): void {
    this.#outcome[slot]! |= outcomes;
  }

  finish(env: Env): ProgramFacts {
    const constants = constantArguments(env);
    const insns = env.insns.map((_, slot) => (this.seen[slot] ? this.#insnFacts(slot, constants, env) : null));
    const stackBytes = env.program.functions.map((_, index) => {
      const known = env.subprograms.find((subprogram) => subprogram.functionIndex === index);
      return known?.stackBytes ?? 0;
    });
    return { insns, processedInsns: env.processedInsns, bufferBytes: { ...this.#buffers }, stackBytes };
  }

  #insnFacts(slot: number, constants: ReadonlyMap<number, readonly (bigint | null)[]>, env: Env): InsnFacts {
    const pointer = this.#pointer[slot]!;
    return {
      pointer,
      alignment: pointer ? this.#alignment[slot]! : 1,
      ctxOffset: known(this.#ctxOffset[slot]!),
      map: known(this.#map[slot]!),
      callbacks: [...(this.#callbacks.get(slot) ?? [])].sort((a, b) => a - b),
      isInlined: (env.inlinedLoops.get(slot) ?? null) !== null,
      constants: constants.get(slot) ?? [],
      branch: BRANCH_NAMES[this.#outcome[slot]!]!,
    };
  }
}

const BRANCH_NAMES = [null, "taken", "fallthrough", "both"] as const;
const known = (value: number): number | null => (value < 0 ? null : value);

function meet(values: Int32Array, slot: number, value: number): void {
  if (values[slot] === NONE) values[slot] = value;
  else if (values[slot] !== value) values[slot] = DIFFERENT;
}
