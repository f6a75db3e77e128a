/**
 * Pointers with kernel types: what a load through one yields, and which of the pointers that it finds can be trusted to be
 * alive. Not here: bytes of types (btf-walk.ts), arguments of hooks (btf-ctx.ts). Kernel: check_ptr_to_btf_access().
 */

import { shownName, walkStruct } from "./btf-walk.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { isGpl } from "./license.ts";
import type { Access } from "./memory.ts";
import { FLAG, pointerReg, REG, type RegState, UNKNOWN } from "./register.ts";
import { constantOf } from "./scalar.ts";
import { maskText } from "./scalar-text.ts";

/** `off` includes the register's fixed offset. Returns what is loaded. */
export function checkBtfAccess(env: Env, access: Access, reg: RegState, off: number): RegState {
  const btf = reg.btf!;
  const name = shownName(btf.nameOf(reg.btfType));
  const constant = constantOf(reg.value);
  if (!isGpl(env.program)) {
    reject(env, "EINVAL", `Cannot access kernel 'struct ${name}' from non-GPL compatible program`);
  }
  const who = `R${access.address} is ptr_${name}`;
  if (constant === null) {
    reject(env, "EACCES", `${who} invalid variable offset: off=${off}, var_off=${maskText(reg.value)}`);
  }
  const at = off + Number(BigInt.asIntN(32, constant));
  if (at < 0) reject(env, "EACCES", `${who} invalid negative access: off=${at}`);
  if (access.write) reject(env, "EACCES", "only read is supported");
  const found = walkStruct(env, btf, reg.btfType, at, access.size);
  switch (found.kind) {
    case "scalar":
      return UNKNOWN;
    case "other pointer":
      return pointerReg(REG.MEM | FLAG.RDONLY | FLAG.UNTRUSTED);
    case "struct pointer":
      return btfPointer(env, btf, found.type, trustIn(env, reg, name, found));
  }
}

/** A pointer to type `type` of `btf`; one that may be null gets an id. */
export function btfPointer(env: Env, btf: NonNullable<RegState["btf"]>, type: number, flags: number): RegState {
  const pointer = pointerReg(REG.BTF | flags);
  pointer.btf = btf;
  pointer.btfType = type;
  if (flags & FLAG.MAYBE_NULL) pointer.id = env.newId();
  return pointer;
}

type Fields = Readonly<Record<string, readonly string[]>>;
/** Fields that stay alive as long as what holds them. Kernel: BTF_TYPE_SAFE_TRUSTED, BTF_TYPE_SAFE_TRUSTED_OR_NULL. */
const TRUSTED: Fields = {
  bpf_iter_meta: ["seq"],
  bpf_iter__task: ["meta", "task"],
  linux_binprm: ["file"],
  file: ["f_inode"],
};
const TRUSTED_OR_NULL: Fields = { dentry: ["d_inode"], socket: ["sk"] };
/** Fields that stay alive for an RCU section. Kernel: BTF_TYPE_SAFE_RCU, BTF_TYPE_SAFE_RCU_OR_NULL. */
const RCU: Fields = {
  task_struct: ["cpus_ptr", "cgroups", "real_parent", "group_leader"],
  cgroup: ["kn"],
  css_set: ["dfl_cgrp"],
};
const RCU_OR_NULL: Fields = { mm_struct: ["exe_file"], sk_buff: ["sk"], request_sock: ["sk"] };

const has = (fields: Fields, struct: string, field: string): boolean => fields[struct]?.includes(field) === true;

function trustIn(
  env: Env,
  reg: RegState,
  struct: string,
  { field, viaUnion }: { readonly field: string; readonly viaUnion: boolean },
): number {
  const union = viaUnion ? FLAG.UNTRUSTED : 0;
  if (reg.type & FLAG.UNTRUSTED) return FLAG.UNTRUSTED;
  if (!(reg.type & (FLAG.TRUSTED | FLAG.RCU))) return union;
  if (has(TRUSTED, struct, field)) return union | FLAG.TRUSTED;
  if (has(TRUSTED_OR_NULL, struct, field)) return union | FLAG.TRUSTED | FLAG.MAYBE_NULL;
  // Programs that cannot sleep run in an RCU section.
  if (env.program.sleepable) return FLAG.UNTRUSTED;
  if (has(RCU, struct, field)) return union | FLAG.RCU;
  if (has(RCU_OR_NULL, struct, field)) return FLAG.RCU | FLAG.MAYBE_NULL;
  return union;
}
