/** `bpfjit verify --sarif`: the shape that SARIF 2.1.0 asks for, rules, results and code flows. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UnsupportedError } from "../../base/index.ts";
import { sarifLog } from "../../bin/sarif.ts";
import { FAULT_KINDS } from "../../spec/index.ts";
import { bpfjit } from "../command/command.ts";

interface Location {
  readonly physicalLocation: {
    readonly artifactLocation: { readonly uri: string };
    readonly region?: { readonly startLine: number; readonly startColumn?: number };
    readonly contextRegion?: { readonly startLine: number; readonly snippet: { readonly text: string } };
  };
  readonly logicalLocations?: readonly { readonly name: string; readonly kind: string }[];
  readonly message?: { readonly text: string };
}
interface Result {
  readonly ruleId: string;
  readonly ruleIndex: number;
  readonly level: string;
  readonly message: { readonly text: string };
  readonly locations: readonly Location[];
  readonly codeFlows?: readonly {
    readonly threadFlows: readonly {
      readonly locations: readonly { readonly executionOrder: number; readonly location: Location }[];
    }[];
  }[];
  readonly properties: Record<string, unknown>;
}
interface Log {
  readonly $schema: string;
  readonly version: string;
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly name: string; readonly rules: readonly Rule[] } };
    readonly results: readonly Result[];
  }[];
}
interface Rule {
  readonly id: string;
  readonly shortDescription: { readonly text: string };
  readonly fullDescription: { readonly text: string };
  readonly help: { readonly text: string };
  readonly defaultConfiguration: { readonly level: string };
}

const F = "tests/faults";
const isPlace = ({ physicalLocation: { artifactLocation, region } }: Location): boolean =>
  /^(?:file:\/\/\/|[\w.][^\\ ]*$)/.test(artifactLocation.uri) &&
  (region === undefined || (region.startLine >= 1 && (region.startColumn === undefined || region.startColumn >= 1)));

describe("bpfjit verify --sarif", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "bpfjit-sarif-"));
    writeFileSync(join(folder, "none.bpf.o"), "no object");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is one log with a rule a kind and a result a program that is not accepted", async () => {
    const none = join(folder, "none.bpf.o");
    const objects = [
      `${F}/reference-leak.rejected.bpf.o`,
      "examples/runqlat.bpf.o",
      `${F}/helper-size.rejected.bpf.o`,
      none,
    ];
    const { code, stdout } = await bpfjit(["verify", "--sarif", ...objects]);
    expect(code).toBe(1);
    const log = JSON.parse(stdout) as Log;
    expect({ version: log.version, schema: log.$schema, runs: log.runs.length }).toEqual({
      version: "2.1.0",
      schema: "https://json.schemastore.org/sarif-2.1.0.json",
      runs: 1,
    });
    const [run] = log.runs;
    const { rules } = run!.tool.driver;
    expect(rules.map(({ id }) => id)).toEqual([...FAULT_KINDS, "unsupported", "unloadable"]);
    for (const rule of rules) {
      expect(rule.shortDescription.text && rule.fullDescription.text && rule.help.text, rule.id).toBeTruthy();
      expect(["error", "note"]).toContain(rule.defaultConfiguration.level);
    }
    expect(run!.results.map(({ ruleId, level }) => [ruleId, level])).toEqual([
      ["reference-leak", "error"],
      ["helper-size", "error"],
      ["unloadable", "error"],
    ]);
    for (const result of run!.results) {
      expect(rules[result.ruleIndex]!.id).toBe(result.ruleId);
      expect(result.message.text).not.toBe("");
      expect(result.locations).toHaveLength(1);
      expect(result.locations.every(isPlace)).toBe(true);
    }
  });

  it("has the chain as a code flow that ends at the fault", async () => {
    const { stdout } = await bpfjit(["verify", "--sarif", `${F}/reference-leak.rejected.bpf.o`]);
    const [result] = (JSON.parse(stdout) as Log).runs[0]!.results;
    const steps = result!.codeFlows![0]!.threadFlows[0]!.locations;
    expect(steps.map(({ executionOrder }) => executionOrder)).toEqual([1, 2, 3]);
    expect(steps.map(({ location }) => location.physicalLocation.region!.startLine)).toEqual([21, 25, 31]);
    expect(steps.every(({ location }) => isPlace(location) && location.message!.text !== "")).toBe(true);
    expect(steps.at(-1)!.location.physicalLocation).toEqual(result!.locations[0]!.physicalLocation);
    expect(result!.locations[0]!.physicalLocation.artifactLocation.uri).toBe("reference-leak.rejected.bpf.c");
    expect(result!.properties).toMatchObject({ program: "report_call", verdict: "rejected", errno: "EINVAL" });
  });

  it("has no result where everything is accepted, and excludes --json", async () => {
    const { code, stdout } = await bpfjit(["verify", "--sarif", "examples/runqlat.bpf.o"]);
    expect({ code, results: (JSON.parse(stdout) as Log).runs[0]!.results }).toEqual({ code: 0, results: [] });
    expect((await bpfjit(["verify", "--sarif", "--json", "examples/runqlat.bpf.o"])).code).toBe(2);
  });

  it("tells of what is not judged as a note, placed at its line or its object", () => {
    const error = new UnsupportedError("UNSUPPORTED_FEATURE", "something", "bpfjit cannot judge something yet");
    const shared = {
      program: "p",
      section: "xdp",
      type: "xdp",
      attachType: "xdp",
      verdict: "unsupported",
      errno: null,
      insns: 2,
      processed: 1,
      message: error.message,
      insnIndex: 1,
      explanation: null,
      log: "",
    } as const;
    const source = { file: "./src/a b.c", line: 7, text: "x();" };
    const log = sarifLog(
      [
        { object: "a.bpf.o", verdict: { ...shared, source } },
        { object: "/tmp/a.bpf.o", verdict: { ...shared, source: null } },
      ],
      "1.0.0",
    ) as unknown as Log;
    const { results } = log.runs[0]!;
    expect(results.map(({ ruleId, level }) => [ruleId, level])).toEqual([
      ["unsupported", "note"],
      ["unsupported", "note"],
    ]);
    expect(results.map(({ locations: [place] }) => place!.physicalLocation)).toEqual([
      { artifactLocation: { uri: "src/a%20b.c" }, region: { startLine: 7 } },
      { artifactLocation: { uri: "file:///tmp/a.bpf.o" } },
    ]);
  });
});

describe("a rejection in the terminal", () => {
  it("is explained by verify, test-run, run and exec", async () => {
    const object = `${F}/packet-bounds.rejected.bpf.o`;
    const told =
      /packet-bounds: byte 22 of the packet is accessed[\s\S]*15 \| {3}if \(ip->ttl < 2\)[\s\S]*= help: [\s\S]*= kernel: R1 offset/;
    const verify = await bpfjit(["verify", object]);
    expect(verify.stdout).toMatch(told);
    const packet = "examples/packets/udp-53.bin";
    const testRun = await bpfjit(["test-run", object, "--prog", "drop_short_lived", "--data-in", packet]);
    expect({ code: testRun.code, stdout: testRun.stdout }).toEqual({ code: 1, stdout: "" });
    expect(testRun.stderr).toMatch(told);
    const run = await bpfjit(["run", object, "--input", "examples/captures/sched.perf.data"]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(told);
    const exec = await bpfjit(["exec", "00"], "79100800000000009500000000000000");
    expect(exec.code).toBe(1);
    expect(exec.stderr).toMatch(/memory-bounds: [\s\S]*0 \| {3}\(79\) r0 = \*\(u64 \*\)\(r1 \+8\)/);
  });

  it("is data in --json, with 64-bit bounds as numbers", async () => {
    const { stdout } = await bpfjit(["verify", "--json", `${F}/map-value-bounds.rejected.bpf.o`]);
    expect(JSON.parse(stdout).explanation).toMatchObject({
      kind: "map-value-bounds",
      chain: [{ role: "origin" }, { role: "origin" }, { role: "change" }, { role: "fault" }],
      limits: [{ what: "offset of the first byte", allowed: { min: 0, max: 120 }, found: { min: 128, max: 128 } }],
      docs: "docs/faults.md#map-value-bounds",
    });
  });
});
