/**
 * Damaged objects: whatever the bytes, readObject() answers with an object or a BpfError, soon. BPFJIT_MUTATIONS sets how
 * many there are of each object (10,000 for a thorough run), BPFJIT_SEED where they begin.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { readBtf, readObject } from "../../compiler/object/index.ts";

const COUNT = Number(process.env.BPFJIT_MUTATIONS ?? 300);
const SEED = Number(process.env.BPFJIT_SEED ?? 1);
/** far above what any takes, even on a busy machine; a hang would be caught by the test's own limit */
const MOST_MS = 10_000;

const folders = ["fixtures/", "../../examples/"].map((folder) => fileURLToPath(new URL(folder, import.meta.url)));
const objects = folders.flatMap((folder) =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".bpf.o"))
    .map((file) => ({ name: file, bytes: new Uint8Array(readFileSync(folder + file)) })),
);
const target = readBtf(objects.find(({ name }) => name === "core-target.bpf.o")!.bytes);

describe("damaged objects", () => {
  it.each(objects)(
    "$name",
    ({ bytes }) => {
      for (let index = 0; index < COUNT; index++) {
        const seed = SEED * 1_000_003 + index;
        const damaged = damage(bytes, generator(seed));
        const started = performance.now();
        const unexpected = failureOf(damaged);
        expect(unexpected, `seed ${seed}`).toBeNull();
        expect(performance.now() - started, `milliseconds of seed ${seed}`).toBeLessThan(MOST_MS);
      }
    },
    60_000 + COUNT * 20,
  );
});

/** What escaped that should not, null where all is well. */
function failureOf(bytes: Uint8Array): unknown {
  try {
    const object = readObject(bytes, { name: "damaged", targetBtf: target, kconfig: "CONFIG_HZ=100\n" });
    // What is decoded on demand is demanded.
    void object.types;
    if (object.btf !== null) for (let id = 0; id < object.btf.typeCount; id++) decode(() => object.btf!.ctype(id));
    for (const outcome of object.programs)
      if (!outcome.ok && !(outcome.error instanceof BpfError)) return outcome.error;
    return null;
  } catch (error) {
    return error instanceof BpfError ? null : error;
  }
}

function decode(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
  }
}

type Random = (below: number) => number;

/** mulberry32 */
function generator(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const WORDS = [0, 1, 7, 8, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8];

function damage(original: Uint8Array, random: Random): Uint8Array {
  const bytes = original.slice();
  const view = new DataView(bytes.buffer);
  const times = 1 + random(4);
  for (let time = 0; time < times; time++) {
    switch (random(7)) {
      case 0:
        for (let flips = 1 + random(8); flips > 0; flips--) bytes[random(bytes.length)]! ^= 1 << random(8);
        break;
      case 1:
        view.setUint32(4 * random(bytes.length >> 2), WORDS[random(WORDS.length)]!, true);
        break;
      case 2: {
        // A chunk over another: sections that hold what belongs to others, types that repeat.
        const length = 1 + random(Math.min(256, bytes.length >> 1));
        const from = random(bytes.length - length);
        bytes.copyWithin(random(bytes.length - length), from, from + length);
        break;
      }
      case 3:
        damageHeader(view, random);
        break;
      case 4:
        swapSections(bytes, view, random);
        break;
      case 5: {
        // A small change of a number: off by one, off by eight.
        const at = 4 * random(bytes.length >> 2);
        view.setUint32(at, view.getUint32(at, true) + [1, -1, 8, -8, 12][random(5)]!, true);
        break;
      }
      default:
        if (time === times - 1 && random(3) === 0) return bytes.subarray(0, random(bytes.length));
    }
  }
  return bytes;
}

const sectionTable = (view: DataView) => Number(view.getBigUint64(40, true));

/** Lies in one field of a section's header. */
function damageHeader(view: DataView, random: Random): void {
  const table = sectionTable(view);
  const count = view.getUint16(60, true);
  const at = table + 64 * random(Math.max(1, count)) + 4 * random(16);
  if (at + 4 <= view.byteLength)
    view.setUint32(at, random(2) === 0 ? random(view.byteLength) : WORDS[random(WORDS.length)]!, true);
}

/** Two sections get each other's place and size. */
function swapSections(bytes: Uint8Array, view: DataView, random: Random): void {
  const table = sectionTable(view);
  const count = view.getUint16(60, true);
  const [a, b] = [table + 64 * random(Math.max(1, count)) + 24, table + 64 * random(Math.max(1, count)) + 24];
  if (!(a + 16 <= bytes.length && b + 16 <= bytes.length)) return;
  const first = bytes.slice(a, a + 16);
  bytes.copyWithin(a, b, b + 16);
  bytes.set(first, b);
}
