/** The BPF ring buffer: reserve, submit, discard, output, query, and reading it. */
import { Buffer } from "node:buffer";
import { beforeEach, describe, expect, it } from "vitest";
import { toHex } from "../../base/index.ts";
import { createMap, type RingbufMap } from "../../runtime/maps/index.ts";
import { openReader, RingbufReader } from "../../runtime/rings/index.ts";
import { ERRNO, MAP, MAP_PRIVATE, RING, RINGBUF_FLAG, RINGBUF_QUERY, WORKER } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";
import { makeWorld, place, type TestWorld } from "../maps/world.ts";

const SIZE = 4096;
const { NO_WAKEUP, FORCE_WAKEUP } = RINGBUF_FLAG;

let world: TestWorld;
let map: RingbufMap;
let source: number;

beforeEach(() => {
  world = makeWorld();
  map = createMap(world, mapSpec({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: SIZE })) as RingbufMap;
  source = place(
    world,
    new Uint8Array(SIZE).map((_, i) => i & 0xff),
  );
});

const reserve = (size: number) => world.library.ringbuf_reserve(map.address, size, 0n) >>> 0;
const submit = (sample: number, flags = 0) => world.library.bpf_ringbuf_submit(sample, BigInt(flags));
const discard = (sample: number, flags = 0) => world.library.bpf_ringbuf_discard(sample, BigInt(flags));
const output = (size: number, flags = 0) => world.library.ringbuf_output(map.address, source, size, BigInt(flags));
const query = (flag: number) => world.library.ringbuf_query(map.address, BigInt(flag));
const wakeups = () => world.arena.view.getUint32(map.address + MAP.private + MAP_PRIVATE.ringbuf.wake, true);

/** Lengths of all records that are there. */
function drained(reader: RingbufReader): number[] {
  const lengths: number[] = [];
  reader.drain((address, length) => {
    const { bytes } = world.arena;
    const written = Buffer.from(bytes.buffer, source, length);
    expect(Buffer.compare(Buffer.from(bytes.buffer, address, length), written)).toBe(0);
    lengths.push(length);
  });
  return lengths;
}

describe("ring buffer", () => {
  it("writes the kernel's header: length with busy and discard bits, pages back to the ring", () => {
    const { view } = world.arena;
    const first = reserve(13);
    expect(first).toBe(map.ring + RING.data + 8);
    expect(view.getUint32(first - 8, true)).toBe(13 + RING.busy);
    expect(view.getUint32(first - 4, true)).toBe(3);
    submit(first);
    expect(view.getUint32(first - 8, true)).toBe(13);
    const second = reserve(8);
    expect(second).toBe(first + 24);
    discard(second);
    expect(view.getUint32(second - 8, true)).toBe(8 + RING.discard);
  });

  it("holds the bytes that kernel 6.18 wrote for the same program", () => {
    world.arena.bytes.fill(0x41, source, source + 40);
    expect(output(13)).toBe(0);
    const discarded = reserve(21);
    world.arena.bytes.fill(0x42, discarded, discarded + 21);
    discard(discarded);
    const submitted = reserve(1000);
    world.arena.bytes.fill(0x43, submitted, submitted + 8);
    submit(submitted);
    expect(reserve(4080)).toBe(0);
    expect([output(40, 4), output(40, 1)]).toEqual([-ERRNO.EINVAL, 0]);
    expect([0, 1, 2, 3].map(query)).toEqual([1112n, 4096n, 0n, 1112n]);
    const data = map.ring + RING.data;
    const hex = (from: number, to: number) => toHex(world.arena.bytes.slice(data + from, data + to));
    expect(hex(0, 72)).toBe(
      `0d00000003000000${"41".repeat(13)}0000001500004003000000${"42".repeat(21)}000000e803000003000000${"43".repeat(8)}`,
    );
    expect(hex(1064, 1112)).toBe(`2800000003000000${"41".repeat(40)}`);
  });

  it("counts pages in pg_off", () => {
    const big = createMap(
      world,
      mapSpec({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 4 * SIZE }),
    ) as RingbufMap;
    world.library.bpf_ringbuf_submit(world.library.ringbuf_reserve(big.address, 5000, 0n), 0n);
    const second = world.library.ringbuf_reserve(big.address, 100, 0n);
    expect(world.arena.view.getUint32(second - 4, true)).toBe(4);
    world.library.bpf_ringbuf_submit(second, 0n);
    const reader = new RingbufReader(big);
    expect(reader.drain(() => {})).toBe(2);
  });

  it("takes records up to the ring's size less one byte, and refuses flags and what does not fit", () => {
    expect(world.library.ringbuf_reserve(map.address, 8, 1n)).toBe(0);
    expect(reserve(SIZE)).toBe(0);
    expect(reserve(SIZE - 8)).toBe(0);
    expect(reserve(0xffff_fff0)).toBe(0);
    const largest = reserve(SIZE - 16);
    expect(largest).not.toBe(0);
    expect(reserve(0)).toBe(0);
    submit(largest);
    expect(output(8)).toBe(-ERRNO.EAGAIN);
    expect(map.dropped).toBe(4n);
    expect(output(8, 4)).toBe(-ERRNO.EINVAL);
  });

  it("answers queries as BPF_RB_* ask", () => {
    expect(query(RINGBUF_QUERY.RING_SIZE)).toBe(BigInt(SIZE));
    output(20);
    const busy = reserve(100);
    expect(query(RINGBUF_QUERY.AVAIL_DATA)).toBe(32n + 112n);
    expect(query(RINGBUF_QUERY.PROD_POS)).toBe(32n + 112n);
    drained(new RingbufReader(map));
    expect(query(RINGBUF_QUERY.CONS_POS)).toBe(32n);
    submit(busy);
    expect(query(9)).toBe(0n);
  });

  it("hands out records in order, skips discarded ones and stops at a busy one", () => {
    const reader = new RingbufReader(map);
    output(1);
    discard(reserve(50));
    output(3);
    const busy = reserve(4);
    output(5);
    expect(drained(reader)).toEqual([1, 3]);
    world.arena.bytes.copyWithin(busy, source, source + 4);
    submit(busy);
    expect(drained(reader)).toEqual([4, 5]);
    expect(drained(reader)).toEqual([]);
  });

  it("keeps every record contiguous across the end of the ring", () => {
    const reader = new RingbufReader(map);
    let total = 0;
    for (let step = 0; step < 3000; step++) {
      const size = (step * 37) % 1200;
      expect(output(size)).toBe(0);
      if (step % 3 === 2) total += drained(reader).length;
    }
    total += drained(reader).length;
    expect(total).toBe(3000);
    expect(query(RINGBUF_QUERY.CONS_POS)).toBe(query(RINGBUF_QUERY.PROD_POS));
    expect(map.dropped).toBe(0n);
  });

  it("does not let a busy record be overtaken by more than the ring's size", () => {
    const reader = new RingbufReader(map);
    const busy = reserve(8);
    let written = 0;
    while (output(100) === 0) written += 1;
    // nothing can be read behind a busy record, so nothing can be written either
    expect(drained(reader)).toEqual([]);
    expect(output(100)).toBe(-ERRNO.EAGAIN);
    world.arena.bytes.copyWithin(busy, source, source + 8);
    submit(busy);
    expect(drained(reader).length).toBe(1 + written);
    expect(output(100)).toBe(0);
  });

  it("wakes when the reader has come to this record, or is told to", () => {
    output(8);
    expect(wakeups()).toBe(1);
    output(8);
    expect(wakeups()).toBe(1);
    output(8, FORCE_WAKEUP);
    expect(wakeups()).toBe(2);
    drained(new RingbufReader(map));
    output(8, NO_WAKEUP);
    expect(wakeups()).toBe(2);
  });

  it("asks the batch driver to return when more than half is full", () => {
    const yielded = () => world.arena.view.getUint32(world.worker + WORKER.yield, true);
    output(SIZE / 2 - 64);
    expect(yielded()).toBe(0);
    expect(map.moreThanHalfFull).toBe(false);
    output(100);
    expect(yielded()).toBe(1);
    expect(map.moreThanHalfFull).toBe(true);
  });

  it("needs no longer tail than the largest record", () => {
    const small = createMap(world, mapSpec({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: SIZE }), {
      largestRecordBytes: 64,
    }) as RingbufMap;
    expect(world.library.ringbuf_reserve(small.address, 65, 0n)).toBe(0);
    const reader = new RingbufReader(small);
    for (let step = 0; step < 200; step++) {
      expect(world.library.ringbuf_output(small.address, source, 64, 0n)).toBe(0);
      expect(reader.drain(() => {})).toBe(1);
    }
  });

  it("reports what was dropped", () => {
    const losses: bigint[] = [];
    const reader = new RingbufReader(map, { onLost: (count) => losses.push(count) });
    while (output(1000) === 0);
    output(1000);
    reader.drain(() => {});
    expect(losses).toEqual([2n]);
    expect(reader.lost).toBe(2n);
    reader.drain(() => {});
    expect(losses).toEqual([2n]);
  });

  it("counts the record as read whose callback threw", () => {
    const reader = new RingbufReader(map);
    output(1);
    output(2);
    expect(() =>
      reader.drain(() => {
        throw new Error("stop");
      }),
    ).toThrow("stop");
    expect(drained(reader)).toEqual([2]);
  });

  it("lets a callback write, drain and close", () => {
    const reader = openReader(map);
    output(1);
    let count = 0;
    reader.drain((_address, length) => {
      count += 1;
      expect(reader.drain(() => {})).toBe(0);
      if (length < 4) output(length + 1);
    });
    expect(count).toBe(4);
    output(1);
    output(2);
    expect(reader.drain(() => map.close())).toBe(1);
    expect(reader.drain(() => {})).toBe(0);
  });
});
