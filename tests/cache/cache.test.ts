/** Compiled objects that are kept on disk: what is found there is what compiling would give, or it is not used. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type CompileOptions,
  compile,
  defineTracepoint,
  load,
  type OpenObject,
  openObject,
  readTargetBtf,
} from "../../api/index.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const PROTOCOLS = path("examples/protocols.bpf.o");
const fast = { optimize: 0 } as const;

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "bpfjit-cache-"));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

const names = (): string[] => readdirSync(cache).sort();
const entry = (): string => join(cache, names()[0]!);
/** Changes whenever an entry is written. */
const written = (): string =>
  names()
    .map((name) => `${name} ${statSync(join(cache, name)).ino}`)
    .join();

describe("the cache of compiled objects", () => {
  it("gives what compiling gave, byte for byte, and writes nothing then", async () => {
    const fresh = await compile(PROTOCOLS, fast);
    expect(names()).toEqual([]);
    const missed = await compile(PROTOCOLS, { ...fast, cache });
    const before = written();
    const hit = await compile(PROTOCOLS, { ...fast, cache });
    expect([missed, hit]).toEqual([fresh, fresh]);
    expect(Buffer.from(hit.wasm).equals(fresh.wasm)).toBe(true);
    expect(written()).toBe(before);

    await using object = await load(PROTOCOLS, { ...fast, cache });
    const dataIn = readFileSync(path("examples/packets/udp-7777.bin"));
    expect(object.program("count_protocols").testRun({ dataIn }).retval).toBe(1);
    expect([statSync(entry()).mode & 0o777, names().length]).toEqual([0o600, 1]);
  });

  it("does not use what is damaged, cut short, foreign or cannot be read, and replaces it", async () => {
    const { wasm } = await compile(PROTOCOLS, { ...fast, cache });
    const whole = readFileSync(entry());
    const headBytes = whole.length - wasm.length;
    const flipped = (at: number): Buffer => {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 1;
      return bytes;
    };
    const damages: readonly Uint8Array[] = [
      new Uint8Array(0),
      whole.subarray(0, 10),
      whole.subarray(0, headBytes),
      whole.subarray(0, whole.length - 1),
      Buffer.concat([whole, Buffer.of(0)]),
      wasm,
      ...[0, 13, headBytes - 1, headBytes, headBytes + 100, whole.length - 1].map(flipped),
    ];
    for (const damage of damages) {
      writeFileSync(entry(), damage);
      const before = written();
      expect((await compile(PROTOCOLS, { ...fast, cache })).wasm).toEqual(wasm);
      expect(written()).not.toBe(before);
      expect(readFileSync(entry()).equals(whole)).toBe(true);
    }
    // another object's entry under this one's name
    const place = entry();
    await compile(path("examples/countcomm.bpf.o"), { ...fast, cache });
    const other = names().find((name) => join(cache, name) !== place)!;
    copyFileSync(join(cache, other), place);
    expect((await compile(PROTOCOLS, { ...fast, cache })).manifest.name).toBe("protocols");
    expect(readFileSync(place).equals(whole)).toBe(true);
  });

  it("does without a directory that cannot be made, read or written", async () => {
    const file = join(cache, "file");
    writeFileSync(file, "");
    for (const directory of [file, join(file, "below"), "/proc/none"]) {
      expect((await compile(PROTOCOLS, { ...fast, cache: directory })).wasm.length).toBeGreaterThan(100);
    }
    expect(names()).toEqual(["file"]);
  });

  it("keeps nothing of what is rejected", async () => {
    const object = await openObject(PROTOCOLS, { ...fast, cache });
    object.program("count_protocols").type = "kprobe";
    await expect(object.compile()).rejects.toMatchObject({ name: "VerifierError" });
    expect(names()).toEqual([]);
  });
});

describe("the key of an entry", () => {
  const RUNQLAT = path("examples/runqlat.bpf.o");
  const bytes = readFileSync(RUNQLAT);
  const count = async (options: CompileOptions, source: string | Uint8Array = RUNQLAT): Promise<number> => {
    await compile(source, { ...fast, cache, ...options });
    return names().length;
  };

  it("is another for whatever changes the result", async () => {
    expect(await count({})).toBe(1);
    expect(await count({ optimize: 1 })).toBe(2);
    expect(await count({ programs: ["handle_switch"] })).toBe(3);
    expect(await count({ name: "other.bpf.o" })).toBe(4);
    const own = defineTracepoint("own_event", { args: { value: "u32" } });
    expect(await count({ tracepoints: [own] })).toBe(4);

    const edited = async (change: (object: OpenObject) => void): Promise<number> => {
      const object = await openObject(RUNQLAT, { ...fast, cache });
      change(object);
      await object.compile();
      return names().length;
    };
    const { maps } = await openObject(RUNQLAT);
    const sized = Object.values(maps).find(({ type }) => type === "hash")!.name;
    expect(await edited(({ maps }) => Object.assign(maps[sized]!, { maxEntries: 77 }))).toBe(5);
    expect(await edited(({ programs }) => Object.assign(programs.handle_switch!, { autoload: false }))).toBe(6);
    const elsewhere = { attachTarget: "sched_waking" };
    expect(await edited(({ programs }) => Object.assign(programs.handle_switch!, elsewhere))).toBe(7);
  });

  it("holds the target's types, which are hashed by what they say", async () => {
    // any BTF will do for a kernel's
    const btfOf = (name: string) => readTargetBtf(readFileSync(path(`examples/${name}.bpf.o`)));
    expect(await count({}, PROTOCOLS)).toBe(1);
    expect(await count({ targetBtf: btfOf("opens") }, PROTOCOLS)).toBe(2);
    expect(await count({ targetBtf: btfOf("execlog") }, PROTOCOLS)).toBe(3);
    expect(await count({ targetBtf: btfOf("opens") }, PROTOCOLS)).toBe(3);
    expect(await count({ targetBtf: btfOf("opens"), symbols: new Map() }, PROTOCOLS)).toBe(4);
  });

  it("is the same however that was said", async () => {
    expect(await count({})).toBe(1);
    const copy = join(cache, "..", `${process.pid}-copy`, "..", "runqlat.bpf.o");
    expect(await count({ name: copy }, bytes)).toBe(1);
    expect(await count({ programs: ["handle_switch", "handle_wakeup_new", "handle_wakeup"] })).toBe(1);
    const object = await openObject(RUNQLAT, { ...fast, cache });
    for (const map of Object.values(object.maps)) if (map.type === "hash") map.maxEntries += 0;
    await object.compile();
    expect(names().length).toBe(1);
  });
});

describe("an entry that is there", () => {
  it("spares a process the verifier and binaryen", async () => {
    const { wasm } = await compile(PROTOCOLS, { ...fast, cache });
    const script = join(cache, "hit.mjs");
    writeFileSync(
      script,
      `import { register } from "node:module";
       const hooks = 'export const resolve = (name, context, next) => { if (name === "binaryen") throw new Error("it is imported"); return next(name, context); }';
       register("data:text/javascript," + encodeURIComponent(hooks));
       const { compile } = await import(${JSON.stringify(path("dist/api/index.js"))});
       const [object, cache] = process.argv.slice(2);
       const { wasm } = await compile(object, { optimize: 0, ...(cache && { cache }) });
       console.log(wasm.length);`,
    );
    const run = (...args: string[]) => spawnSync(process.execPath, [script, PROTOCOLS, ...args], { encoding: "utf8" });
    expect(run(cache).stdout.trim()).toBe(String(wasm.length));
    expect(run().stderr).toContain("it is imported");
  });
});
