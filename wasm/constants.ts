/** The numbers that .wat files name in braces, from the tables in spec/. `{-EINVAL}`, `{~TABLE.mask}` and `{TABLE.word+8}` work too. */
import {
  BUILD_ID,
  CHAIN_CONTEXT,
  COMM_BYTES,
  CONTEXT_COPY,
  CPU,
  CPU_STACK_RESERVE_BYTES,
  CTX,
  CTX_HEAD,
  DYNPTR,
  DYNPTR_BITS,
  DYNPTR_TYPE,
  ELEMENT,
  ELEMENT_IN_CHAIN,
  ELEMENT_LATELY,
  ERRNO,
  EVENT,
  EVENT_CHAIN_MASK,
  EVENT_FLAG,
  FRAGMENT,
  FRAGMENTS,
  HOOK,
  isa,
  KERNEL_ADDRESS_START,
  LINK,
  MAP,
  MAP_FLAG,
  MAP_PRIVATE,
  NULL_GUARD_BYTES,
  PERF_BUFFER,
  PERF_MODE,
  PERF_OUTPUT,
  PERF_RECORD,
  PERF_SAMPLE,
  POINTER_TAG,
  REDIRECT,
  RING,
  RINGBUF_FLAG,
  RINGBUF_QUERY,
  RUNTIME,
  STACK_BUCKET,
  STACK_DEPTH,
  STACK_FLAG,
  STORAGE_ID,
  TASK,
  UPDATE_FLAG,
  USER_ADDRESS_END,
  USER_RINGBUF_SAMPLES,
  WORKER,
} from "../spec/index.ts";

type Constant = number | bigint;
type Words = Readonly<Record<string, Constant>>;

const PERF_LOST_BYTES = 24;

const CONSTANTS: Readonly<Record<string, Constant | Words>> = {
  ...ERRNO,
  BUILD_ID,
  CHAIN_CONTEXT,
  COMM_BYTES,
  CONTEXT_COPY,
  CPU,
  CPU_STACK_RESERVE_BYTES,
  CTX_HEAD,
  DYNPTR,
  DYNPTR_TYPE,
  ELEMENT,
  ELEMENT_IN_CHAIN,
  ELEMENT_LATELY,
  EVENT,
  EVENT_CHAIN_MASK,
  EVENT_FLAG,
  FRAGMENT,
  FRAGMENTS,
  HOOK,
  KERNEL_ADDRESS_START,
  LINK,
  MAP,
  MAP_FLAG,
  NULL_GUARD_BYTES,
  PERF_BUFFER,
  PERF_MODE,
  PERF_OUTPUT,
  PERF_RECORD,
  PERF_SAMPLE,
  POINTER_TAG,
  REDIRECT,
  RING,
  RINGBUF_FLAG,
  RINGBUF_QUERY,
  STACK_BUCKET,
  STACK_DEPTH,
  STACK_FLAG,
  TASK,
  UPDATE_FLAG,
  USER_ADDRESS_END,
  USER_RINGBUF_SAMPLES,
  WORKER,
  REDIRECT_REFUSED: ~BigInt(REDIRECT.INGRESS),
  /** flags that the helpers have not, in 64 bits */
  STACK_REFUSED: ~BigInt(STACK_FLAG.SKIP_MASK | STACK_FLAG.USER_STACK | STACK_FLAG.USER_BUILD_ID),
  STACKID_REFUSED: ~BigInt(
    STACK_FLAG.SKIP_MASK | STACK_FLAG.USER_STACK | STACK_FLAG.FAST_STACK_CMP | STACK_FLAG.REUSE_STACKID,
  ),
  STORAGE: STORAGE_ID,
  ATOMIC: isa.ATOMIC,
  RUNTIME_ATOMIC_LOCK: NULL_GUARD_BYTES + RUNTIME.atomicLock,
  RUNTIME_SKB_DATA: NULL_GUARD_BYTES + RUNTIME.skbData,
  RUNTIME_SKB_LENGTH: NULL_GUARD_BYTES + RUNTIME.skbLength,
  RUNTIME_SKB_FRAGMENTED: NULL_GUARD_BYTES + RUNTIME.skbFragmented,
  RUNTIME_XDP_DATA: NULL_GUARD_BYTES + RUNTIME.xdpData,
  RUNTIME_XDP_DATA_END: NULL_GUARD_BYTES + RUNTIME.xdpDataEnd,
  RUNTIME_STRICT: NULL_GUARD_BYTES + RUNTIME.strict,
  RUNTIME_TIMED: NULL_GUARD_BYTES + RUNTIME.timed,
  RUNTIME_THREADS: NULL_GUARD_BYTES + RUNTIME.threads,
  // a map's private words, as offsets in its descriptor
  ARRAY: inDescriptor(MAP_PRIVATE.array),
  HASH: inDescriptor(MAP_PRIVATE.hash),
  RINGBUF: inDescriptor(MAP_PRIVATE.ringbuf),
  USER_RINGBUF: inDescriptor(MAP_PRIVATE.userRingbuf),
  PERF_ARRAY: inDescriptor(MAP_PRIVATE.perfEventArray),
  PROG_ARRAY: inDescriptor(MAP_PRIVATE.progArray),
  STACKS: inDescriptor(MAP_PRIVATE.stackTrace),
  SK_BUFF: offsets(CTX.sched_cls.fields),
  SK_BUFF_BYTES: CTX.sched_cls.size,
  XDP_MD: offsets(CTX.xdp_md.fields),
  XDP_MD_BYTES: CTX.xdp_md.size,
  DYNPTR_TYPE_SHIFT: DYNPTR_BITS.typeShift,
  DYNPTR_RDONLY: DYNPTR_BITS.rdonly,
  DYNPTR_LARGEST: DYNPTR_BITS.largest,
  /** bytes of a scratch buffer (WORKER.scratchValue) */
  DYNPTR_CHUNK: 256,
  RING_BUSY: RING.busy,
  RING_DISCARD: RING.discard,
  RING_LENGTH_MASK: ~(RING.busy | RING.discard) >>> 0,
  RING_DATA_PAGE: RING.data / RING.consumer,
  RING_PAGE_BITS: RING.pageBits,
  RING_PAGE_MASK: 2 ** RING.pageBits - 1,
  /** Kernel: RINGBUF_MAX_RECORD_SZ */
  RINGBUF_MAX_RECORD: 0xffff_ffff >>> 2,
  /** fields of 8 bytes */
  PERF_SAMPLE_FIELDS: Object.values(PERF_SAMPLE).reduce((bits, bit) => bits | bit, 0) & ~PERF_SAMPLE.RAW,
  /** what a plain record has at most, beside its bytes, are a time and a CPU; and so many bytes */
  PERF_SAMPLE_RARE: ~(PERF_SAMPLE.TIME | PERF_SAMPLE.CPU),
  PERF_PLAIN_BYTES: 0xf000,
  PERF_LOST_BYTES,
  /** misc and size of a PERF_RECORD_LOST's header */
  PERF_LOST_SIZE_WORD: PERF_LOST_BYTES << 16,
  /** flags that no packet output has */
  PERF_PACKET_REFUSED: ~(PERF_OUTPUT.INDEX_MASK | PERF_OUTPUT.CTXLEN_MASK),
};

function inDescriptor(words: Readonly<Record<string, number>>): Words {
  return Object.fromEntries(Object.entries(words).map(([name, offset]) => [name, MAP.private + offset]));
}

function offsets(fields: readonly { readonly name: string; readonly offset: number }[]): Words {
  return Object.fromEntries(fields.map((field) => [field.name, field.offset]));
}

/** Replaces every `{…}` in the text. Throws where a name is in no table. */
export function expandConstants(text: string, file: string): string {
  return text.replace(/\{([-~]?)([A-Za-z_0-9]+)(?:\.(\w+))?(?:\+(\d+))?\}/g, (whole, sign, table, word, plus) => {
    const entry = CONSTANTS[table as string];
    const value = word === undefined ? entry : typeof entry === "object" ? entry[word as string] : undefined;
    if (typeof value !== "number" && typeof value !== "bigint") throw new Error(`${file}: unknown constant ${whole}`);
    const sum = BigInt(value) + BigInt(plus ?? 0);
    return String(sign === "-" ? -sum : sign === "~" ? ~sum : sum);
  });
}
