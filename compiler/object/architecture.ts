/** The machine that a kernel's BTF is of, by its struct pt_regs. */
import { type Architecture, DEFAULT_ARCHITECTURE, REGISTER_FILES } from "../../spec/registers.ts";
import type { Btf } from "./btf/btf.ts";

/** A member that only that machine's has. */
const SIGNS: Readonly<Record<Architecture, string>> = { x86_64: "orig_ax", arm64: "orig_x0" };

/**
 * What has no struct pt_regs, or that of another machine, counts as x86-64. Looking the struct up takes an index of all types'
 * names, 30 ms for a kernel's: only names that are there at all are worth it.
 */
export function architectureOf(btf: Btf): Architecture {
  const known = Object.keys(REGISTER_FILES) as Architecture[];
  const others = known.filter((architecture) => architecture !== DEFAULT_ARCHITECTURE);
  if (!others.some((architecture) => btf.strings.has(SIGNS[architecture]))) return DEFAULT_ARCHITECTURE;
  const names = new Set(membersOf(btf));
  return known.find((architecture) => names.has(SIGNS[architecture])) ?? DEFAULT_ARCHITECTURE;
}

/** Bytes of struct pt_regs; undefined: the BTF has none. */
export function registersBytesOf(btf: Btf): number | undefined {
  const id = btf.findByName("pt_regs", "struct");
  return id === null ? undefined : (btf.sizeOf(id) ?? undefined);
}

function membersOf(btf: Btf): string[] {
  const id = btf.findByName("pt_regs", "struct");
  const type = id === null ? null : btf.typeById(id);
  return type?.kind === "struct" ? type.members.map(({ name }) => name) : [];
}
