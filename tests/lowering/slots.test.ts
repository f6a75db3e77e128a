/**
 * Stack slots in locals and keys by value: programs give the same results as with their frame in memory, which a program has
 * that stores its frame pointer.
 */
import { describe, expect, test } from "vitest";
import { createRuntime } from "../../runtime/index.ts";
import { Random } from "../random/rng.ts";
import { compileWith } from "../runtime/compile.ts";

const ESCAPES = "  *(u64 *)(r10 - 512) = r10";

interface Case {
  readonly name: string;
  readonly maps?: string;
  readonly code: string;
}

const TABLES = `
; map: bytes4 hash key=4 value=8 max=64
; map: bytes8 hash key=8 value=8 max=64
; map: bytes16 hash key=16 value=8 max=64
; map: bytes12 hash key=12 value=8 max=64
; map: percpu8 percpu_hash key=8 value=8 max=64
; map: lately lru_hash key=4 value=8 max=3
; map: latelyEach lru_percpu_hash key=16 value=8 max=3
; map: five array key=4 value=12 max=5
; map: each percpu_array key=4 value=8 max=5`;

/** Adds r9 to what the key at r10 - 32 leads to; r0: the sum. */
const ADD = (map: string): string => `
  r2 = r10
  r2 += -32
  r1 = map[${map}] ll
  call bpf_map_lookup_elem
  if r0 == 0 goto missing
  r8 = *(u64 *)(r0 + 0)
  r8 += r9
  *(u64 *)(r0 + 0) = r8
  r0 = r8
  exit
missing:`;
const LOOKUP = (map: string): string => `${ADD(map)}
  r0 = 77
  exit`;
/** Puts the key in where it is not there. */
const COUNT = (map: string): string => `${ADD(map)}
  *(u64 *)(r10 - 64) = r9
  r1 = map[${map}] ll
  r2 = r10
  r2 += -32
  r3 = r10
  r3 += -64
  r4 = 0
  call bpf_map_update_elem
  r0 = 0
  exit`;

const CASES: readonly Case[] = [
  { name: "u32 key", code: `  *(u32 *)(r10 - 32) = r7${COUNT("bytes4")}` },
  {
    name: "key of bytes and halves",
    code: `  *(u8 *)(r10 - 32) = r7\n  *(u8 *)(r10 - 31) = 250\n  *(u16 *)(r10 - 30) = r7${COUNT("bytes4")}`,
  },
  { name: "u64 key", code: `  *(u64 *)(r10 - 32) = r7${COUNT("bytes8")}` },
  { name: "key of two words", code: `  *(u32 *)(r10 - 28) = r7\n  *(u32 *)(r10 - 32) = -2${COUNT("bytes8")}` },
  {
    name: "key of pieces",
    code: `  *(u16 *)(r10 - 32) = r7\n  *(u8 *)(r10 - 30) = -1\n  *(u8 *)(r10 - 29) = r7\n  *(u32 *)(r10 - 28) = r7${COUNT("bytes8")}`,
  },
  {
    name: "16-byte key",
    code: `  *(u64 *)(r10 - 32) = r7\n  *(u32 *)(r10 - 24) = r7\n  *(u32 *)(r10 - 20) = 9${COUNT("bytes16")}`,
  },
  { name: "overlapping stores", code: `  *(u64 *)(r10 - 32) = 0\n  *(u32 *)(r10 - 32) = r7${COUNT("bytes8")}` },
  {
    name: "key with an atomic in it",
    code: `  *(u64 *)(r10 - 32) = r7\n  r1 = 5\n  lock *(u64 *)(r10 - 32) += r1${COUNT("bytes8")}`,
  },
  { name: "12-byte key", code: `  *(u64 *)(r10 - 32) = r7\n  *(u32 *)(r10 - 24) = r7${COUNT("bytes12")}` },
  { name: "per-CPU hash", code: `  *(u64 *)(r10 - 32) = r7${COUNT("percpu8")}` },
  { name: "LRU hash", code: `  *(u32 *)(r10 - 32) = r7${COUNT("lately")}` },
  {
    name: "LRU per-CPU hash",
    code: `  *(u64 *)(r10 - 32) = r7\n  *(u64 *)(r10 - 24) = r7${COUNT("latelyEach")}`,
  },
  {
    name: "key that a helper wrote",
    code: `  r1 = r10\n  r1 += -32\n  r2 = 16\n  call bpf_get_current_comm\n  *(u8 *)(r10 - 32) = r7${COUNT("bytes16")}`,
  },
  { name: "array", code: `  r7 &= 7\n  *(u32 *)(r10 - 32) = r7${LOOKUP("five")}` },
  { name: "per-CPU array", code: `  r7 &= 7\n  *(u32 *)(r10 - 32) = r7${LOOKUP("each")}` },
  { name: "array, constant key", code: `  *(u32 *)(r10 - 32) = 4${LOOKUP("five")}` },
  { name: "per-CPU array, constant key", code: `  *(u32 *)(r10 - 32) = 3${LOOKUP("each")}` },
  { name: "array, constant key outside", code: `  *(u32 *)(r10 - 32) = 5${LOOKUP("five")}` },
  {
    name: "array, key that is constant on one path",
    code: `  *(u32 *)(r10 - 32) = 4\n  if r7 & 1 goto odd\n  *(u32 *)(r10 - 32) = 2\nodd:${LOOKUP("five")}`,
  },
  {
    name: "key that a loop counts",
    code: `
  *(u32 *)(r10 - 32) = 0
  r6 = 0
again:
  r1 = *(u32 *)(r10 - 32)
  r1 += 1
  *(u32 *)(r10 - 32) = r1
  r6 += 1
  if r6 != 3 goto again${LOOKUP("five")}`,
  },
  {
    name: "signed and narrow reads",
    code: `
  *(u8 *)(r10 - 1) = r7
  *(u16 *)(r10 - 4) = r7
  *(u32 *)(r10 - 8) = r7
  *(u64 *)(r10 - 16) = r7
  r0 = *(s8 *)(r10 - 1)
  r1 = *(s16 *)(r10 - 4)
  r0 ^= r1
  r0 <<= 3
  r1 = *(s32 *)(r10 - 8)
  r0 ^= r1
  r0 <<= 3
  r1 = *(u8 *)(r10 - 1)
  r0 ^= r1
  r1 = *(u16 *)(r10 - 4)
  r0 += r1
  r1 = *(u32 *)(r10 - 8)
  r0 *= r1
  r1 = *(u64 *)(r10 - 16)
  r0 ^= r1
  exit`,
  },
];

const text = (code: string): string => `
; prog: tracepoint name=p license=GPL ${TABLES}
  r7 = *(u64 *)(r1 + 8)
  r9 = *(u64 *)(r1 + 16)
${code}
`;

describe.each([0, 2] as const)("at level %i", (optimize) => {
  test.each(CASES)("$name", async ({ code }) => {
    await using runtime = createRuntime({ cpus: 2, seed: 5 });
    const link = async (program: string) =>
      (await runtime.link(await compileWith({ optimize }, text(program)))).programs.p!;
    const [inLocals, inMemory] = [await link(code), await link(`${ESCAPES}\n${code}`)];
    const random = new Random(3);
    const input = new BigUint64Array(3);
    const results = [inLocals, inMemory].map(() => [] as bigint[]);
    for (let round = 0; round < 60; round++) {
      input[1] = BigInt(random.below(6)) + (random.oneIn(2) ? 0xffff_ff80n : 0x8765_4321_0000_0000n);
      input[2] = BigInt(random.below(1000));
      const options = {
        ctxIn: new Uint8Array(input.buffer.slice(0)),
        cpu: random.below(2),
        task: { pid: 1, comm: "worker" },
      };
      for (const [index, program] of [inLocals, inMemory].entries()) results[index]!.push(program.testRun(options).r0);
    }
    expect(results[0]).toEqual(results[1]);
  });
});
