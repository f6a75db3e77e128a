/**
 * Special fields in an object of clang's: in the values of its maps, and in data sections of its own. The verdicts, and the
 * instructions processed on the way, are those of Linux 6.18 for the object as libbpf loads it.
 */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readBtf, readObject } from "../../compiler/object/index.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { SPECIAL_FIELDS } from "../../spec/special-fields.ts";

const VMLINUX = "/sys/kernel/btf/vmlinux";
const OBJECT = new URL("objects/fields.bpf.o", import.meta.url);

/** By program: the kernel's last message, null where it takes the program; and how many instructions it processed. */
const ANSWERS: Readonly<Record<string, readonly [message: string | null, processed: number]>> = {
  push: [null, 20],
  push_under_another_lock: ["bpf_spin_lock at off=0 must be held for bpf_list_head", 13],
  add: [null, 29],
  drain: [null, 132],
  lightest: [null, 12],
  pop_unguarded: ["bpf_list_head not found at offset=0", 2],
  read_lock: ["bpf_spin_lock cannot be accessed directly by load/store", 2],
  start_timer: [null, 29],
  start_untyped_timer: ["map 'untyped' has to have BTF in order to use bpf_timer", 11],
  keep: [null, 23],
  take_and_forget: ["BPF_EXIT instruction in main prog would lead to reference leak", 20],
  look: [null, 15],
};

describe.skipIf(!existsSync(VMLINUX))("fields of map values and data sections", () => {
  // a suite that is skipped is collected all the same
  const target = existsSync(VMLINUX) ? { targetBtf: readBtf(readFileSync(VMLINUX)) } : {};
  const object = readObject(readFileSync(OBJECT), { name: "fields.bpf.o", ...target });

  test("have the kernel's sizes", () => {
    const btf = readBtf(readFileSync(VMLINUX));
    for (const { struct, sizeBytes, alignBytes } of SPECIAL_FIELDS) {
      if (struct === null) continue;
      const id = btf.findByName(struct, "struct");
      expect([struct, id === null ? null : btf.sizeOf(id)]).toEqual([struct, sizeBytes]);
      expect([struct, sizeBytes % alignBytes]).toEqual([struct, 0]);
    }
  });

  test("are found where clang put them", () => {
    const found = object.maps.map(({ name, fields = [] }) => [name, fields.map((one) => [one.kind, one.offsetBytes])]);
    expect(Object.fromEntries(found)).toMatchObject({
      values: [
        ["timer", 0],
        ["spinLock", 16],
        ["kptr", 24],
      ],
      untyped: [],
      ".data.A": [
        ["spinLock", 0],
        ["listHead", 8],
        ["rbRoot", 24],
      ],
      ".data.C": [],
    });
  });

  test.each(Object.entries(ANSWERS))("%s", (name, [message, processed]) => {
    const outcome = object.programs.find((one) => (one.ok ? one.program.name : one.name) === name);
    if (outcome?.ok !== true) throw new Error(`${name} cannot be loaded`);
    const result = verify(outcome.program);
    expect(result.verdict).toBe(message === null ? "accepted" : "rejected");
    if (result.verdict === "rejected") expect(result.error.message).toBe(message);
    expect(result.processedInsns).toBe(processed);
  });
});
