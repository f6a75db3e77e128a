/**
 * Dynptrs of kernel functions: which of them make one, of what, and the slices that others give out.
 * Kernel: check_kfunc_args(), KF_ARG_PTR_TO_DYNPTR; check_special_kfunc(), bpf_dynptr_slice.
 */
import { checkDynptr, type KnownDynptr } from "./dynptr.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { KernelFunction } from "./kernel-function.ts";
import { hasSuffix } from "./kernel-parameter.ts";
import { mayWritePacket } from "./packet.ts";
import { type DynptrKind, FLAG, pointerReg, REG, type Reg } from "./register.ts";

/** What the functions that make dynptrs make them of. bpf_dynptr_clone() makes what it is given. */
const MADE: Readonly<Record<string, DynptrKind>> = {
  bpf_dynptr_from_skb: "skb",
  bpf_dynptr_from_xdp: "xdp",
  bpf_dynptr_from_skb_meta: "skb_meta",
};

/** `known` is the dynptr among the arguments before. Gives the one that this argument is, or `known` where it makes one. */
export function checkKernelDynptr(
  env: Env,
  target: KernelFunction,
  index: number,
  known: KnownDynptr | null,
): KnownDynptr | null {
  const register = index + 1;
  if (!hasSuffix(target.parameters[index], "__uninit")) {
    return checkDynptr(env, register, "any", env.register(register).type === REG.DYNPTR ? "read" : "change");
  }
  // As the kernel has it, which does not expect this.
  if (env.register(register).type === REG.DYNPTR) {
    reject(env, "EFAULT", "verifier bug: misconfigured dynptr helper type flags");
  }
  const kind = known?.kind ?? MADE[target.name];
  // The kernel has no message for this.
  if (kind === undefined) reject(env, "EINVAL");
  checkDynptr(env, register, kind, "construct", known?.refId ?? 0);
  return known;
}

const SLICE_OF: Readonly<Record<DynptrKind, number>> = {
  local: FLAG.SLICE_LOCAL,
  ringbuf: FLAG.SLICE_RINGBUF,
  skb: FLAG.SLICE_SKB,
  xdp: FLAG.SLICE_XDP,
  skb_meta: FLAG.SLICE_SKB_META,
  file: 0,
};

/** `bytes` bytes in the dynptr's memory, or in the buffer given along. */
export function dynptrSlice(env: Env, { name }: KernelFunction, dynptr: KnownDynptr, bytes: bigint): Reg {
  const slice = pointerReg(REG.MEM | SLICE_OF[dynptr.kind]);
  slice.memSize = Number(BigInt.asUintN(32, bytes));
  slice.dynptrId = dynptr.id;
  if (name === "bpf_dynptr_slice") slice.type |= FLAG.RDONLY;
  else if (!mayWritePacket(env)) reject(env, "EINVAL", "the prog does not allow writes to packet data");
  return slice;
}
