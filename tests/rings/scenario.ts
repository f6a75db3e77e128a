/**
 * Steps that a kernel and bpfjit take alike, for comparison of what lies in their rings. A test-run XDP program writes: its
 * packet says what. Answers are numbers and records, none of which depends on the machine: times are masked.
 */
import { createHash } from "node:crypto";

export interface BufferStep {
  readonly slot: number;
  /** default: the slot */
  readonly cpu?: number;
  readonly pages: number;
  readonly sampleType?: number;
  readonly wakeupEvents?: number;
  readonly wakeupBytes?: number;
  readonly overwrite?: boolean;
}

export type Step =
  | { readonly buffer: BufferStep }
  /** bpf_perf_event_output(flags, size) behind `packet` bytes of data, of which `linear` are no fragments (default all) */
  | {
      readonly output: {
        readonly flags: bigint;
        readonly size: number;
        readonly packet?: number;
        readonly linear?: number;
      };
    }
  /** bpf_ringbuf_*: 0 output, 1 submit 24 bytes, 2 discard 1000, 3 query; through a dynptr of `size` bytes: 4 submit, 5 discard */
  | { readonly ring: { readonly call: 0 | 1 | 2 | 3 | 4 | 5; readonly flags: bigint; readonly size: number } }
  /** whether a reader of the buffer was woken since the last step of this kind */
  | { readonly seen: true }
  | { readonly dump: true }
  | { readonly tail: number }
  | { readonly ringDump: true }
  | { readonly consume: number };

export interface Scenario {
  readonly name: string;
  readonly steps: readonly Step[];
}

export const CURRENT_CPU = 0xffff_ffffn;
export const RING_BYTES = 4096;
export const DATA_BYTES = 147_456;

const MAPS = `
; map: events perf_event_array key=4 value=4 max=4
; map: data array key=4 value=${DATA_BYTES} max=1
; map: ring ringbuf key=0 value=0 max=${RING_BYTES}`;
/** r9: flags, r8: size, r7: call number */
const READ_PACKET = `
  r6 = r1
  r7 = *(u32 *)(r1 + 0)
  r8 = *(u32 *)(r1 + 4)
  r2 = r7
  r2 += 16
  if r2 > r8 goto bad
  r9 = *(u64 *)(r7 + 0)
  r8 = *(u32 *)(r7 + 8)
  r7 = *(u32 *)(r7 + 12)
  if r8 > ${DATA_BYTES} goto bad`;

export const PERF_PROGRAM = `
; prog: xdp name=perf section=xdp.frags${MAPS}${READ_PACKET}
  r4 = map[data][0] ll
  r1 = r6
  r2 = map[events] ll
  r3 = r9
  r5 = r8
  call bpf_perf_event_output
  exit
bad:
  r0 = 77
  exit
`;

export const RING_PROGRAM = `
; prog: xdp name=ring section=xdp.frags${MAPS}${READ_PACKET}
  r1 = map[ring] ll
  if r7 == 1 goto submit
  if r7 == 2 goto discard
  if r7 == 3 goto query
  if r7 > 3 goto dynptr
  r2 = map[data][0] ll
  r3 = r8
  r4 = r9
  call bpf_ringbuf_output
  exit
submit:
  r2 = 24
  r3 = 0
  call bpf_ringbuf_reserve
  if r0 == 0 goto bad
  *(u64 *)(r0 + 0) = 7
  *(u64 *)(r0 + 8) = 8
  *(u64 *)(r0 + 16) = 9
  r1 = r0
  r2 = r9
  call bpf_ringbuf_submit
  r0 = 0
  exit
discard:
  r2 = 1000
  r3 = 0
  call bpf_ringbuf_reserve
  if r0 == 0 goto bad
  r1 = r0
  r2 = r9
  call bpf_ringbuf_discard
  r0 = 0
  exit
query:
  r2 = r9
  call bpf_ringbuf_query
  exit
dynptr:
  r2 = r8
  r3 = 0
  r4 = r10
  r4 += -16
  call bpf_ringbuf_reserve_dynptr
  *(u64 *)(r10 - 24) = r0
  r1 = r10
  r1 += -16
  r2 = 0
  r3 = map[data][0] ll
  r4 = 21
  r5 = 0
  call bpf_dynptr_write
  r1 = r10
  r1 += -16
  r2 = r9
  if r7 == 5 goto dynptr_discard
  call bpf_ringbuf_submit_dynptr
  r0 = *(u64 *)(r10 - 24)
  exit
dynptr_discard:
  call bpf_ringbuf_discard_dynptr
  r0 = *(u64 *)(r10 - 24)
  exit
bad:
  r0 = 77
  exit
`;

/** What a step that runs a program gives it. */
export function packetOf(step: Step): { packet: Uint8Array; linear: number } {
  const words =
    "output" in step ? { ...step.output, call: 0 } : "ring" in step ? { ...step.ring, packet: 64, linear: 64 } : null;
  if (words === null) throw new Error("a step that runs nothing");
  const packet = new Uint8Array(words.packet ?? 64).map((_, index) => index * 7);
  const view = new DataView(packet.buffer);
  view.setBigUint64(0, words.flags, true);
  view.setUint32(8, words.size, true);
  view.setUint32(12, words.call, true);
  return { packet, linear: words.linear ?? packet.length };
}

/** Sample fields before the time, by their bits. */
const BEFORE_TIME = [1 << 16, 1 << 0, 1 << 1];
const TIME = 1 << 2;

/** A record as text: whole where it is short, else its length and a hash. The time is masked. */
export function recordText(bytes: Uint8Array, sampleType: number): string {
  const copy = bytes.slice();
  const offset = 8 + 8 * BEFORE_TIME.filter((bit) => (sampleType & bit) !== 0).length;
  if ((sampleType & TIME) !== 0 && copy[0] === 9) copy.fill(0, offset, offset + 8);
  const hex = Buffer.from(copy).toString("hex");
  return copy.length <= 96 ? hex : `${copy.length}:${createHash("sha256").update(copy).digest("hex").slice(0, 16)}`;
}

/** The records between two positions; `bytesAt` gives a record's bytes by its position. */
export function perfRecords(
  from: bigint,
  to: bigint,
  sampleType: number,
  bytesAt: (position: bigint, length: number) => Uint8Array,
): string[] {
  const records: string[] = [];
  for (let at = from; at < to; ) {
    const head = bytesAt(at, 8);
    const length = new DataView(head.buffer, head.byteOffset).getUint16(6, true);
    if (length === 0 || at + BigInt(length) > to) {
      records.push("…");
      break;
    }
    records.push(recordText(bytesAt(at, length), sampleType));
    at += BigInt(length);
  }
  return records;
}

const RING_FLAGS = 0xc000_0000;
/** Records of a BPF ring, headers included. */
export function ringRecords(
  from: bigint,
  to: bigint,
  bytesAt: (position: bigint, length: number) => Uint8Array,
): string[] {
  const records: string[] = [];
  for (let at = from; at < to; ) {
    const head = bytesAt(at, 8);
    const word = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
    const length = word & ~RING_FLAGS;
    // what a discarded record holds is what was there before
    records.push(recordText(bytesAt(at, (word & RING_FLAGS) === 0 ? 8 + length : 8), 0));
    at += BigInt((8 + length + 7) & ~7);
  }
  return records;
}
