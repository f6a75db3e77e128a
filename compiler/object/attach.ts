/**
 * What a program attaches to, for the types whose attach point is a BTF id: a function by its name, an LSM hook, an
 * iterator or a tracepoint by what the kernel calls its type. Source: libbpf, libbpf_find_attach_btf_id().
 */
import { ObjectError } from "../../base/index.ts";
import type { AttachTypeName } from "../../spec/index.ts";
import type { AttachBtf, Program } from "../program.ts";
import type { Btf } from "./btf/btf.ts";
import { essentialName } from "./btf/names.ts";
import { TRACEPOINT_TYPE_PREFIX } from "./btf/raw-tracepoints.ts";
import type { BtfKind } from "./btf/types.ts";
import type { Target } from "./target.ts";

type KernelBtf = Pick<Target, "btf" | "modules">;

/** `target` may name its module: `nf_conntrack:nf_ct_get`, `vmlinux:vfs_read`. Throws where the target has no such thing. */
export function findAttachBtf(
  { name: program, type }: Pick<Program, "name" | "type">,
  attachType: AttachTypeName | null,
  target: string | null,
  kernel: KernelBtf,
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
  const colon = target.indexOf(":");
  const module = colon < 0 ? null : target.slice(0, colon);
  const { prefix, kind } = spellingOf(attachType);
  const name = prefix + target.slice(colon + 1);
  const found = (btf: Btf, id: number | null, owner: string | null): AttachBtf | null =>
    id === null ? null : { id, module: owner, btf, name };
  if (kernel.btf !== null && (module === null || module === "vmlinux")) {
    const inKernel = found(kernel.btf, kernel.btf.findByName(name, kind), null);
    if (inKernel !== null) return inKernel;
  }
  for (const candidate of kernel.modules) {
    if (module !== null && candidate.name !== module) continue;
    const inModule = found(candidate.btf, candidate.btf.findOwnByName(name, kind), candidate.name);
    if (inModule !== null) return inModule;
  }
  if (kernel.btf === null)
    throw new ObjectError("BTF_MISSING", `program ${program} attaches to ${target}, which needs the target's BTF`);
  throw new ObjectError(
    "ATTACH_BTF_MISSING",
    `program ${program} attaches to ${target}, which the target's BTF does not have (${kind} ${name})`,
    { where: { program, symbol: target } },
  );
}

/**
 * The member of a structure of functions that a program fills: `tcp_congestion_ops`, `ssthresh`. Throws where the target's
 * BTF has no such structure or member. libbpf: bpf_map__init_kern_struct_ops()
 */
export function findAttachMember(program: string, struct: string, member: string, kernel: KernelBtf): AttachBtf {
  const missing = (what: string): never => {
    throw new ObjectError(
      "ATTACH_BTF_MISSING",
      `program ${program} fills ${what}, which the target's BTF does not have`,
      {
        where: { program, symbol: struct },
      },
    );
  };
  const name = essentialName(struct);
  const owners = [{ name: null, btf: kernel.btf }, ...kernel.modules];
  for (const { name: module, btf } of owners) {
    const id = module === null ? btf?.findByName(name, "struct") : btf?.findOwnByName(name, "struct");
    const type = btf && typeof id === "number" ? btf.typeById(id) : null;
    if (!btf || typeof id !== "number" || type?.kind !== "struct") continue;
    const index = type.members.findIndex((known) => known.name === essentialName(member));
    return index < 0 ? missing(`${name}.${member}`) : { id, module, btf, name, member: index };
  }
  return missing(`struct ${name}`);
}

/** How the kernel's BTF names the attach points of a type. libbpf: btf_get_kernel_prefix_kind(). */
function spellingOf(attachType: AttachTypeName | null): { prefix: string; kind: BtfKind } {
  switch (attachType) {
    case "trace_raw_tp":
      return { prefix: TRACEPOINT_TYPE_PREFIX, kind: "typedef" };
    case "lsm_mac":
    case "lsm_cgroup":
      return { prefix: "bpf_lsm_", kind: "func" };
    case "trace_iter":
      return { prefix: "bpf_iter_", kind: "func" };
    default:
      return { prefix: "", kind: "func" };
  }
}
