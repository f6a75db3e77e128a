/** `bpfjit build`, and the commands that take what it wrote; `--tracepoints`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bpfjit, jsonLines } from "./command.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bpfjit-build-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("bpfjit build", () => {
  it("writes what run and test-run take in the object's place, with the same output", async () => {
    const wasm = join(folder, "runqlat.wasm");
    const built = await bpfjit(["build", "examples/runqlat.bpf.o", "-o", wasm, "--json"]);
    expect(built.code).toBe(0);
    expect(jsonLines(built.stdout)).toMatchObject([
      { type: "built", programs: ["handle_wakeup", "handle_wakeup_new", "handle_switch"] },
    ]);
    const run = (object: string) =>
      bpfjit(["run", object, "--input", "examples/captures/sched.perf.data", "--json"]).then(({ stdout }) =>
        jsonLines(stdout).filter(({ type }) => type === "map"),
      );
    expect(await run(wasm)).toEqual(await run("examples/runqlat.bpf.o"));

    const packets = join(folder, "protocols.wasm");
    await bpfjit(["build", "examples/protocols.bpf.o", "-o", packets]);
    const args = ["--prog", "count_protocols", "--data-in", "examples/packets/udp-7777.bin", "--json"];
    const { stdout } = await bpfjit(["test-run", packets, ...args]);
    expect(jsonLines(stdout)).toMatchObject([{ program: "count_protocols", retval: 1 }]);
  });

  it("writes nothing of a program that is rejected, and says where it cannot write", async () => {
    const nowhere = await bpfjit(["build", "examples/runqlat.bpf.o", "-o", join(folder, "no/such/folder.wasm")]);
    expect([nowhere.code, nowhere.stderr]).toEqual([2, expect.stringContaining("ENOENT")]);
    const none = await bpfjit(["build", "examples/runqlat.bpf.o", "-o", join(folder, "x.wasm"), "--prog", "absent"]);
    expect(none.code).toBe(2);
  });
});

describe("--tracepoints", () => {
  const object = "examples/http/requests.bpf.o";

  it("names what programs attach to beside the kernel's tracepoints", async () => {
    const declaration = join(folder, "tracepoints.json");
    writeFileSync(declaration, JSON.stringify({ http_request: { method: "str", status: "u32", duration_ns: "u64" } }));
    const { code, stdout } = await bpfjit(["verify", "--json", object, "--tracepoints", declaration]);
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toMatchObject([{ program: "on_request", verdict: "accepted" }]);
    const without = await bpfjit(["verify", "--json", object]);
    expect([without.code, jsonLines(without.stdout)[0]]).toMatchObject([1, { verdict: "unloadable" }]);
  });

  it("refuses what is no declaration", async () => {
    for (const text of ["{", "[]", '{"a":{"b":"u33"}}']) {
      const path = join(folder, "wrong.json");
      writeFileSync(path, text);
      const { code, stderr } = await bpfjit(["verify", object, "--tracepoints", path]);
      expect([code, stderr.length > 0]).toEqual([2, true]);
    }
  });
});
