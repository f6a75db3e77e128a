/**
 * The address of a typed kernel variable (`extern const struct rq runqueues __ksym`) or function: what may be read through
 * it. A per-CPU variable is none before a helper says whose. Kernel: __check_pseudo_btf_id().
 */
import type { Insn } from "../asm/instruction.ts";
import type { Btf } from "../object/btf/btf.ts";
import { btfPointer } from "./btf-pointer.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";
import { isStruct } from "./helper-btf.ts";
import { FLAG, pointerReg, REG, type RegState } from "./register.ts";

/** What the 64-bit immediate load of `first` and `second` yields; rejects where it names no such thing. */
export function kernelVariable(env: Env, first: Insn, second: Insn): RegState {
  const { targetBtf, targetSymbols, modules = [] } = env.program;
  if (!targetBtf) return unsupported("kernel variables without a kernel's BTF");
  const btf = second.imm === 0 ? targetBtf : modules[second.imm - 1]?.btf;
  if (btf === undefined) return reject(env, "EINVAL", "invalid module BTF object FD specified.");
  const id = first.imm;
  if (id < 0 || id >= btf.typeCount) {
    return reject(env, "ENOENT", `ldimm64 insn specifies invalid btf_id ${id}.`);
  }
  const known = btf.typeById(id);
  if (known.kind !== "func" && known.kind !== "var") {
    return reject(env, "EINVAL", `pseudo btf_id ${id} in ldimm64 isn't KIND_VAR or KIND_FUNC`);
  }
  if (targetSymbols !== undefined && targetSymbols.get(known.name) === undefined) {
    const symbol = `kernel symbol '${known.name}'`;
    return reject(env, "ENOENT", `ldimm64 failed to find the address for ${symbol}.`);
  }
  if (known.kind === "func") return readable(0);
  if (isPerCpu(btf, id)) return btfPointer(env, btf, known.type, FLAG.PERCPU);
  if (isStruct(btf, known.type)) return btfPointer(env, btf, known.type, 0);
  const bytes = btf.sizeOf(known.type);
  if (bytes !== null) return readable(bytes);
  const { name } = btf.resolve(known.type);
  return reject(env, "EINVAL", `ldimm64 unable to resolve the size of type '${name}': -22`);
}

function readable(bytes: number): RegState {
  const memory = pointerReg(REG.MEM | FLAG.RDONLY);
  memory.memSize = bytes;
  return memory;
}

const PERCPU_SECTION = ".data..percpu";

function isPerCpu(btf: Btf, id: number): boolean {
  const section = btf.findOwnByName(PERCPU_SECTION, "datasec");
  const type = section === null ? null : btf.typeById(section);
  return type?.kind === "datasec" && type.variables.some((variable) => variable.type === id);
}
