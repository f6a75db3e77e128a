/**
 * Blocks of pcapng: type, length, body, length once more; bodies end in options { code u16, length u16, value, padding to 4 }.
 * Source: draft-ietf-opsawg-pcapng.
 */
import type { BlockWriter } from "../blocks.ts";

const BLOCK = { SECTION: 0x0a0d_0d0a, INTERFACE: 1, STATISTICS: 5, PACKET: 6 } as const;
const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;

/** Codes of options; 1 means the same in every block, the others belong to one kind of block. */
export const OPTION = {
  comment: 1,
  section: { application: 4 },
  interface: { name: 2, description: 3, timeResolution: 9 },
  packet: { flags: 2, dropped: 4, verdict: 7 },
  statistics: { received: 4, dropped: 5 },
} as const;

export interface BlockOption {
  readonly code: number;
  readonly value: Uint8Array;
}

const ENCODER = new TextEncoder();
/** Options longer than this do not fit their length word. */
const OPTION_BYTES_MAX = 0xffff;

/** UTF-8, cut where it is too long for an option. */
export function textOption(code: number, text: string): BlockOption {
  const value = ENCODER.encode(text);
  if (value.length <= OPTION_BYTES_MAX) return { code, value };
  let end = OPTION_BYTES_MAX - 3;
  // not inside a character
  while ((value[end]! & 0xc0) === 0x80) end--;
  return { code, value: Uint8Array.of(...value.subarray(0, end), ...ENCODER.encode("…")) };
}
export const u32Option = (code: number, value: number): BlockOption => ({
  code,
  value: new Uint8Array(Uint32Array.of(value).buffer),
});
export const u64Option = (code: number, value: bigint): BlockOption => ({
  code,
  value: new Uint8Array(BigUint64Array.of(value).buffer),
});

export function writeSection(blocks: BlockWriter, options: readonly BlockOption[]): void {
  writeBlock(blocks, BLOCK.SECTION, 16, options, (view, at) => {
    view.setUint32(at, BYTE_ORDER_MAGIC, true);
    // version 1.0
    view.setUint16(at + 4, 1, true);
    // length of the section: not known
    view.setBigInt64(at + 8, -1n, true);
  });
}

/** Interfaces are numbered in their order, from 0. */
export function writeInterface(blocks: BlockWriter, linkType: number, options: readonly BlockOption[]): void {
  writeBlock(blocks, BLOCK.INTERFACE, 8, options, (view, at) => view.setUint16(at, linkType, true));
}

export interface Packet {
  readonly interfaceId: number;
  readonly time: bigint;
  readonly data: Uint8Array;
  /** more than there is in `data`: the packet was cut */
  readonly originalBytes: number;
}

export function writePacket(blocks: BlockWriter, packet: Packet, options: readonly BlockOption[]): void {
  const { interfaceId, time, data, originalBytes } = packet;
  writeBlock(blocks, BLOCK.PACKET, 20 + padded(data.length), options, (view, at) => {
    view.setUint32(at, interfaceId, true);
    writeTime(view, at + 4, time);
    view.setUint32(at + 12, data.length, true);
    view.setUint32(at + 16, originalBytes, true);
    blocks.bytes.set(data, at + 20);
  });
}

export function writeStatistics(
  blocks: BlockWriter,
  interfaceId: number,
  time: bigint,
  options: readonly BlockOption[],
): void {
  writeBlock(blocks, BLOCK.STATISTICS, 12, options, (view, at) => {
    view.setUint32(at, interfaceId, true);
    writeTime(view, at + 4, time);
  });
}

/** Times are two words, the high one first. */
function writeTime(view: DataView, at: number, time: bigint): void {
  view.setUint32(at, Number(time >> 32n), true);
  view.setUint32(at + 4, Number(time & 0xffff_ffffn), true);
}

function writeBlock(
  blocks: BlockWriter,
  type: number,
  bodyBytes: number,
  options: readonly BlockOption[],
  fill: (view: DataView, at: number) => void,
): void {
  const optionBytes = options.reduce((sum, { value }) => sum + 4 + padded(value.length), options.length === 0 ? 0 : 4);
  const length = 12 + bodyBytes + optionBytes;
  const start = blocks.begin(length);
  const { view, bytes } = blocks;
  view.setUint32(start, type, true);
  view.setUint32(start + 4, length, true);
  fill(view, start + 8);
  let at = start + 8 + bodyBytes;
  for (const { code, value } of options) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(start + length - 4, length, true);
}

const padded = (length: number): number => (length + 3) & ~3;
