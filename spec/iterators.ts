/**
 * Iterators: what the kernel walks for a program, and what is known of the arguments beyond their BTF types. The first
 * argument is struct bpf_iter_meta; others are trusted where nothing is said here. An iterator that is no row is none.
 * Source: the bpf_iter_reg of each target, ctx_arg_info; asked of Linux 6.18.
 */
import { PAGE_BYTES } from "./abi.ts";

/** Bytes of the buffer that output is gathered in; what an element writes must fit. Kernel: bpf_seq_read(). */
export const SEQUENCE_BYTES = 8 * PAGE_BYTES;
/** Elements that one read passes at most. Kernel: MAX_ITER_OBJECTS. */
export const SEQUENCE_ELEMENTS = 1_000_000;

export interface IteratorArgument {
  /** from 0: the order of the fields of struct bpf_iter__NAME */
  readonly index: number;
  /** an object of the argument's type, or a buffer of the length that the map says; null at the end of the walk */
  readonly is: "trusted" | "object" | "buffer" | "readOnlyBuffer";
}

export interface IteratorSpec {
  readonly arguments: readonly IteratorArgument[];
  /** bpf_setsockopt and bpf_getsockopt may be called: the socket is locked */
  readonly socketOptions?: true;
}

const trusted = (index: number): IteratorArgument => ({ index, is: "trusted" });
const object = (index: number): IteratorArgument => ({ index, is: "object" });

const ITERATORS: Readonly<Record<string, IteratorSpec>> = {
  task: { arguments: [trusted(1)] },
  task_file: { arguments: [object(1), object(3)] },
  task_vma: { arguments: [object(1), object(2)] },
  cgroup: { arguments: [trusted(1)] },
  bpf_map: { arguments: [trusted(1)] },
  bpf_map_elem: {
    arguments: [
      { index: 2, is: "readOnlyBuffer" },
      { index: 3, is: "buffer" },
    ],
  },
  bpf_prog: { arguments: [object(1)] },
  bpf_link: { arguments: [object(1)] },
  bpf_sk_storage_map: { arguments: [object(2), { index: 3, is: "buffer" }] },
  sockmap: { arguments: [{ index: 2, is: "readOnlyBuffer" }, object(3)] },
  tcp: { arguments: [trusted(1)], socketOptions: true },
  udp: { arguments: [trusted(1)] },
  unix: { arguments: [object(1)], socketOptions: true },
  netlink: { arguments: [object(1)] },
  ipv6_route: { arguments: [object(1)] },
  ksym: { arguments: [object(1)] },
  kmem_cache: { arguments: [trusted(1)] },
  dmabuf: { arguments: [object(1)] },
};

/** `task_vma`; undefined where there is none of that name. */
export const iteratorByName = (name: string): IteratorSpec | undefined =>
  Object.hasOwn(ITERATORS, name) ? ITERATORS[name] : undefined;
