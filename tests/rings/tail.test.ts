/** How long a ring's tail is: as its programs' largest record where that is known, and longer when another object needs it. */
import { describe, expect, it } from "vitest";
import { createRuntime, openReader } from "../../runtime/index.ts";
import type { RingbufMap } from "../../runtime/maps/index.ts";
import { MAP, MAP_PRIVATE } from "../../spec/index.ts";
import { compile } from "../runtime/compile.ts";

const MAPS = `
; map: ring ringbuf max=4096
; map: data array key=4 value=2048 max=1`;
const reserving = (name: string, bytes: number): string => `
; prog: tracepoint name=${name} target=test/event section=tp/test/event${MAPS}
  r1 = map[ring] ll
  r2 = ${bytes}
  r3 = 0
  call bpf_ringbuf_reserve
  if r0 == 0 goto out
  *(u64 *)(r0 + 0) = ${bytes}
  r1 = r0
  r2 = 0
  call bpf_ringbuf_submit
out:
  r0 = 0
  exit
`;
/** Of as many bytes as the payload says. */
const OUTPUT = `
; prog: tracepoint name=output target=test/event section=tp/test/event${MAPS}
  r3 = *(u32 *)(r1 + 8)
  if r3 > 2048 goto out
  r1 = map[ring] ll
  r2 = map[data][0] ll
  r4 = 0
  call bpf_ringbuf_output
out:
  r0 = 0
  exit
`;

const tailOf = (map: RingbufMap): number =>
  map.world.arena.view.getUint32(map.address + MAP.private + MAP_PRIVATE.ringbuf.tailBytes, true);

describe("the tail of a ring", () => {
  it("is as long as the largest record", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(await compile(reserving("small", 24), reserving("large", 100)));
    expect(tailOf(object.maps.ring as RingbufMap)).toBe(112);
    const variable = await runtime.link(await compile(reserving("small", 24), OUTPUT));
    expect(tailOf(variable.maps.ring as RingbufMap)).toBe(4096);
  });

  it.each([0, 2])("grows for another object, with what is unread (%i workers)", async (workers) => {
    await using runtime = createRuntime({ workers });
    const first = await runtime.link(await compile(reserving("small", 24)));
    const ring = first.maps.ring as RingbufMap;
    const reader = openReader(ring);
    const hook = first.programs.small!.attach().hook;
    for (let n = 0; n < 200; n++) {
      hook.fire(new Uint8Array(16));
      if (n < 190) reader.drain(() => {});
    }
    const second = await runtime.link(await compile(reserving("large", 2000)), { reuse: { ring } });
    expect(tailOf(ring)).toBe(2008);
    second.programs.large!.attach();
    const lengths: number[] = [];
    const note = (address: number, length: number): void => {
      lengths.push(length);
      expect(runtime.world.view.getUint32(address, true)).toBe(length);
    };
    hook.fire(new Uint8Array(16));
    reader.drain(note);
    expect(lengths).toEqual([...Array.from({ length: 11 }, () => 24), 2000]);
    for (let n = 0; n < 50; n++) {
      hook.fire(new Uint8Array(16));
      reader.drain(note);
    }
    expect([lengths.length, reader.lost]).toEqual([112, 0n]);
  });
});
