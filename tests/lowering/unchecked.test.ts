/** Programs without a verifier: arithmetic, branches, loops, memory, calls, faults, budget; values worked out by hand. */
import { describe, expect, test } from "vitest";
import { type Insn, parseAssembly, rawProgram } from "../../compiler/asm/index.ts";
import { lowerObject, type OptimizeLevel } from "../../compiler/lowering/index.ts";
import type { UncheckedProgram } from "../../compiler/program.ts";
import { DATA, Fault, Machine } from "./machine.ts";

async function lower(insns: readonly Insn[], memoryBytes: number, optimize: OptimizeLevel) {
  const program: UncheckedProgram = { ...rawProgram(insns, memoryBytes), type: "raw", unchecked: true };
  return lowerObject(
    { name: "test", license: "GPL", maps: [], types: {}, programs: [program] },
    { optimize, validate: true },
  );
}

async function run(text: string, memory: readonly number[] = [], optimize: OptimizeLevel = 0) {
  const { wasm } = await lower(parseAssembly(text).insns, memory.length, optimize);
  const machine = new Machine();
  machine.bytes.set(memory, DATA);
  const r0 = machine.run(machine.instantiate(wasm), "raw");
  return { r0, memory: [...machine.bytes.slice(DATA, DATA + memory.length)] };
}

describe.each([0, 2] as const)("level %i", (level) => {
  const r0 = async (text: string, memory?: readonly number[]) => (await run(text, memory, level)).r0;

  test("arithmetic", async () => {
    expect(await r0("r0 = 7\nr0 *= 6\nexit")).toBe(42n);
    expect(await r0("r0 = -1\nw0 += 2\nexit")).toBe(1n);
    expect(await r0("r0 = 5\nr1 = 0\nr0 /= r1\nexit")).toBe(0n);
    expect(await r0("r0 = 5\nr1 = 0\nr0 %= r1\nexit")).toBe(5n);
    expect(await r0("r0 = 0x1122334455667788 ll\nr0 = bswap64 r0\nexit")).toBe(0x8877665544332211n);
    expect(await r0("r0 = 0x1122334455667788 ll\nr0 = be32 r0\nexit")).toBe(0x88776655n);
    expect(await r0("r0 = 0x1122334455667788 ll\nr0 = be16 r0\nexit")).toBe(0x8877n);
  });

  test("branches and loops", async () => {
    expect(await r0("r0 = 0\nr1 = 10\nagain:\nr0 += r1\nr1 -= 1\nif r1 != 0 goto again\nexit")).toBe(55n);
    expect(await r0("r0 = 1\nr1 = 2\nif r1 s> 1 goto yes\nr0 = 3\nexit\nyes:\nr0 = 4\nexit")).toBe(4n);
    expect(
      await r0(
        "r0 = 0\nr1 = 3\nouter:\nr2 = 4\ninner:\nr0 += 1\nr2 -= 1\nif r2 != 0 goto inner\nr1 -= 1\nif r1 != 0 goto outer\nexit",
      ),
    ).toBe(12n);
  });

  test("memory and stack", async () => {
    expect(await r0("r0 = *(u16 *)(r1 + 1)\nexit", [1, 2, 3, 4])).toBe(0x0302n);
    expect(await r0("r1 = 9\n*(u64 *)(r10 - 8) = r1\nr2 = r10\nr2 += -8\nr0 = *(u64 *)(r2 + 0)\nexit")).toBe(9n);
    expect((await run("*(u32 *)(r1 + 0) = 258\nr0 = 0\nexit", [0, 0, 0, 0], level)).memory).toEqual([2, 1, 0, 0]);
  });

  test("calls keep r6 … r9 and have frames of their own", async () => {
    const text = `
      r6 = 5
      *(u64 *)(r10 - 8) = r6
      r1 = r10
      r1 += -8
      call add
      r1 = *(u64 *)(r10 - 8)
      r0 += r1
      r0 += r6
      exit
    add:
      r6 = 100
      *(u64 *)(r10 - 8) = r6
      r0 = *(u64 *)(r1 + 0)
      r0 += 1
      exit`;
    expect(await r0(text)).toBe(16n);
  });
});

test("a program may call its own first function", async () => {
  const text = `
    main:
      r6 = *(u64 *)(r1 + 0)
      r6 += 1
      *(u64 *)(r1 + 0) = r6
      if r6 > 4 goto end
      call main
    end:
      r0 = 7
      exit`;
  expect(await run(text, [0, 0, 0, 0, 0, 0, 0, 0])).toEqual({ r0: 7n, memory: [5, 0, 0, 0, 0, 0, 0, 0] });
});

describe("faults", () => {
  const faultOf = (text: string, memory: readonly number[] = []) =>
    run(text, memory).then(
      () => null,
      (error) => (error instanceof Fault ? [error.code, error.insnIndex] : error),
    );
  test("outside of memory and stack", async () => {
    expect(await faultOf("r0 = *(u8 *)(r1 + 3)\nexit", [1, 2, 3])).toEqual([1, 0]);
    expect(await faultOf("r0 = *(u8 *)(r1 - 1)\nexit", [1, 2, 3])).toEqual([1, 0]);
    expect(await faultOf("r0 = 0\nr0 = *(u64 *)(r10 - 4)\nexit")).toEqual([1, 1]);
    expect(await faultOf("r0 = *(u64 *)(r10 - 520)\nexit")).toEqual([1, 0]);
    expect(await faultOf("r1 = 0\nr0 = *(u8 *)(r1 + 0)\nexit")).toEqual([1, 1]);
  });
  test("a loop without end, a recursion without end", async () => {
    expect(await faultOf("r0 = 0\nagain:\nr0 += 1\ngoto again\nexit")).toEqual([2, 2]);
    expect(await faultOf("call self\nexit\nself:\ncall self\nexit")).toEqual([1, 2]);
    expect(await faultOf("main:\ncall main\nexit")).toEqual([1, 0]);
  });
});
