/**
 * Damaged BTF and .BTF.ext: whatever the bytes, reading, relocating and looking at types ends soon and with a typed error
 * if any. BPFJIT_MUTATIONS sets how many there are of each (10,000 for a thorough run), BPFJIT_SEED where they begin.
 */
import { describe, expect, it } from "vitest";
import { compatObject } from "../../api/index.ts";
import { BpfError } from "../../base/index.ts";
import { type Btf, readBtf, readObject } from "../../compiler/index.ts";
import { EXEC, GLOBAL_FUNC, writeElf, writeInsns } from "../object/elf-writer.ts";
import { declare } from "./declarations.ts";
import { FORMS, writeExt } from "./object.ts";
import { damageWords, generator, type Random } from "./random.ts";

const COUNT = Number(process.env.BPFJIT_MUTATIONS ?? 400);
const SEED = Number(process.env.BPFJIT_SEED ?? 1);
/** far above what any takes, even on a busy machine */
const MOST_MS = 10_000;
const LIMIT_MS = 60_000 + COUNT * 20;

const TYPES = `
  struct task { int pid; unsigned int flags : 3; char comm[16]; struct task *parent; struct { long a; union { int b; }; }; };
  struct sock___old { unsigned short family; enum state { UP, DOWN = 5 } state; int tag(user) *buffer; int tail[]; };
  enum64 wide { BIG = 0x100000000 }; typedef const struct task task_t; typedef int (*callback)(struct task *, long);
  int handler(struct task *, const char *); float ratio; int counter;
`;
const SECTION = "socket";
const local = declare(TYPES, [SECTION, "0:3", "0:4:1:0", "0", "1"]);
const target = declare(`long first; ${TYPES.replace("int pid;", "long more; int pid;")}`).bytes;

/** Relocations of several kinds, each of a `mov` that holds what the compiler would put there. */
const RELOCATIONS: readonly (readonly [type: string, access: string, kind: number, held: bigint])[] = [
  ["task", "0:3", 0, 24n],
  ["task", "0:4:1:0", 1, 4n],
  ["sock___old", "0:3", 2, 1n],
  ["task_t", "0", 12, 1n],
  ["callback", "0", 8, 1n],
  ["wide", "0", 10, 1n],
  ["state", "1", 11, 5n],
];

function objectWith(btf: Uint8Array, ext: Uint8Array): Uint8Array {
  const code = writeInsns([
    ...RELOCATIONS.flatMap(([, , , held]) => FORMS.mov(held)),
    [0xb7, 0, 0, 0],
    [0x95, 0, 0, 0],
  ]);
  return writeElf(
    [
      { name: SECTION, flags: EXEC, bytes: code },
      { name: ".BTF", bytes: btf },
      { name: ".BTF.ext", bytes: ext },
    ],
    [{ name: "program", info: GLOBAL_FUNC, section: 1, value: 0, size: code.length }],
  );
}

const records = RELOCATIONS.map(([type, access, kind], index) => [
  8 * index,
  local.idOf(type),
  local.stringAt(access),
  kind,
]);
const ext = writeExt(local.stringAt(SECTION), ...records);
const KERNEL = { kernel: "damaged", modules: [] };

const CASES: Readonly<Record<string, (random: Random) => void>> = {
  "the program's BTF": (random) => relocate(objectWith(damageWords(local.bytes, random), ext), readBtf(target)),
  ".BTF.ext": (random) => relocate(objectWith(local.bytes, damageWords(ext, random)), readBtf(target)),
  "the target's BTF": (random) => relocate(objectWith(local.bytes, ext), readBtf(damageWords(target, random))),
  "a module's BTF": (random) => {
    const base = readBtf(target);
    const own = { firstId: base.typeCount, stringBytes: base.strings.bytes.length };
    const module = readBtf(damageWords(declare(TYPES, [], own).bytes, random), base);
    relocate(objectWith(local.bytes, ext), readBtf(declare("int nothing;").bytes), module);
  },
};

describe("damaged BTF", () => {
  it("is not damaged to begin with", () => {
    const object = readObject(objectWith(local.bytes, ext), { targetBtf: readBtf(target) });
    expect(object.programs.map((outcome) => (outcome.ok ? null : outcome.error))).toEqual([null]);
  });

  it.each(Object.entries(CASES))(
    "%s",
    (_, run) => {
      for (let index = 0; index < COUNT; index++) {
        const seed = SEED * 1_000_003 + index;
        const started = performance.now();
        expect(
          escaped(() => run(generator(seed))),
          `seed ${seed}`,
        ).toBeNull();
        expect(performance.now() - started, `milliseconds of seed ${seed}`).toBeLessThan(MOST_MS);
      }
    },
    LIMIT_MS,
  );
});

function relocate(bytes: Uint8Array, targetBtf: Btf, module?: Btf): void {
  const modules = module === undefined ? [] : [{ name: "module", btf: module }];
  const object = readObject(bytes, { name: "damaged", targetBtf, modules });
  void object.types;
  for (const outcome of object.programs)
    if (!outcome.ok && !(outcome.error instanceof BpfError)) throw outcome.error as unknown;
  for (const btf of [object.btf, targetBtf, module ?? null]) if (btf !== null) lookAt(btf);
  compatObject(bytes, { ...KERNEL, modules, targetBtf });
}

function lookAt(btf: Btf): void {
  for (let id = 0; id < btf.typeCount; id++) {
    const error = escaped(() => {
      btf.ctype(id);
      btf.sizeOf(id);
      btf.alignOf(id);
    });
    if (error !== null) throw error;
  }
  escaped(() => btf.validate());
}

/** What came out that should not, null where all is well. */
function escaped(action: () => unknown): unknown {
  try {
    action();
    return null;
  } catch (error) {
    return error instanceof BpfError ? null : error;
  }
}
