/** `--strict`: what programs read of kernel objects that the capture tells nothing of. */
import { expect, it } from "vitest";
import { bpfjit, jsonLines } from "./command.ts";

const RUN = [
  ...["run", "tests/hooks/fixtures/probes.bpf.o", "--prog", "on_raw", "--btf", "tests/hooks/fixtures/kernel.bpf.o"],
  ...["-i", "examples/captures/sched.perf.data", "-q", "--no-maps"],
];

it("is said at the end, member by member, with how often", async () => {
  const { stdout } = await bpfjit([...RUN, "--strict", "--json"]);
  const lines = jsonLines(stdout);
  const records = lines.filter(({ type }) => type === "record").length;
  const strays = lines.filter(({ type }) => type === "strayRead");
  const parent = { program: "on_raw", struct: "task_struct", member: "real_parent", bytes: 8 };
  expect(strays).toContainEqual({
    type: "strayRead",
    kind: "unset",
    ...parent,
    offsetBytes: 32,
    count: expect.any(Number),
  });
  expect(strays.every(({ count }) => (count as number) <= records)).toBe(true);
  const text = await bpfjit([...RUN, "--strict"]);
  expect([text.code, text.stderr]).toEqual([
    0,
    expect.stringContaining("on_raw read 8 bytes of task_struct.real_parent, which nobody set"),
  ]);
});

it("is not said where nobody asks", async () => {
  expect(await bpfjit(RUN)).toMatchObject({ code: 0, stderr: "" });
});
