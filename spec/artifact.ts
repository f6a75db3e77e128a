/** A compiled object: a Wasm module and what the runtime must know to link and run it. Written by the compiler, read by the runtime. */

import type { KernelLayouts } from "./kernel-objects.ts";
import type { MapSpec } from "./map-types.ts";
import type { ProfileTable } from "./profile.ts";
import type { ProgramTypeName } from "./program-types.ts";
import type { Architecture } from "./registers.ts";
import type { AttachTypeName } from "./sections.ts";
import type { CType } from "./types.ts";

export interface CompiledObject {
  readonly wasm: Uint8Array;
  readonly manifest: Manifest;
}

export interface Manifest {
  readonly abiVersion: number;
  readonly name: string;
  readonly license: string;
  /** indices are those that the module's `map` and `mapvalue` imports use */
  readonly maps: readonly MapSpec[];
  readonly programs: readonly ProgramManifest[];
  /** structs of the object's BTF that records can be read as, by name */
  readonly types: Readonly<Record<string, CType>>;
  /** structs of the kernel that the programs were prepared for, as far as sources fill them; absent: there was no BTF of it */
  readonly kernel?: KernelLayouts;
  /** the code says where it is while it runs; absent: it does not */
  readonly profile?: ProfileTable;
}

/** What iterators may read of keys and read or write of values: bytes from the start, whatever the length turns out to be. */
export interface BufferBytes {
  readonly readOnly: number;
  readonly writable: number;
}

export interface ProgramManifest {
  readonly name: string;
  readonly section: string;
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | null;
  /** what the section name says behind its prefix: `sched/sched_switch`, null where nothing */
  readonly attachTarget: string | null;
  readonly autoload: boolean;
  readonly insns: number;
  /**
   * Bytes of the ctx that the program may read, from its start: what a test run and an event must bring at least.
   * Kernel: prog->aux->max_ctx_offset. Absent: not known.
   */
  readonly ctxBytes?: number;
  /**
   * Tracepoints: the struct that the main function takes, with the offsets that the program reads (after CO-RE: the
   * target's). Compared with an input's layout of the event. Absent: none, or no BTF.
   */
  readonly ctxType?: CType;
  /**
   * Programs of raw tracepoints and functions: bytes of each argument that the hook passes, as the target's BTF says.
   * Absent: not known.
   */
  readonly argumentBytes?: readonly number[];
  /** Iterators and writable raw tracepoints: bytes of the buffers among their arguments that they use. What is attached must bring them. */
  readonly bufferBytes?: BufferBytes;
  /** of the machine that it was prepared for; absent: x86_64 */
  readonly architecture?: Architecture;
  /** raw only: bytes that r1 points to */
  readonly memoryBytes?: number;
  /** names of helpers that are called */
  readonly helpers: readonly string[];
  /** indices of maps that are used */
  readonly maps: readonly number[];
  /** ring or perf map index → struct name and bytes of the records written to it, where the verifier knows */
  readonly records: readonly {
    readonly map: number;
    readonly sizeBytes: number | null;
    readonly type: string | null;
  }[];
}
