/** A capture of a kernel whose events are laid out otherwise is refused before anything runs, by the fields' names. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createRuntime } from "../../runtime/index.ts";
import { bytesInput, openPerfData } from "../../runtime/sources/index.ts";
import { capture, compileExample } from "./run.ts";

/** The capture with one line of a format changed; the text keeps its length. */
async function edited(from: string, to: string) {
  const bytes = readFileSync(capture("sched.perf.data"));
  const at = bytes.indexOf(from);
  expect(at).toBeGreaterThan(0);
  expect(to.length).toBe(from.length);
  bytes.write(to, at, "latin1");
  return openPerfData(bytesInput(new Uint8Array(bytes)));
}

async function run(source: Awaited<ReturnType<typeof edited>>, name: string) {
  const runtime = createRuntime({ cpus: source.cpus });
  const object = await runtime.link(await compileExample(name));
  for (const program of Object.values(object.programs)) program.attach();
  return runtime.run(source);
}

describe("a capture with another layout", () => {
  it("is refused by the names of the fields that moved", async () => {
    const source = await edited(
      "field:char next_comm[16];\toffset:40;\tsize:16;",
      "field:char next_comm[16];\toffset:24;\tsize:16;",
    );
    await expect(run(source, "countcomm")).rejects.toMatchObject({
      code: "CAPTURE_LAYOUT",
      message:
        "sched/sched_switch differs from what count_switch was compiled for: next_comm is 16 bytes at 24, not 16 at 40",
    });
  });

  it("does not disturb programs of other events", async () => {
    const source = await edited("field:int prio;\toffset:28;\tsize:4;", "field:int prio;\toffset:36;\tsize:4;");
    expect((await run(source, "countcomm")).events).toBeGreaterThan(0);
  });
});

describe("a compiled tracepoint program", () => {
  it("says how much of its ctx it reads, and as which struct", async () => {
    const { manifest } = await compileExample("runqlat");
    const byName = Object.fromEntries(manifest.programs.map((program) => [program.name, program]));
    // pid ends at 28; next_pid at 60
    expect(byName.handle_wakeup).toMatchObject({ ctxBytes: 28, ctxType: { kind: "struct", name: "sched_wakeup" } });
    expect(byName.handle_switch).toMatchObject({ ctxBytes: 60, ctxType: { kind: "struct", name: "sched_switch" } });
  });
});
