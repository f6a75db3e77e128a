/**
 * What a program attaches to, for the types whose attach point is a BTF id: a function by its name, an LSM hook, an
 * iterator or a tracepoint by what the kernel calls its type. Source: libbpf, libbpf_find_attach_btf_id().
 */
import { ObjectError } from "../../base/index.ts";
import type { AttachTypeName } from "../../spec/index.ts";
import type { AttachBtf, Program } from "../program.ts";
import type { Btf } from "./btf/btf.ts";
import type { BtfKind } from "./btf/types.ts";
import type { Target } from "./target.ts";

/** `target` may name its module: `nf_conntrack:nf_ct_get`, `vmlinux:vfs_read`. Throws where the target has no such thing. */
export function findAttachBtf(
  { name: program, type }: Pick<Program, "name" | "type">,
  attachType: AttachTypeName | null,
  target: string | null,
  kernel: Target,
): AttachBtf {
  if (type === "ext")
    throw new ObjectError(
      "ATTACH_BTF_MISSING",
      `program ${program} replaces a function of a program that is not given`,
    );
  if (target === null || target === "")
    throw new ObjectError("ATTACH_BTF_MISSING", `program ${program} does not say what it attaches to`, {
      hint: 'name it in the section (SEC("fentry/vfs_read")) or set attachTarget before the load',
    });
  if (kernel.btf === null)
    throw new ObjectError("BTF_MISSING", `program ${program} attaches to ${target}, which needs the target's BTF`);
  const colon = target.indexOf(":");
  const module = colon < 0 ? null : target.slice(0, colon);
  const { prefix, kind } = spellingOf(attachType);
  const name = prefix + target.slice(colon + 1);
  const found = (btf: Btf, id: number | null, owner: string | null): AttachBtf | null =>
    id === null ? null : { id, module: owner, btf, name };
  if (module === null || module === "vmlinux") {
    const inKernel = found(kernel.btf, kernel.btf.findByName(name, kind), null);
    if (inKernel !== null) return inKernel;
  }
  for (const candidate of kernel.modules) {
    if (module !== null && candidate.name !== module) continue;
    const inModule = found(candidate.btf, candidate.btf.findOwnByName(name, kind), candidate.name);
    if (inModule !== null) return inModule;
  }
  throw new ObjectError(
    "ATTACH_BTF_MISSING",
    `program ${program} attaches to ${target}, which the target's BTF does not have (${kind} ${name})`,
    { where: { program, symbol: target } },
  );
}

/** How the kernel's BTF names the attach points of a type. libbpf: btf_get_kernel_prefix_kind(). */
function spellingOf(attachType: AttachTypeName | null): { prefix: string; kind: BtfKind } {
  switch (attachType) {
    case "trace_raw_tp":
      return { prefix: "btf_trace_", kind: "typedef" };
    case "lsm_mac":
    case "lsm_cgroup":
      return { prefix: "bpf_lsm_", kind: "func" };
    case "trace_iter":
      return { prefix: "bpf_iter_", kind: "func" };
    default:
      return { prefix: "", kind: "func" };
  }
}
