/** The oracle itself: that it asks the kernel what we mean. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAssembly } from "../../compiler/asm/index.ts";
import { type Oracle, openOracle, oracleProblem } from "./oracle.ts";

const problem = oracleProblem();
const insns = (text: string, maps: readonly string[] = []) => parseAssembly(text, { maps }).insns;

describe.skipIf(problem !== null)(`the kernel as an oracle${problem === null ? "" : ` (${problem})`}`, () => {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = openOracle();
  });
  afterAll(() => oracle.close());

  test("runs on memory and gives it back", async () => {
    const memory = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const text = "r0 = *(u8 *)(r1 + 7)\n*(u8 *)(r1 + 0) = r0\nr0 += r2\nexit";
    expect(await oracle.ask([{ insns: insns(text), memory }])).toEqual([
      expect.objectContaining({ verdict: "accepted", r0: "10", mem: "0802030405060708" }),
    ]);
  });
  test("the verifier knows how long the memory is", async () => {
    const memory = new Uint8Array(8);
    const [fits, beyond] = await oracle.ask([
      { insns: insns("r0 = *(u64 *)(r1 + 0)\nexit"), memory },
      { insns: insns("r0 = *(u8 *)(r1 + 8)\nexit"), memory },
    ]);
    expect(fits).toMatchObject({ verdict: "accepted" });
    expect(beyond).toMatchObject({
      verdict: "rejected",
      errno: 13,
      log: expect.stringContaining("invalid access to map value"),
    });
  });
  test("no memory: r1 and r2 are 0", async () => {
    const text = "r0 = r1\nr0 += r2\nr0 += 5\nexit";
    expect(await oracle.ask([{ insns: insns(text) }])).toMatchObject([{ r0: "5", mem: "" }]);
  });
  test("atomics on memory that is not aligned", async () => {
    const text = "r3 = 1\nlock *(u64 *)(r1 + 8) += r3\nr0 = 0\nexit";
    const memory = new Uint8Array(16).fill(0xff);
    const answers = await oracle.ask([1, 7].map((misalign) => ({ insns: insns(text), memory, misalign })));
    expect(answers).toMatchObject([{ mem: "ff".repeat(8) + "00".repeat(8) }, { mem: "ff".repeat(8) + "00".repeat(8) }]);
  });
  test("verdicts of other program types, with maps", async () => {
    const text =
      "r1 = map[m] ll\nr2 = r10\nr2 += -8\n*(u64 *)(r10 - 8) = 0\ncall bpf_map_lookup_elem\nr0 = *(u8 *)(r0 + 0)\nexit";
    const maps = [{ type: 2, keySize: 4, valueSize: 8, maxEntries: 1, flags: 0 }];
    const [answer] = await oracle.ask([{ insns: insns(text, ["m"]), type: 6, maps }]);
    expect(answer).toMatchObject({
      errno: 13,
      log: expect.stringContaining("R0 invalid mem access 'map_value_or_null'"),
    });
  });
  test("a thousand programs a second", async () => {
    const requests = Array.from({ length: 1000 }, (_, index) => ({
      insns: insns(`r0 = ${index}\n*(u64 *)(r1 + 0) = r0\nexit`),
      memory: new Uint8Array(8),
    }));
    const started = performance.now();
    const answers = await oracle.ask(requests);
    const seconds = (performance.now() - started) / 1000;
    expect(answers.map((answer) => ("r0" in answer ? answer.r0 : answer))).toEqual(
      requests.map((_, index) => index.toString(16)),
    );
    // Ten times slower than it is, so that a busy machine does not fail.
    expect(seconds).toBeLessThan(5);
  });
});
