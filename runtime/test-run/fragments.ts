/**
 * Packets whose bytes are not all in one piece: what lies behind the first part is a list of fragments, which programs reach
 * through helpers only. Kernel: skb_shared_info.frags.
 */
import { EVENT_FLAG, FRAGMENT, FRAGMENTS, PAGE_BYTES } from "../../spec/index.ts";
import type { ContextRoom } from "./context.ts";

export interface PlacedFragments {
  /** bits of EVENT_FLAG */
  readonly eventFlags: number;
  readonly bytes: number;
  /** what they hold now */
  read(): Uint8Array[];
}

const NONE: PlacedFragments = { eventFlags: 0, bytes: 0, read: () => [] };

/** Bytes of a context of `size` bytes with its list of so many fragments. */
export const withFragmentList = (size: number, fragments: readonly Uint8Array[]): number =>
  fragments.length === 0 ? size : size + FRAGMENTS.list + fragments.length * FRAGMENT.size;

/** Writes the fragments and, behind the context that ends at `contextEnd`, their list. */
export function placeFragments(
  room: ContextRoom,
  contextEnd: number,
  fragments: readonly Uint8Array[],
): PlacedFragments {
  if (fragments.length === 0) return NONE;
  const total = fragments.reduce((sum, fragment) => sum + fragment.length, 0);
  const addresses = fragments.map((fragment) => {
    const address = room.allocate(fragment.length, 8);
    room.bytes.set(fragment, address);
    return address;
  });
  const { view } = room;
  view.setUint32(contextEnd + FRAGMENTS.count, fragments.length, true);
  view.setUint32(contextEnd + FRAGMENTS.bytes, total, true);
  addresses.forEach((address, index) => {
    const entry = contextEnd + FRAGMENTS.list + index * FRAGMENT.size;
    view.setUint32(entry + FRAGMENT.data, address, true);
    view.setUint32(entry + FRAGMENT.bytes, fragments[index]!.length, true);
  });
  return {
    eventFlags: EVENT_FLAG.fragments,
    bytes: total,
    read: () => addresses.map((address, index) => room.bytes.slice(address, address + fragments[index]!.length)),
  };
}

/** In pages, as the kernel's test run splits what does not fit in front. */
export function inPages(bytes: Uint8Array): Uint8Array[] {
  const pages: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) pages.push(bytes.subarray(at, at + PAGE_BYTES));
  return pages;
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
