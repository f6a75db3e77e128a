/** Stack traces: helpers, maps and errors as in the kernel, for the call chain that an event has. */

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BpfMap, type EventStack, fileInput, type LoadedObject, load, openPerfData } from "../../api/index.ts";
import { BpfError } from "../../base/index.ts";
import { ERRNO } from "../../spec/index.ts";
import { compileC } from "../kernel/compile-c.ts";
import { RECORDING } from "../kernel/recording.ts";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const OBJECT = path("fixtures/stacks.bpf.o");
const RECORDED = path("recorded/stacks.json");

/**
 * In the words of stacks.c. The first two show the chain but for the kernel's innermost address, which is that of the call in the
 * program and so another one for every helper: it is skipped everywhere.
 */
const COMMANDS = [
  "run 1 248",
  "run 0x100 248",
  "next stacks -1",
  "run 1 128",
  "run 1 8",
  "run 1 0",
  "run 2 128",
  "run 0x101 128",
  "run 0x300 8",
  "run 0x201 8",
  "run 0x1000 8",
  "run 0x800 64",
  "run 0x900 40",
  "run 1 12",
  "run 0xff 64",
  "run 3 64",
  "run 0x401 64",
  "run 0x402 64",
  "run 0x403 64",
  ...[0, 1, 2, 7].flatMap((id) => [`get stacks ${id}`, `get ids ${id}`, `next stacks ${id}`, `next ids ${id}`]),
  ...[0, 1, 2, 3].flatMap((id) => [`delete stacks ${id}`, `take ids ${id}`]),
  "delete stacks 5",
  "update stacks 0",
  "run 1 8",
  ...["0 4 8 1", "0 4 12 1", "0 8 8 1", "0 4 1016 1", "0 4 1024 1", "32 4 32 1", "32 4 40 1", "32 4 4064 1"].map(
    create,
  ),
  ...["1 4 8 1", "0 4 8 0", "0 4 0 1", "128 4 8 1", "8 4 8 1", "24 4 8 1", "0 4 8 3000000000"].map(create),
];

function create(definition: string): string {
  return `create ${definition}`;
}

function askKernel(): string[] | null {
  const reader = compileC(path("stacks.c"), "-fno-omit-frame-pointer", "-lbpf");
  if (reader === null) return null;
  const { stdout } = spawnSync(reader, [OBJECT], { input: `${COMMANDS.join("\n")}\n`, encoding: "utf8" });
  const answers = stdout.trimEnd().split("\n");
  return answers.length === COMMANDS.length ? answers : null;
}

const wordsOf = (hex: string): bigint[] => {
  const bytes = Buffer.from(hex, "hex");
  const words = Array.from({ length: bytes.length / 8 }, (_, index) => bytes.readBigUInt64LE(8 * index));
  return words.slice(0, words.indexOf(0n));
};

/** Which ids and addresses there are depends on the kernel's addresses: bpfjit is given them. */
async function answersFor(theirs: readonly string[]): Promise<string[]> {
  const [kernel, user] = theirs.slice(0, 2).map((answer) => wordsOf(answer.split(" ")[4]!.slice(0, 496)));
  await using object = await load(OBJECT, { programs: ["on_raw"] });
  return COMMANDS.map((command) => {
    try {
      return `ok ${answer(object, command.split(" "), { kernel: [0n, ...kernel!], user })}`.trimEnd();
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno === null) throw error;
      return `err ${ERRNO[error.errno]}`;
    }
  });
}

function answer(object: LoadedObject, [command, first, ...rest]: string[], stack: EventStack): string {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  if (command === "run") return run(object, Number(first), Number(rest[0]), { stack });
  if (command === "create") {
    const [keySize, valueSize, maxEntries] = rest.map(Number) as [number, number, number];
    const spec = { ...object.map("stacks").raw.spec, flags: Number(first), keySize, valueSize, maxEntries };
    object.runtime.createMap(spec).close();
    return "";
  }
  const map = object.map(first!).raw;
  const id = Number(rest[0]);
  const key = new Uint8Array(Uint32Array.of(id).buffer);
  switch (command) {
    case "get":
      return hex(found(map.lookup(key)));
    case "take":
      return hex(found(map.lookupAndDelete(key))).slice(0, 128);
    case "next":
      return String(new DataView(found(map.nextKey(id < 0 ? null : key)).buffer).getUint32(0, true));
    case "delete":
      found(map.delete(key) ? key : null);
      return "";
    default:
      map.update(key, new Uint8Array(map.valueSize));
      return "";
  }
}

function found(value: ReturnType<BpfMap["lookup"]>): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new BpfError("MAP_OPERATION", "there is none", { errno: "ENOENT" });
}

/** What the helpers answered, and the bytes that one of them wrote. */
function run(
  object: LoadedObject,
  flags: number,
  bytes: number,
  { stack, program = "on_raw" }: { readonly stack?: EventStack; readonly program?: string } = {},
): string {
  const bss = Object.values(object.maps).find(({ name }) => name.endsWith(".bss"))!.raw;
  const key = new Uint8Array(4);
  const value = new Uint8Array(bss.valueSize).fill(0x55);
  const view = new DataView(value.buffer);
  view.setBigUint64(0, BigInt(flags), true);
  view.setBigUint64(8, BigInt(bytes), true);
  bss.update(key, value);
  object.program(program).testRun(stack === undefined ? {} : { stack });
  const seen = bss.lookup(key) as Uint8Array;
  const results = new DataView(seen.buffer);
  const answers = [16, 24, 32].map((at) => results.getBigInt64(at, true));
  return `${answers.join(" ")} ${Buffer.from(seen.subarray(40)).toString("hex")}`;
}

if (RECORDING) {
  const answers = askKernel();
  if (answers !== null) writeFileSync(RECORDED, `${JSON.stringify(answers, null, 1)}\n`);
}

describe("stack traces", () => {
  const recorded = JSON.parse(readFileSync(RECORDED, "utf8")) as string[];
  const live = askKernel();

  it("are as recorded of the kernel", () => compare(recorded));
  it.skipIf(live === null)("are as this kernel has them", () => compare(live!));
});

async function compare(theirs: readonly string[]): Promise<void> {
  const ours = await answersFor(theirs);
  for (const [index, command] of COMMANDS.entries()) {
    // it knows the file that is mapped at an address of the user's
    if (/ ids /.test(command) && theirs[index]!.startsWith(`ok ${VALID}`)) continue;
    expect(`${command}: ${ours[index]}`).toBe(`${command}: ${theirs[index]}`);
  }
}

/** BPF_STACK_BUILD_ID_VALID */
const VALID = "01000000";

describe("the stack of an event", () => {
  let object: LoadedObject;
  beforeAll(async () => {
    object = await load(OBJECT);
  });
  afterAll(() => object.close());

  it("is not known where the event has none", () => {
    for (const flags of [0, 0x100]) expect(run(object, flags, 8)).toMatch(/^-14 -14 -14 0{16}55/);
  });

  it("is the kernel's, the user's or both", () => {
    const kernel = [0xffff_ffff_8100_0001n, 0xffff_ffff_8100_0002n];
    const user = [0x401000n];
    expect(run(object, 0, 16, { stack: { kernel, user } })).toMatch(/^\d \d 16 01000081ffffffff02000081ffffffff55/);
    expect(run(object, 0x500, 16, { stack: { kernel, user } })).toMatch(/^\d \d -22/);
    expect(run(object, 0x100, 16, { stack: { user } })).toMatch(/ 8 0010400{26}55/);
    expect(run(object, 0, 16, { stack: { user } })).toMatch(/^-14 -14 0 0{32}55/);
  });

  it("is 127 addresses deep at most", async () => {
    const kernel = Array.from({ length: 200 }, (_, index) => 0xffff_ffff_8100_0000n + BigInt(index));
    expect(run(object, 126, 16, { stack: { kernel } })).toMatch(/ 8 7e000081ffffffff0{16}55/);
    expect(run(object, 127, 16, { stack: { kernel } })).toMatch(/^-14 -14 0 0{32}55/);
    expect(run(object, 128, 16, { stack: { kernel } })).toMatch(/^-14 -14 -14/);
  });

  it("reaches programs that a hook runs", () => {
    const link = object.program("on_kprobe").attach();
    object.map("stacks").raw.clear();
    link.hook.fire({ args: [] }, { stack: { kernel: [0xffff_ffff_8100_0001n] } });
    expect(object.map("stacks").raw.size).toBe(0);
    const bss = Object.values(object.maps).find(({ name }) => name.endsWith(".bss"))!.raw;
    bss.update(new Uint8Array(4), new Uint8Array(bss.valueSize));
    link.hook.fire({ args: [] }, { stack: { kernel: [0xffff_ffff_8100_0001n] } });
    const [entry] = object.map("stacks").raw.entries();
    expect(wordsOf(Buffer.from(entry!.value as Uint8Array).toString("hex"))).toEqual([0xffff_ffff_8100_0001n]);
    link.detach();
  });
});

describe("the stack of a recorded event", () => {
  it("is the sample's call chain", async () => {
    await using object = await load(OBJECT, { programs: ["on_switch"], runtimeOptions: { cpus: 2 } });
    await object.run(await openPerfData(fileInput(path("../sources/recorded/callgraph.perf.data"))));
    const chains = [...object.map("stacks").raw.entries()].map(({ value }) =>
      wordsOf(Buffer.from(value as Uint8Array).toString("hex")).map((ip) => ip.toString(16)),
    );
    // what `perf script -F ip` shows of the switches, but for the user's
    expect(chains).toEqual([
      ["ffffffff821facd8", "ffffffff821fb643", "ffffffff81417441", "ffffffff821ef85b", "ffffffff81000130"],
      [
        "ffffffff821facd8",
        "ffffffff821fb643",
        "ffffffff81360643",
        "ffffffff81360ccc",
        "ffffffff821ef691",
        "ffffffff81000130",
      ],
    ]);
  });
});
