/**
 * What a test run gives a program and takes back, whatever the program's type. The files beside this one lay a context out
 * in the arena, one file a family of types, by the rules of the kernel's BPF_PROG_TEST_RUN.
 */
import { UsageError } from "../../base/index.ts";
import { type CtxField, type ErrnoName, PAGE_BYTES, type ProgramManifest } from "../../spec/index.ts";
import type { Device } from "../device.ts";
import type { EventStack } from "../stack.ts";
import type { TaskInfo } from "../task.ts";

export interface TestRunInput {
  /** packet, or the memory of a raw program */
  readonly dataIn?: Uint8Array | undefined;
  /**
   * Packets only: what follows dataIn, as a list of fragments that data_end does not cover. The kernel makes such lists of
   * what does not fit in front; here they can be of any lengths.
   */
  readonly fragments?: readonly Uint8Array[] | undefined;
  /** the context as the uapi struct; tracepoints: the payload */
  readonly ctxIn?: Uint8Array | undefined;
  /** hand the context back. Default: only when one is given. Like ctxIn it makes the kernel take packets as __sk_buff and xdp_md say. */
  readonly ctxOut?: boolean | undefined;
  /** runs on the same context one after the other; default 1 */
  readonly repeat?: number | undefined;
  /** virtual CPU to run on, default 0. The kernel lets raw tracepoints choose only. */
  readonly cpu?: number | undefined;
  /** what bpf_ktime_get_ns() answers; default: the machine's clock */
  readonly timeNs?: bigint | undefined;
  /** default: the calling process, as in the kernel */
  readonly task?: TaskInfo | undefined;
  /** what bpf_get_stack() and its kin find; default: no stack is known. The kernel gives its own. */
  readonly stack?: EventStack | undefined;
}

export interface TestRunResult {
  /** low half of r0, as the kernel reports it */
  readonly retval: number;
  /** all of r0, unsigned */
  readonly r0: bigint;
  /** null: the type takes no data */
  readonly dataOut: Uint8Array | null;
  readonly ctxOut: Uint8Array | null;
  readonly repeat: number;
  /** average ns of a run */
  readonly durationNs: number;
}

/** Where a context is laid out. */
export interface ContextRoom {
  /** live views on the arena */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** zeroed; freed when the test run is over */
  allocate(bytes: number, alignment: number): number;
  device(ifindex: number): Device | undefined;
}

export interface PreparedContext {
  /** what r1 points to */
  readonly address: number;
  /** bits of EVENT_FLAG; default none */
  readonly eventFlags?: number;
  /** after the last run */
  finish(): { readonly dataOut: Uint8Array | null; readonly ctxOut: Uint8Array | null };
}

/** What of a program decides how its context looks. */
export type ContextProgram = Pick<ProgramManifest, "type" | "attachType" | "ctxBytes" | "memoryBytes" | "architecture">;

export type PrepareContext = (room: ContextRoom, program: ContextProgram, input: TestRunInput) => PreparedContext;

/** A test run that the kernel refuses too, with its errno. */
export function refuse(errno: ErrnoName, message: string): never {
  throw new UsageError("USAGE", message, { errno });
}

/**
 * The context struct as user space gives it, `size` bytes: shorter ones are followed by zeros, longer ones may hold zeros
 * only behind it. Null where the caller neither gives nor wants one. Kernel: bpf_ctx_init(), bpf_check_uarg_tail_zero().
 */
export function givenContext(input: TestRunInput, size: number): Uint8Array | null {
  const { ctxIn } = input;
  if (ctxIn === undefined) return input.ctxOut === true ? new Uint8Array(size) : null;
  if (ctxIn.length > PAGE_BYTES) refuse("E2BIG", `a context of ${ctxIn.length} bytes is too large`);
  if (ctxIn.subarray(size).some((byte) => byte !== 0)) {
    refuse("E2BIG", `the context has ${size} bytes; those behind must be zero`);
  }
  const context = new Uint8Array(size);
  context.set(ctxIn.subarray(0, size));
  return context;
}

export const wantsContext = (input: TestRunInput): boolean => input.ctxOut ?? input.ctxIn !== undefined;

/** Throws where a context is shorter than what the program reads, or longer than there can be. */
export function requireLength(bytes: Uint8Array, least: number, most: number): void {
  if (bytes.length < least)
    refuse("EINVAL", `the program reads ${least} bytes of context and is given ${bytes.length}`);
  if (bytes.length > most) refuse("EINVAL", `a context of ${bytes.length} bytes is larger than ${most}`);
}

/** Offsets of a context's fields by name. */
export function offsetsOf<Name extends string>(
  fields: readonly CtxField[],
  names: readonly Name[],
): Record<Name, number> {
  const entries = names.map((name) => [name, fields.find((field) => field.name === name)?.offset ?? Number.NaN]);
  return Object.fromEntries(entries);
}

/** ETH_HLEN */
export const ETHERNET_HEADER_BYTES = 14;
/** SKB_DATA_ALIGN(sizeof(struct skb_shared_info)): what the kernel keeps free behind a packet in its page. */
export const SHARED_INFO_BYTES = 320;
/** Packets and contexts start on a cache line. */
export const PACKET_ALIGNMENT = 64;
