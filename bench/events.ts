/**
 * The events that the workloads run over: 16,384 of 64 bytes (struct event in bench/workloads/workloads.bpf.c), the same for
 * every engine and on every machine.
 */

export const EVENT_COUNT = 16_384;
export const EVENT_BYTES = 64;
/** distinct pids, and distinct comms */
const KEYS = 1024;

/** All events, one behind the other. */
export function generateEvents(): Uint8Array {
  const bytes = new Uint8Array(EVENT_COUNT * EVENT_BYTES);
  const view = new DataView(bytes.buffer);
  const random = xorshift(0x2545f491);
  for (let i = 0; i < EVENT_COUNT; i++) {
    const at = i * EVENT_BYTES;
    const pid = 1000 + (random() % KEYS);
    view.setUint32(at + 8, pid, true);
    view.setUint32(at + 12, random(), true);
    view.setBigUint64(at + 16, 1_000_000_000n + BigInt(i) * 730n, true);
    view.setBigUint64(at + 24, BigInt(random() >>> (random() & 31)), true);
    new TextEncoder().encodeInto(`task-${pid}`, bytes.subarray(at + 32, at + 47));
    view.setBigUint64(at + 48, BigInt(random()), true);
    view.setBigUint64(at + 56, BigInt(random()), true);
  }
  return bytes;
}

function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
