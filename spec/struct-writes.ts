/**
 * Kernel memory that programs may write through pointers with types. What structures of functions may write is in their rows
 * (struct-ops.ts). Source: net/netfilter/nf_conntrack_bpf.c, net/core/filter.c; asked of Linux 6.18.
 */
import type { ProgramTypeName } from "./program-types.ts";

/** What of one struct may be written to; of others, nothing. */
export interface StructWrites {
  readonly struct: string;
  /** another one that begins with it, and counts as it */
  readonly wrapper?: string;
  /** absent: all of it. `in`: the struct at its start that names the field; `part`: from any byte of it on */
  readonly fields?: readonly { readonly in: string; readonly path: string; readonly part?: true }[];
  /** what the kernel says of pointers to other structs */
  readonly otherwise: string;
}

const CONNECTION: StructWrites = {
  struct: "nf_conn",
  wrapper: "nf_conn___init",
  fields: [{ in: "nf_conn", path: "mark" }],
  otherwise: "only read is supported",
};

/** By the type of the program, whatever it is attached to. */
export const PROGRAM_WRITES: Partial<Record<ProgramTypeName, StructWrites>> = {
  sched_cls: CONNECTION,
  sched_act: CONNECTION,
  xdp: CONNECTION,
};
