/**
 * The packed package, installed into an empty project: it imports with types, and a program is embedded in a small HTTP
 * service there. Needs the npm registry (or npm's cache) for the dependencies.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TABLES } from "../../bench/tables/index.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const npm = (cwd: string, ...args: string[]): string =>
  execFileSync("npm", args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32",
  });

describe("the packed package", () => {
  let project: string;

  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), "bpfjit-package-"));
    npm(ROOT, "pack", "--ignore-scripts", "--pack-destination", project);
    const tarball = readdirSync(project).find((name) => name.endsWith(".tgz"))!;
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "service", private: true, type: "module" }));
    npm(project, "install", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts", `./${tarball}`);
    cpSync(join(ROOT, "examples/http"), project, { recursive: true });
    cpSync(join(ROOT, "examples/protocols.bpf.o"), join(project, "protocols.bpf.o"));
    cpSync(join(ROOT, "examples/packets/udp-7777.bin"), join(project, "packet.bin"));
    cpSync(join(ROOT, "examples/countcomm.bpf.o"), join(project, "countcomm.bpf.o"));
    cpSync(join(ROOT, "examples/captures/sched.perf.data"), join(project, "sched.perf.data"));
  }, 240_000);

  afterAll(() => {
    rmSync(project, { recursive: true, force: true });
  });

  it("has the command", () => {
    const out = npm(
      project,
      "exec",
      "--",
      "bpfjit",
      "test-run",
      "protocols.bpf.o",
      "--prog",
      "count_protocols",
      "--data-in",
      "packet.bin",
      "--json",
    );
    expect(JSON.parse(out)).toMatchObject({ program: "count_protocols", retval: 1 });
  });

  it("brings its types", () => {
    writeFileSync(
      join(project, "use.ts"),
      [
        'import { load, type LoadedObject, type MapRecord } from "bpfjit";',
        'const object: LoadedObject = await load("requests.bpf.o");',
        'const records: AsyncIterable<MapRecord> = object.records("reports");',
        "// @ts-expect-error: there is no such option",
        'await load("requests.bpf.o", { nonsense: true });',
        "export { records };",
      ].join("\n"),
    );
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const types = join(ROOT, "node_modules/@types");
    const options = [
      "--noEmit",
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2022",
      "--lib",
      "es2023,esnext.disposable",
      "--types",
      "node",
      "--typeRoots",
      types,
    ];
    const { status, stdout } = spawnSync(process.execPath, [tsc, ...options, "use.ts"], {
      cwd: project,
      encoding: "utf8",
    });
    expect(stdout).toBe("");
    expect(status).toBe(0);
  });

  it("starts its threads: a crew for the CPUs, and the one that optimises", () => {
    const script = `
      import { fileInput, load, openPerfData } from "bpfjit";
      const object = await load("countcomm.bpf.o", { runtimeOptions: { cpus: 2, workers: 2 } });
      await object.run(await openPerfData(fileInput("sched.perf.data")));
      await object.optimized();
      process.stdout.write([object.tier, object.map("counts").size > 0].join());
      await object[Symbol.asyncDispose]();
    `;
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: project, encoding: "utf8" });
    expect([run.stdout, run.stderr, run.status]).toEqual(["optimized,true", "", 0]);
  });

  it("measures itself, and says what the machine lacks", { timeout: 240_000 }, () => {
    const command = join(project, "node_modules/bpfjit/lib/bin/bpfjit.js");
    const bench = (...args: readonly string[]) => {
      const run = spawnSync(process.execPath, [command, "bench", ...args, "--quick", "--json"], {
        cwd: project,
        encoding: "utf8",
        // no compiler, no perf
        env: { PATH: project, HOME: project },
      });
      const rows = run.stdout.trimEnd().split("\n");
      return { ...run, rows: rows.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>) };
    };
    const workloads = bench("--samples", "1", "--baseline", "kernel-loop,js");
    expect([workloads.status, workloads.stderr]).toEqual([0, expect.stringMatching(/^skipped: kernel-loop: .*\n$/)]);
    expect(new Set(workloads.rows.map(({ engine }) => engine))).toEqual(new Set(["bpfjit", "js"]));
    const tables = bench("--table", "all");
    expect(tables.status).toBe(0);
    for (const line of tables.stderr.trimEnd().split("\n"))
      expect(line).toMatch(/^skipped: (perf script|the kernel's maps): /);
    expect(new Set(tables.rows.map(({ table }) => table)).size).toBe(TABLES.length);
  });

  it("counts the requests of an HTTP service from inside", async () => {
    const service: ChildProcess = spawn(process.execPath, ["service.js", "0"], {
      cwd: project,
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const port = await new Promise<string>((resolve, reject) => {
        createInterface({ input: service.stdout! }).on("line", (line) => {
          const found = /listening on (\d+)/.exec(line);
          if (found !== null) resolve(found[1]!);
        });
        service.on("exit", (code) => reject(new Error(`the service ended with ${code}`)));
      });
      const url = `http://127.0.0.1:${port}`;
      for (let i = 0; i < 20; i++) await (await fetch(`${url}/`)).text();
      for (let i = 0; i < 5; i++) await (await fetch(`${url}/missing`)).text();
      // a response is counted when it has been sent: give the last one its turn
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { statuses, latencyLog2Us } = (await (await fetch(`${url}/metrics`)).json()) as {
        statuses: Record<string, number>;
        latencyLog2Us: number[];
      };
      expect(statuses).toEqual({ 200: 20, 404: 5 });
      expect(latencyLog2Us.reduce((sum, count) => sum + count, 0)).toBe(25);
    } finally {
      service.kill();
    }
  });
});
