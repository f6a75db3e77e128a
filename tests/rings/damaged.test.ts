/**
 * Headers that no record has. Programs on other threads can make them, in the kernel as here: a slice of a dynptr may be
 * written after its record was submitted, when the reader is past it and another record's header lies there.
 */
import { describe, expect, it } from "vitest";
import { createRuntime, openReader } from "../../runtime/index.ts";
import type { RingbufMap } from "../../runtime/maps/index.ts";
import { RING } from "../../spec/index.ts";
import { compile } from "../runtime/compile.ts";

const WRITER = `
; prog: tracepoint name=writer target=test/event section=tp/test/event
; map: ring ringbuf max=4096
  r1 = map[ring] ll
  r2 = 16
  r3 = 0
  call bpf_ringbuf_reserve
  if r0 == 0 goto out
  *(u64 *)(r0 + 0) = 1
  r1 = r0
  r2 = 0
  call bpf_ringbuf_submit
out:
  r0 = 0
  exit
`;

describe("a damaged header", () => {
  it.each([
    ["reaches beyond what was written", 4000],
    ["reaches beyond the ring", 0x3fff_fff0],
    ["reaches beyond it and is given up", (RING.discard | 0x2fff_fff8) >>> 0],
  ])("that %s is told, and the reader goes on behind", async (_, header) => {
    await using runtime = createRuntime();
    const object = await runtime.link(await compile(WRITER));
    const ring = object.maps.ring as RingbufMap;
    const { hook } = object.programs.writer!.attach();
    const reader = openReader(ring);
    const drain = (): number => reader.drain((_address, length) => expect(length).toBe(16));
    const write = (times: number): void => {
      for (let time = 0; time < times; time++) hook.fire(new Uint8Array(8));
    };
    write(5);
    const recordBytes = 16 + RING.headerBytes;
    ring.world.arena.view.setUint32(ring.rings[0]! + RING.data + 2 * recordBytes, header, true);
    expect(drain).toThrow(expect.objectContaining({ code: "RING_DAMAGED" }));
    expect(drain()).toBe(0);
    write(500); // some find no room
    expect(drain()).toBe(Math.floor(4096 / recordBytes));
    write(3);
    expect(drain()).toBe(3);
  });
});
