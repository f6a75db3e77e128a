/** Packets as kernel objects: bpf_skb_output and bpf_xdp_output copy them into the perf buffer, once, behind the meta. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { kernelObjects, load } from "../../api/index.ts";
import { toHex } from "../../base/index.ts";
import { TARGET } from "./probes.ts";

describe("packets that programs of tracing are given", () => {
  it("follow the meta, up to their length", async () => {
    const path = fileURLToPath(new URL("fixtures/packets.bpf.o", import.meta.url));
    await using object = await load(path, TARGET);
    const kernel = kernelObjects(object.runtime, TARGET);
    const { hook } = object.program("on_packet").attach();
    const records: string[] = [];
    const reading = object.openRecords(({ data }) => records.push(toHex(data)));
    const results = (): unknown => {
      reading.drain();
      const value = object.map("packets.bss").raw.lookup(new Uint8Array(4)) as Uint8Array;
      const both = new BigInt64Array(value.slice().buffer);
      return [Number(both[0]), Number(both[1]), records.splice(0)];
    };
    const bytes = Uint8Array.from({ length: 32 }, (_, index) => index);
    const skb = kernel.sk_buff!({ data: bytes, len: 40, data_len: 8 });
    const data = skb.view.data as bigint;
    const xdp = kernel.xdp_buff!({ data, data_end: data + 32n });
    const meta = "6d657461";
    hook.fire([skb, xdp, 4]);
    expect(results()).toEqual([
      0,
      0,
      [`${meta}00010203`, `${meta}00010203`].map((hex) => expect.stringContaining(hex)),
    ]);
    hook.fire([skb, xdp, 32]);
    const whole = expect.stringContaining(meta + toHex(bytes));
    expect(results()).toEqual([0, 0, [whole, whole]]);
    hook.fire([skb, xdp, 0]);
    expect(results()).toMatchObject([0, 0, { length: 2 }]);
    // more than there is, and what is no packet of the arena
    hook.fire([skb, xdp, 33]);
    expect(results()).toEqual([-14, -14, []]);
    hook.fire([0xffff_8880_0001_2345n, 0xffff_8880_0001_2345n, 1]);
    expect(results()).toEqual([-14, -14, []]);
    hook.fire([
      kernel.sk_buff!({ data: 0xffff_8880_0000_0000n, len: 64 }),
      kernel.xdp_buff!({ data: 1n, data_end: 9n }),
      8,
    ]);
    expect(results()).toEqual([-14, -14, []]);
  });
});
