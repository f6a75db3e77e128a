/**
 * The same operations on the kernel's maps and on ours. The kernel's answers are committed, for machines where bpf() does not
 * work; where it does, it is asked anew. Recorded with `RECORD=1 npx vitest run tests/maps/kernel.test.ts`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { BpfError, fromHex, toHex } from "../../base/index.ts";
import { type BpfMap, createMap, type MapValue } from "../../runtime/maps/index.ts";
import { ERRNO, MAP_FLAG, mapTypeById } from "../../spec/index.ts";
import { makeRandom } from "../contract/map.ts";
import { commandRuns } from "../kernel/commands.ts";
import { mapSpec } from "./spec.ts";
import { makeWorld, type TestWorld } from "./world.ts";

const RECORDED = new URL("recorded/kernel-maps.json", import.meta.url);
const RECORDING = process.env.RECORD === "1";

interface Answers {
  readonly cpus: number;
  readonly answers: readonly string[];
}

/** What is asked of both sides, for a machine of that many CPUs. */
function script(cpus: number): string[] {
  return [...creations(), ...operations(cpus)];
}

/** type, key size, value size, entries, flags: each field at its edges around a definition that is good. */
function creations(): string[] {
  const lines: string[] = [];
  const good: Record<number, [number, number, number]> = {
    1: [4, 8, 10],
    2: [4, 8, 10],
    3: [4, 4, 10],
    4: [4, 4, 2],
    5: [4, 8, 10],
    6: [4, 8, 10],
    9: [4, 8, 10],
    10: [4, 8, 10],
    27: [0, 0, 4096],
  };
  for (const [type, [keySize, valueSize, entries]] of Object.entries(good)) {
    const add = (key: number, value: number, max: number, flags: number) =>
      lines.push(`create ${type} ${key} ${value} ${max} ${flags >>> 0}`);
    for (const key of [0, 1, 3, 4, 5, 8, 511]) add(key, valueSize, entries, 0);
    for (const value of [0, 1, 3, 4, 5, 8, 32_768, 32_769, 40_000]) add(keySize, value, entries, 0);
    for (const max of [0, 1, 2, 1000, 4096, 8192, 12_288]) {
      // createMap() makes it as many as there are CPUs, as libbpf does before it asks the kernel
      if (type === "4" && max === 0) continue;
      add(keySize, valueSize, max, 0);
    }
    for (let bit = 0; bit < 32; bit++) {
      // what needs a file descriptor or a NUMA node that the line does not have, and what newer kernels add
      if (bit === 2 || bit >= 13) continue;
      add(keySize, valueSize, entries, 1 << bit);
    }
    add(keySize, valueSize, entries, MAP_FLAG.RDONLY | MAP_FLAG.WRONLY);
  }
  lines.push("create 1 4 4194252 1 1", "create 1 4 4194251 1 1", "create 1 4194000 400 1 1");
  return lines;
}

/** Random operations on maps of each type, seeded, so that a recording stays good. */
function operations(cpus: number): string[] {
  const lines: string[] = [];
  const random = makeRandom(20_240_607);
  for (const [type, keySize, valueSize, entries, flags] of [
    [2, 4, 5, 7, 0],
    [2, 4, 300, 3, MAP_FLAG.MMAPABLE],
    [6, 4, 9, 5, 0],
    [1, 4, 8, 7, 0],
    [1, 4, 8, 7, MAP_FLAG.NO_PREALLOC],
    [1, 1, 3, 7, 0],
    [1, 16, 40, 12, 0],
    [1, 23, 260, 12, MAP_FLAG.NO_PREALLOC],
    [5, 8, 12, 7, 0],
    [5, 8, 12, 7, MAP_FLAG.NO_PREALLOC],
    // so many entries that nothing is given up
    [9, 4, 8, 1000, 0],
    [9, 16, 40, 1000, MAP_FLAG.NO_COMMON_LRU],
    [10, 8, 12, 1000, 0],
    [1, 4, 8, 7, MAP_FLAG.RDONLY],
    [2, 4, 8, 7, MAP_FLAG.WRONLY],
    [3, 4, 4, 3, 0],
    [27, 0, 0, 4096, 0],
  ] as const) {
    lines.push(`create ${type} ${keySize} ${valueSize} ${entries} ${flags}`);
    const perCpu = mapTypeById(type)!.perCpu;
    // the kernel keeps a per-CPU value's padding too, our values have none
    const paddedBytes = perCpu ? Math.ceil(valueSize / 8) * 8 : valueSize;
    const oneValue = () =>
      toHex(Uint8Array.from({ length: valueSize }, () => random() & 0xff)).padEnd(2 * paddedBytes, "0");
    const value = () => Array.from({ length: perCpu ? cpus : 1 }, oneValue).join("");
    const key = () => {
      const bytes = new Uint8Array(keySize);
      if (keySize > 0) bytes[0] = random() % (Math.min(entries, 12) + 2);
      return toHex(bytes) || "-";
    };
    for (let step = 0; step < 150; step++) {
      const flag = random() % 4 === 0 ? random() % 10 : 0;
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
          // a prog array takes the file descriptor of a program
          if (type === 3) lines.push(`lookup ${key()}`);
          else lines.push(`update ${key()} ${value() || "-"} ${flag}`);
          break;
        case 3:
          lines.push(`lookup ${key()}`);
          break;
        case 4:
          lines.push(`delete ${key()}`);
          break;
        case 5:
          lines.push(`take ${key()}`);
          break;
        case 6:
          // an order of keys only arrays have
          lines.push(type === 2 || type === 6 ? `next ${random() % 3 === 0 ? "-" : key()}` : "keys");
          break;
        default:
          if (step > 120) lines.push("freeze");
      }
    }
    if (type !== 27) lines.push("keys");
  }
  return lines;
}

/** Our side of kernel-maps.c. */
class Ours {
  readonly #world: TestWorld;
  readonly #cpus: number;
  #map: BpfMap | null = null;

  constructor(cpus: number) {
    this.#cpus = cpus;
    this.#world = makeWorld({ cpus, maximumBytes: 256 << 20 });
  }

  answer(line: string): string {
    const words = line.split(" ");
    try {
      return this.#do(words);
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno === null) throw error;
      return `-${ERRNO[error.errno]}`;
    }
  }

  #do(words: readonly string[]): string {
    if (words[0] === "create") return this.#create(words.slice(1).map(Number));
    // what the kernel answers on the descriptor of a map that was not made
    const map = this.#map;
    if (map === null) return `-${ERRNO.EBADF}`;
    const key = fromHex(words[1] === "-" ? "" : (words[1] ?? ""))!;
    const valueOrMissing = (value: MapValue | null) => (value === null ? `-${ERRNO.ENOENT}` : this.#hex(map, value));
    switch (words[0]) {
      case "update":
        map.update(key, this.#value(map, fromHex(words[2] === "-" ? "" : words[2]!)!), Number(words[3]));
        return "0";
      case "lookup":
        return valueOrMissing(map.lookup(key));
      case "take":
        return valueOrMissing(map.lookupAndDelete(key));
      case "delete":
        return map.delete(key) ? "0" : `-${ERRNO.ENOENT}`;
      case "freeze":
        map.freeze();
        return "0";
      case "next": {
        const next = map.nextKey(words[1] === "-" ? null : key);
        return next === null ? `-${ERRNO.ENOENT}` : toHex(next);
      }
      case "keys":
        return this.#keys(map);
      default:
        return "?";
    }
  }

  #create([id, keySize, valueSize, maxEntries, flags]: readonly number[]): string {
    this.#map?.close();
    this.#map = null;
    const type = mapTypeById(id!)!.name;
    this.#map = createMap(
      this.#world,
      mapSpec({ type, keySize: keySize!, valueSize: valueSize!, maxEntries: maxEntries!, flags: flags! | 0 }),
    );
    return "0";
  }

  #keys(map: BpfMap): string {
    try {
      return [...map.keys()].map(toHex).sort().join(" ");
    } catch {
      // kernel-maps.c stops at the first error
      return "";
    }
  }

  #value(map: BpfMap, bytes: Uint8Array): MapValue {
    if (!map.perCpu) return bytes;
    const stride = bytes.length / this.#cpus;
    return Array.from({ length: this.#cpus }, (_, cpu) => bytes.slice(cpu * stride, cpu * stride + map.valueSize));
  }

  #hex(map: BpfMap, value: MapValue): string {
    if (value instanceof Uint8Array) return toHex(value);
    const stride = Math.ceil(map.valueSize / 8) * 8;
    return value.map((one) => toHex(one).padEnd(2 * stride, "0")).join("");
  }
}

/** Why the kernel cannot be asked, or the program that asks it. */
function findKernel(): { readonly path: string | null; readonly problem: string } {
  if (process.env.BPFJIT_TEST_KERNEL === "0") return { path: null, problem: "BPFJIT_TEST_KERNEL=0" };
  const compiler = ["cc", "gcc", "clang"].find((name) => commandRuns(name, ["--version"]));
  if (compiler === undefined) return { path: null, problem: "no C compiler" };
  const folder = join(tmpdir(), `bpfjit-tests-${process.getuid?.() ?? 0}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `kernel-maps-${process.pid}`);
  const source = fileURLToPath(new URL("kernel-maps.c", import.meta.url));
  if (!commandRuns(compiler, ["-O1", "-o", path, source])) return { path: null, problem: "no linux/bpf.h" };
  const probe = askKernel(path, ["create 2 4 8 1 0", "lookup 00000000"]);
  return probe[1] === "0000000000000000" ? { path, problem: "" } : { path: null, problem: `bpf() answers ${probe[0]}` };
}

function askKernel(path: string, lines: readonly string[]): string[] {
  const { stdout } = spawnSync(path, { input: `${lines.join("\n")}\n`, encoding: "utf8", maxBuffer: 1 << 26 });
  return stdout.split("\n").slice(0, -1);
}

/** Lines that the two sides answer differently. */
function differences(lines: readonly string[], ours: readonly string[], theirs: readonly string[]): string[] {
  const found: string[] = [];
  let map = "";
  for (const [index, line] of lines.entries()) {
    if (line.startsWith("create")) map = line;
    if (ours[index] !== theirs[index])
      found.push(`line ${index} (${map}): ${line.slice(0, 60)}: ours ${ours[index]}, kernel ${theirs[index]}`);
  }
  return found;
}

describe("maps against the kernel", () => {
  it("answer as recorded", () => {
    const { cpus, answers } = JSON.parse(readFileSync(RECORDED, "utf8")) as Answers;
    const lines = script(cpus);
    const ours = new Ours(cpus);
    expect(
      differences(
        lines,
        lines.map((line) => ours.answer(line)),
        answers,
      ),
    ).toEqual([]);
    expect(answers.length).toBe(lines.length);
  });

  const { path, problem } = findKernel();
  it.skipIf(path === null)(`answer as the running kernel${problem === "" ? "" : ` (${problem})`}`, () => {
    const cpus = Number(askKernel(path!, ["cpus"])[0]);
    const lines = script(cpus);
    const theirs = askKernel(path!, lines);
    if (RECORDING || !existsSync(RECORDED)) {
      mkdirSync(new URL(".", RECORDED), { recursive: true });
      writeFileSync(RECORDED, `${JSON.stringify({ cpus, answers: theirs }, null, 0)}\n`);
    }
    const ours = new Ours(cpus);
    expect(
      differences(
        lines,
        lines.map((line) => ours.answer(line)),
        theirs,
      ),
    ).toEqual([]);
  });
});
