/** Maps as users of the library see them: two runtimes, wrong arguments, a closed object. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { type LoadedObject, load } from "../../api/index.ts";

const COUNTCOMM = fileURLToPath(new URL("../../examples/countcomm.bpf.o", import.meta.url));
const open = (): Promise<LoadedObject> => load(COUNTCOMM, { optimize: 0 });

it("two runtimes do not see each other", async () => {
  await using one = await open();
  await using other = await open();
  one.program("count_switch").testRun({ ctxIn: new Uint8Array(64) });
  expect([one.map("counts").size, other.map("counts").size]).toEqual([1, 0]);
});

it("a mode that does not exist is refused, not taken for any", async () => {
  await using object = await open();
  const frob = { mode: "frob" } as unknown as { mode: "any" };
  const set = (): void => object.map("counts").set({ comm: "sh" }, 1n, frob);
  expect(set).toThrow(expect.objectContaining({ code: "USAGE", message: "there is no mode frob" }));
  expect(object.map("counts").size).toBe(0);
});

it("a closed object says so, and closes again", async () => {
  const object = await open();
  const counts = object.map("counts");
  object.close();
  object.close();
  expect(() => counts.get({ comm: "sh" })).toThrow(expect.objectContaining({ code: "CLOSED" }));
  const run = (): unknown => object.program("count_switch").testRun({ ctxIn: new Uint8Array(64) });
  expect(run).toThrow(expect.objectContaining({ code: "CLOSED" }));
});
