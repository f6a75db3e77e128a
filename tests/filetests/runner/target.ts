/** BTF of the kernel that file tests call functions of and take types from: the running one's. */
import { existsSync, readFileSync } from "node:fs";
import type { Btf } from "../../../compiler/object/btf/btf.ts";
import { readBtf } from "../../../compiler/object/index.ts";

const VMLINUX = "/sys/kernel/btf/vmlinux";

let known: Btf | null | undefined;

/** Null where the running kernel has none. */
export function targetBtf(): Btf | null {
  known ??= existsSync(VMLINUX) ? readBtf(readFileSync(VMLINUX)) : null;
  return known;
}
