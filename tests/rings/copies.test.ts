/**
 * A record is copied once, from where it is to its slot, and not at all where the program writes into the slot. Shown with a
 * build of the library that counts the bytes it copies; that the count would notice a second copy is shown with a build
 * that makes one.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { createMap, type PerfEventArrayMap, type RingbufMap } from "../../runtime/maps/index.ts";
import { PerfReader } from "../../runtime/rings/index.ts";
import { placeFragments, withFragmentList } from "../../runtime/test-run/fragments.ts";
import { CPU, CTX, EVENT } from "../../spec/index.ts";
import { assembleLibrary, libraryText } from "../../wasm/build.ts";
import { mapSpec } from "../maps/spec.ts";
import { makeWorld, place, type TestWorld } from "../maps/world.ts";

const CURRENT_CPU = 0xffff_ffffn;
const PACKET = new Uint8Array(9000).map((_, index) => (index * 11) & 0xff);

const COUNTER = `
(global $copied (export "copied") (mut i32) (i32.const 0))
(func $copy (param $to i32) (param $from i32) (param $bytes i32)
  (global.set $copied (i32.add (global.get $copied) (local.get $bytes)))
  (call $copy_uncounted (local.get $to) (local.get $from) (local.get $bytes)))
`;
/** Every copy of a length known at run time, memory.copy itself included. */
function counting(text: string): string {
  const [before, copy, after] = text.split(/(\(func \$copy [\s\S]*?\n\n)/);
  const others = (part: string): string => part.replaceAll("(memory.copy", "(call $copy");
  return `${others(before!)}${copy!.replace("$copy ", "$copy_uncounted ")}${COUNTER}${others(after!)}`;
}
const PERF_COPY = "(call $copy (local.get $at) (local.get $data) (local.get $size))";
const FRAGMENT_COPY = "(call $copy (local.get $to) (i32.load offset=";
/** The library as someone might write it who first gathers the fragments and then copies them. */
function copyingTwice(text: string): string {
  expect(text.split(PERF_COPY).length).toBe(3);
  expect(text.split(FRAGMENT_COPY).length).toBe(2);
  return text
    .replaceAll(PERF_COPY, `${PERF_COPY}\n${PERF_COPY}`)
    .replace(FRAGMENT_COPY, `(call $copy (local.get $to) (local.get $to) (local.get $part))\n${FRAGMENT_COPY}`);
}

class Counted {
  readonly world: TestWorld;
  readonly perf: PerfEventArrayMap;
  readonly ring: RingbufMap;
  readonly #copied: WebAssembly.Global;

  constructor(bytes: Uint8Array) {
    const module = new WebAssembly.Module(bytes);
    let copied: WebAssembly.Global | undefined;
    const original = WebAssembly.Instance;
    // the library hands out its table's exports only: the counter is taken on the way
    class Watched extends original {
      constructor(...args: ConstructorParameters<typeof original>) {
        super(...args);
        copied = this.exports.copied as unknown as WebAssembly.Global;
      }
    }
    WebAssembly.Instance = Watched;
    this.world = makeWorld({}, module);
    WebAssembly.Instance = original;
    this.#copied = copied!;
    this.perf = createMap(
      this.world,
      mapSpec({ type: "perf_event_array", keySize: 4, valueSize: 4, maxEntries: 0 }),
    ) as PerfEventArrayMap;
    this.ring = createMap(
      this.world,
      mapSpec({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 65_536 }),
    ) as RingbufMap;
    this.perf.openBuffer(0);
    this.world.onCpu(0);
  }

  copied(action: () => unknown): number {
    const before = this.#copied.value as number;
    action();
    return (this.#copied.value as number) - before;
  }
}

/** A context whose packet is in three parts; `linear` bytes of it are in front. */
function packetContext({ arena, worker }: TestWorld, type: "xdp_md" | "sched_cls", linear: number): number {
  const spec = CTX[type];
  const parts = [PACKET.subarray(linear, linear + 4000), PACKET.subarray(linear + 4000)];
  const ctx = arena.allocate(withFragmentList(spec.size, parts), 64);
  const room = {
    bytes: arena.bytes,
    view: arena.view,
    allocate: (bytes: number, alignment: number) => arena.allocate(bytes, alignment),
    device: () => undefined,
  };
  const { eventFlags } = placeFragments(room, ctx + spec.size, parts);
  const data = arena.allocate(linear);
  arena.bytes.set(PACKET.subarray(0, linear), data);
  const at = (name: string): number => ctx + spec.fields.find((field) => field.name === name)!.offset;
  arena.view.setUint32(at("data"), data, true);
  arena.view.setUint32(at("data_end"), data + linear, true);
  const event = arena.view.getUint32(arena.view.getUint32(worker, true) + CPU.event, true);
  arena.view.setUint32(event + EVENT.flags, eventFlags, true);
  return ctx;
}

let counting1: Uint8Array;
let counting2: Uint8Array;

beforeAll(async () => {
  counting1 = await assembleLibrary(counting(libraryText()));
  counting2 = await assembleLibrary(counting(copyingTwice(libraryText())));
});

describe("bytes that are copied", () => {
  it("are the payload's, once, for every way to write a record", () => {
    const counted = new Counted(counting1);
    const { world, perf, ring } = counted;
    const { library } = world;
    const source = place(world, new Uint8Array(2048));
    for (const size of [0, 1, 16, 64, 255, 256, 257, 1500]) {
      expect(counted.copied(() => library.perf_event_output(0, perf.address, CURRENT_CPU, source, size))).toBe(size);
      expect(counted.copied(() => library.ringbuf_output(ring.address, source, size, 0n))).toBe(size);
      expect(
        counted.copied(() => library.bpf_perf_commit(library.perf_reserve(perf.address, size, CURRENT_CPU) >>> 0)),
      ).toBe(0);
      expect(
        counted.copied(() => library.bpf_ringbuf_submit(library.ringbuf_reserve(ring.address, size, 0n) >>> 0, 0n)),
      ).toBe(0);
    }
  });

  it("are the packet's too, once, where it is a list of fragments", () => {
    for (const type of ["xdp_md", "sched_cls"] as const) {
      const counted = new Counted(counting1);
      const { world, perf } = counted;
      const source = place(world, [1, 2, 3, 4, 5]);
      const ctx = packetContext(world, type, 100);
      const output = type === "xdp_md" ? world.library.perf_event_output_xdp : world.library.perf_event_output_skb;
      const reader = new PerfReader(perf);
      for (const more of [0, 1, 99, 100, 101, 4100, 4101, 8999, 9000]) {
        const flags = CURRENT_CPU | (BigInt(more) << 32n);
        expect(counted.copied(() => expect(output(ctx, perf.address, flags, source, 5)).toBe(0))).toBe(5 + more);
        reader.drain((address, length) => {
          const record = world.arena.bytes.slice(address, address + length);
          expect([...record.subarray(0, 5)]).toEqual([1, 2, 3, 4, 5]);
          expect(Buffer.compare(record.subarray(5, 5 + more), PACKET.subarray(0, more))).toBe(0);
        });
      }
      expect(output(ctx, perf.address, CURRENT_CPU | (9001n << 32n), source, 5)).toBe(-14);
    }
  });

  it("show a second copy", () => {
    const counted = new Counted(counting2);
    const { world, perf } = counted;
    const source = place(world, new Uint8Array(64));
    const ctx = packetContext(world, "xdp_md", 100);
    const output = world.library.perf_event_output_xdp;
    expect(counted.copied(() => output(ctx, perf.address, CURRENT_CPU, source, 64))).toBe(128);
    expect(counted.copied(() => output(ctx, perf.address, CURRENT_CPU | (9000n << 32n), source, 0))).toBe(9000 + 8900);
  });
});
