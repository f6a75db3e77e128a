/** What a module carries and refuses: manifest, exports, imports, batch, tail calls, atomics that are not aligned. */
import { describe, expect, test } from "vitest";
import { BpfError, UnsupportedError, VerifierError } from "../../base/index.ts";
import { attachManifest } from "../../base/manifest.ts";
import { assembleProgram, decodeInsns, rawProgram } from "../../compiler/asm/index.ts";
import { explainLowering, lowerObject, readManifest } from "../../compiler/lowering/index.ts";
import type { UncheckedProgram, VerifiedProgram } from "../../compiler/program.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { MAP, MAP_PRIVATE } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";
import { Random } from "../random/rng.ts";
import { DATA, Fault, Machine } from "./machine.ts";

function verified(text: string): VerifiedProgram {
  const result = verify(assembleProgram(text).program, { logLevel: 1 });
  if (result.verdict !== "accepted") throw new Error(`${result.error.message}\n${result.log}`);
  return result.program;
}

const object = (...programs: readonly (VerifiedProgram | UncheckedProgram)[]) => ({
  name: "test",
  license: "GPL",
  maps: programs[0]?.maps ?? [],
  types: {},
  programs,
});

const COUNTER = `
  ; prog: raw name=count mem=8
  r0 = *(u64 *)(r1 + 0)
  r0 += 1
  *(u64 *)(r1 + 0) = r0
  exit`;

describe("manifest", () => {
  test("comes back from the module, bytes and 64-bit numbers included", async () => {
    const { wasm, manifest } = await lowerObject(
      object(
        verified(`
          ; prog: tracepoint name=look section=tp/a/b target=a/b
          ; map: .rodata array key=4 value=8 max=1 frozen initial=0102030405060708
          r0 = *(u64 *)(r1 + 8)
          r2 = map[.rodata][0] ll
          r0 = *(u64 *)(r2 + 0)
          call bpf_ktime_get_ns
          r0 = 0
          exit`),
      ),
    );
    expect(readManifest(wasm)).toEqual(manifest);
    expect(manifest.maps[0]?.initial).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    expect(manifest.programs[0]).toMatchObject({
      name: "look",
      helpers: ["bpf_ktime_get_ns"],
      maps: [0],
      ctxBytes: 16,
    });
    const names = WebAssembly.Module.exports(new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>)).map(
      ({ name }) => name,
    );
    expect(names.sort()).toEqual(["batch:look", "main:look"]);
  });

  test("keeps values that end in zeros short", async () => {
    const { wasm, manifest } = await lowerObject(object(verified(COUNTER)));
    const initial = new Uint8Array(1 << 20);
    initial[7] = 1;
    const maps = [mapSpec({ type: "array", keySize: 4, valueSize: initial.length, maxEntries: 1, initial })];
    const long = attachManifest(wasm, { ...manifest, maps });
    expect(long.length - wasm.length).toBeLessThan(5000);
    expect(readManifest(long).maps[0]!.initial).toEqual(initial);
    const text = new TextDecoder("latin1").decode(long);
    for (const zeros of ["-104856", "1.5e300", "9e9    ", '"22222"']) {
      const damaged = long.slice();
      damaged.set(new TextEncoder().encode(zeros), text.lastIndexOf("1048568"));
      expect(() => readManifest(damaged)).toThrow("too many zeros");
    }
  });

  test("of another version, of nothing, of damaged bytes: ARTIFACT_MALFORMED", async () => {
    const { wasm, manifest } = await lowerObject(object(verified(COUNTER)));
    const malformed = (bytes: Uint8Array) => {
      try {
        readManifest(bytes);
        return null;
      } catch (error) {
        return error instanceof BpfError ? error.code : error;
      }
    };
    expect(malformed(attachManifest(wasm, { ...manifest, abiVersion: 999 }))).toBe("ARTIFACT_MALFORMED");
    expect(malformed(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))).toBe("ARTIFACT_MALFORMED");
    expect(malformed(new Uint8Array(0))).toBe("ARTIFACT_MALFORMED");
    const random = new Random(1);
    for (let round = 0; round < 2000; round++) {
      const damaged = wasm.slice(0, random.oneIn(3) ? random.below(wasm.length) : wasm.length);
      for (let change = random.between(1, 4); change > 0 && damaged.length > 0; change--)
        damaged[random.below(damaged.length)] = random.below(256);
      expect(["ARTIFACT_MALFORMED", null]).toContain(malformed(damaged));
    }
  });
});

describe("batch", () => {
  test("runs every event", async () => {
    const { wasm } = await lowerObject(object(verified(COUNTER)));
    const machine = new Machine();
    const exports = machine.instantiate(wasm);
    expect(machine.batch(exports, "count", [DATA, DATA + 8, DATA])).toBe(3);
    expect(machine.view.getBigUint64(DATA, true)).toBe(2n);
    expect(machine.view.getBigUint64(DATA + 8, true)).toBe(1n);
    expect(machine.batch(exports, "count", [])).toBe(0);
  });

  test("stops behind the event in which a ring asks for it", async () => {
    const text = `
      ; prog: tracepoint name=ask license=GPL
      *(u64 *)(r10 - 8) = 10
      r1 = r10
      r1 += -8
      r2 = 3
      call bpf_trace_printk
      r0 = 0
      exit`;
    const { wasm } = await lowerObject(object(verified(text)));
    const machine = new Machine();
    let calls = 0;
    machine.helpers.bpf_trace_printk = (...values) => {
      expect(values.slice(1)).toEqual([3, 0, 0, 0, 0, 0, 0].slice(0, values.length - 1));
      if (++calls === 2) machine.requestYield();
      return 0;
    };
    expect(machine.batch(machine.instantiate(wasm), "ask", [DATA, DATA, DATA])).toBe(2);
  });
});

describe("tail calls", () => {
  const CALLER = `
    ; prog: tracepoint name=caller
    ; map: programs prog_array key=4 value=4 max=4
    *(u64 *)(r10 - 8) = 40
    call jump
    r1 = *(u64 *)(r10 - 8)
    r0 += r1
    exit
  jump:
    *(u64 *)(r10 - 8) = 1
    r2 = map[programs] ll
    r3 = 2
    call bpf_tail_call
    r0 = 7
    exit`;

  async function callers() {
    const program = verified(CALLER);
    const { wasm } = await lowerObject(object(program));
    const machine = new Machine();
    const slots = DATA + 0x200;
    machine.view.setUint32(DATA + 0x100 + MAP.maxEntries, 4, true);
    machine.view.setUint32(DATA + 0x100 + MAP.private + MAP_PRIVATE.progArray.slots, slots, true);
    machine.globals.map!["0"] = DATA + 0x100;
    return { machine, wasm, slots };
  }

  test("an empty slot falls through, in a subprogram too", async () => {
    const { machine, wasm } = await callers();
    expect(machine.run(machine.instantiate(wasm), "caller")).toBe(47n);
    expect(machine.tailCalls).toBe(0);
  });

  test("one in a subprogram replaces the subprogram; its result comes back to the caller", async () => {
    const { machine, wasm, slots } = await callers();
    const exports = machine.instantiate(wasm);
    const target = machine.instantiate(
      (await lowerObject(object(verified("; prog: raw name=two\nr0 = 2\nexit")))).wasm,
    );
    machine.table.set(5, target["main:two"] as never);
    machine.view.setUint32(slots + 8, 6, true);
    expect(machine.run(exports, "caller")).toBe(42n);
    expect(machine.tailCalls).toBe(1);
    machine.setTailCalls(33);
    expect(machine.run(exports, "caller")).toBe(47n);
  });
});

describe("refused", () => {
  const unchecked = (hex: string): UncheckedProgram => {
    const insns = decodeInsns(Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16)));
    return { ...rawProgram(insns, 0), type: "raw", unchecked: true };
  };
  const refusal = (program: UncheckedProgram | VerifiedProgram) =>
    lowerObject(object(program)).then(
      () => null,
      (error: unknown) => error,
    );
  test("encodings that do not exist, jumps out of the program: VerifierError", async () => {
    for (const hex of ["", "ff00000000000000", "0500010000000000", "b700000000000000", "1800000000000000"])
      expect(await refusal(unchecked(hex)), hex).toBeInstanceOf(VerifierError);
  });
  test("helpers without a verifier: UnsupportedError", async () => {
    expect(await refusal(unchecked("85000000050000009500000000000000"))).toBeInstanceOf(UnsupportedError);
  });
  test("random bytes: a fault, a result, or one of these errors", async () => {
    const random = new Random(7);
    for (let round = 0; round < 300; round++) {
      const hex = Array.from({ length: random.between(1, 12) }, () => randomInsn(random)).join("");
      const program = unchecked(`${hex}9500000000000000`);
      try {
        const { wasm } = await lowerObject(object(program), { optimize: 0 });
        const machine = new Machine();
        machine.run(machine.instantiate(wasm), "raw");
      } catch (error) {
        const isExpected =
          error instanceof VerifierError || error instanceof UnsupportedError || error instanceof Fault;
        expect(isExpected, `${hex}: ${error}`).toBe(true);
      }
    }
  }, 60_000);
});

function randomInsn(random: Random): string {
  const bytes = [
    random.below(256),
    random.below(11) + 16 * random.below(11),
    random.below(4),
    0,
    random.below(4),
    0,
    0,
    0,
  ];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// a small program whose calls, each put in place, make one expression of thousands of operations
test.each([1, 2, 3] as const)("results that go from call to call, at level %i", async (optimize) => {
  const calls = 900;
  const program = verified(`
    ; prog: raw name=deep mem=8
    r0 = *(u64 *)(r1 + 0)
    ${"r1 = r0\ncall mix\n".repeat(calls)}
    exit
  mix:
    r0 = r1
    r0 *= 0x10001
    r0 ^= 77
    r0 *= 3
    r0 ^= 5
    r0 *= 7
    exit`);
  const machine = new Machine();
  const exports = machine.instantiate((await lowerObject(object(program), { optimize })).wasm);
  let wanted = 0n;
  for (let call = 0; call < calls; call++) wanted = BigInt.asUintN(64, ((((wanted * 0x10001n) ^ 77n) * 3n) ^ 5n) * 7n);
  expect(BigInt.asUintN(64, machine.run(exports, "deep"))).toBe(wanted);
});

test("an explanation shows blocks, edges and the program's own functions", async () => {
  const program = verified(`
    ; prog: raw name=sum mem=8
    r0 = 0
    r2 = *(u64 *)(r1 + 0)
    r2 &= 7
  again:
    if r2 == 0 goto out
    r0 += r2
    r2 -= 1
    goto again
  out:
    call twice
    exit
  twice:
    r0 = 4
    exit`);
  const { cfg, dot, wat } = await explainLowering(program);
  expect(cfg).toContain("block 1 (no insns, loop header) -> ");
  expect(cfg).toContain("r0 += r2");
  expect(dot).toMatch(/^digraph cfg \{[\s\S]*\}\n$/);
  expect(wat).toContain("(func $main:sum");
  expect(wat).toContain("(func $sub:sum:");
  expect(wat.match(/\(func /g)).toHaveLength(2);
});
