/** USDT probes: operands as their notes have them, and programs that find them by libbpf's records. */
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { load } from "../../api/index.ts";
import { AttachError, UsageError } from "../../base/index.ts";
import { parseUsdtArguments } from "../../runtime/usdt.ts";

describe("operands", () => {
  it("are constants, registers under all their names, and memory", () => {
    const memory = (base: string, offset: bigint, index: object | null = null) => ({
      kind: "memory",
      base,
      offset,
      index,
    });
    const cases: Record<string, unknown> = {
      "8@%rax": { bytes: 8, signed: false, from: { kind: "register", register: "ax" } },
      "-4@%edi": { bytes: 4, signed: true, from: { kind: "register", register: "di" } },
      "2@%r8w": { bytes: 2, signed: false, from: { kind: "register", register: "r8" } },
      "1@%sil": { bytes: 1, signed: false, from: { kind: "register", register: "si" } },
      "-1@%al": { bytes: 1, signed: true, from: { kind: "register", register: "ax" } },
      "-4@$-9": { bytes: 4, signed: true, from: { kind: "constant", value: -9n } },
      "8@$0x10": { bytes: 8, signed: false, from: { kind: "constant", value: 16n } },
      "-4@-20(%rbp)": { bytes: 4, signed: true, from: memory("bp", -20n) },
      "8@(%rsp)": { bytes: 8, signed: false, from: memory("sp", 0n) },
      "4@8(%rdi,%r9,4)": { bytes: 4, signed: false, from: memory("di", 8n, { register: "r9", shift: 2 }) },
      "4@(%rdi,%rsi)": { bytes: 4, signed: false, from: memory("di", 0n, { register: "si", shift: 0 }) },
    };
    for (const [text, operand] of Object.entries(cases)) expect(parseUsdtArguments(text), text).toEqual([operand]);
    expect(parseUsdtArguments(" 8@%rax  4@$1 ").length).toBe(2);
    expect(parseUsdtArguments("")).toEqual([]);
  });

  it("are refused where they are none of x86-64", () => {
    const wrong = ["8@x0", "3@%rax", "8%rax", "8@%rzz", "8@[sp, 16]", "8@8(%rax", "8@$", "8@%constructor"];
    for (const text of [...wrong, Array(13).fill("8@%rax").join(" ")]) {
      expect(() => parseUsdtArguments(text), text).toThrow(UsageError);
    }
  });
});

describe("attachUsdt", () => {
  it("gives each probe its operands and cookie, probes of the same one record", async () => {
    await using object = await load(fileURLToPath(new URL("fixtures/usdt.bpf.o", import.meta.url)));
    const program = object.program("on_order");
    const attach = (probe: string, args: string, cookie = 0n) => object.attachUsdt(program, probe, { args, cookie });
    const order = attach("./shop:shop:order", "-4@%edi 2@$70000 8@%rax", 7n);
    const cancel = attach("./shop:shop:cancel", "1@%sil");
    attach("./other:shop:cancel", "1@%sil").detach();
    const found: unknown[] = [];
    const reading = object.openRecords(({ fields }) => found.push(fields), { types: { records: "found" } });
    order.hook.fire({ di: 0xffff_fffe, ax: -1 });
    cancel.hook.fire({ si: 0x1ff });
    reading.drain();
    expect(found).toEqual([
      { values: [2n ** 64n - 2n, 70000n - 65536n, 2n ** 64n - 1n], cookie: 7n, count: 3n },
      { values: [255n, 0n, 0n], cookie: 0n, count: 1n },
    ]);
    const errno = (action: () => unknown): unknown => {
      try {
        return action();
      } catch (error) {
        return error instanceof AttachError ? error.errno : error;
      }
    };
    expect(errno(() => attach("./shop:shop:third", "1@%dil"))).toBe("ENOSPC");
    // an attach that fails takes no record
    const { arena } = object.runtime.world;
    cancel.detach();
    for (let step = 0, isFailing = true; isFailing; step++) {
      let calls = 0;
      const real = arena.allocate.bind(arena);
      const spy = vi.spyOn(arena, "allocate").mockImplementation((bytes, alignment) => {
        if (calls++ === step) throw new Error("no room");
        return real(bytes, alignment);
      });
      const used = arena.usedBytes;
      try {
        attach("./shop:shop:cancel", "1@%sil").detach();
        isFailing = false;
      } catch (error) {
        expect((error as Error).message).toBe("no room");
        expect([object.runtime.hooks.links, arena.usedBytes]).toEqual([[order], used]);
      } finally {
        spy.mockRestore();
      }
    }
    const again = attach("./shop:shop:cancel", "1@%sil");
    expect(object.runtime.hooks.links).toEqual([order, again]);
  });
});
