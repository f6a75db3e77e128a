/** Spin locks, end to end: a program of clang's counts under them, the user reads and writes with BPF_F_LOCK. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { load } from "../../api/index.ts";

const LOCKED = fileURLToPath(new URL("../verifier/objects/locked.bpf.o", import.meta.url));

it("a program and the user take the same lock", async () => {
  await using object = await load(LOCKED, { optimize: 0 });
  const totals = object.map("totals");
  const run = (): number => Number(object.program("count").testRun({ dataIn: new Uint8Array(64) }).r0);
  expect([run(), run()]).toEqual([1, 2]);
  expect(totals.get(1, { lock: true })).toMatchObject({ packets: 2n, bytes: 200n });
  totals.set(1, { packets: 7n, lock: { word: 99 }, bytes: 0n }, { lock: true });
  expect(run()).toBe(8);
  expect(totals.get(1)).toMatchObject({ packets: 8n, lock: { word: 0 }, bytes: 100n });
  const modes = { mode: "create", lock: true } as const;
  expect(() => totals.set(1, { packets: 0n }, modes)).toThrow(expect.objectContaining({ errno: "EEXIST" }));
});
