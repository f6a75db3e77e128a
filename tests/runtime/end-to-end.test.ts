/** The whole way: text assembly, verifier, lowering, link, run. */
import { describe, expect, it } from "vitest";
import { createRuntime } from "../../runtime/index.ts";
import { compileWith } from "./compile.ts";

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: unknown): bigint => Buffer.from(value as Uint8Array).readBigUInt64LE(0);

const COUNT_BY_KEY = `
; prog: tracepoint name=count section=tp/test/event target=test/event
; map: counts hash key=4 value=8 max=16
  r2 = *(u32 *)(r1 + 8)
  *(u32 *)(r10 - 4) = r2
  *(u64 *)(r10 - 16) = 0
  r2 = r10
  r2 += -4
  r1 = map[counts] ll
  call bpf_map_lookup_elem
  if r0 != 0 goto found
  r1 = map[counts] ll
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = 1
  call bpf_map_update_elem
  r1 = map[counts] ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
found:
  r1 = 1
  lock *(u64 *)(r0 + 0) += r1
out:
  r0 = 7
  exit
`;

function payload(key: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(8, key, true);
  return bytes;
}

describe("end to end", () => {
  it("counts events in a hash map", async () => {
    await using runtime = createRuntime();
    await using object = await runtime.link(await compileWith({}, COUNT_BY_KEY));
    using link = object.programs.count!.attach();
    const hook = runtime.hooks.get("tracepoint", "test/event");
    for (const key of [5, 9, 5, 5]) hook.fire(payload(key));
    expect(u64(object.maps.counts!.lookup(u32(5)))).toBe(3n);
    expect(u64(object.maps.counts!.lookup(u32(9)))).toBe(1n);
    expect(object.maps.counts!.lookup(u32(1))).toBeNull();
    expect(link.runs).toBe(4);
    expect(object.programs.count!.testRun({ ctxIn: payload(9), repeat: 1000 })).toMatchObject({
      retval: 7,
      repeat: 1000,
    });
    expect(u64(object.maps.counts!.lookup(u32(9)))).toBe(1001n);
    expect(link.runs).toBe(4);
  });
});
