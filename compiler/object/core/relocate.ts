/** CO-RE: makes instructions that depend on the layout of kernel types fit the target's. */
import { UnsupportedError } from "../../../base/index.ts";
import { INSN_BYTES } from "../../../spec/isa.ts";
import type { Btf } from "../btf/btf.ts";
import type { BtfExt } from "../btf/ext.ts";
import type { FunctionTable } from "../functions.ts";
import type { Layout } from "../layout.ts";

export function applyCoreRelocations(
  functions: FunctionTable,
  layout: Layout,
  _local: Btf,
  ext: BtfExt,
  _target: Btf | null,
): void {
  for (const section of layout.code) {
    for (const relocation of ext.relocations.get(section.name) ?? []) {
      const fn = functions.find(section, Math.floor(relocation.offsetBytes / INSN_BYTES));
      if (fn !== null)
        fn.failure ??= new UnsupportedError("UNSUPPORTED_FEATURE", "CO-RE", "CO-RE relocations are not supported");
    }
  }
}
