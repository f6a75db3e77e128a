/**
 * Pointers to sockets: which fields a program reads through them, and what helpers make of them.
 * Kernel: check_sock_access(), is_acquire_function(), is_ptr_cast_function().
 */

import { SOCK, SOCK_COMMON, TCP_SOCK, XDP_SOCK } from "../../spec/ctx/sockets.ts";
import type { CtxSpec } from "../../spec/ctx.ts";
import { fits } from "./ctx.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { CallArguments } from "./helper-arguments.ts";
import type { Access } from "./memory.ts";
import { acquireReference } from "./references.ts";
import { baseType, edit, FLAG, pointerReg, REG, type RegState, typeName } from "./register.ts";

const LAYOUTS: Readonly<Record<number, CtxSpec>> = {
  [REG.SOCKET]: SOCK,
  [REG.SOCK_COMMON]: SOCK_COMMON,
  [REG.TCP_SOCK]: TCP_SOCK,
  [REG.XDP_SOCK]: XDP_SOCK,
};

/** A load through a pointer to a socket; nothing may be stored. */
export function checkSocketAccess(env: Env, access: Access, reg: RegState, off: number): void {
  const { address, size } = access;
  if (reg.value.smin < 0n) {
    reject(env, "EACCES", `R${address} min value is negative, either use unsigned index or do a if (index >=0) check.`);
  }
  const ctx = LAYOUTS[baseType(reg.type)]!;
  const field = ctx.fields.find((known) => off >= known.offset && off < known.offset + known.size);
  if (off % size === 0 && field && fits({ ctx }, field, access, off)) return;
  reject(env, "EACCES", `R${address} invalid ${typeName(reg.type)} access off=${off} size=${size}`);
}

/** Lookups of sockets give a reference that the program must release. */
const ACQUIRES: ReadonlySet<string> = new Set(["bpf_sk_lookup_tcp", "bpf_sk_lookup_udp", "bpf_skc_lookup_tcp"]);
/** The result is the argument seen in another way: it lives as long. */
const CASTS: ReadonlySet<string> = new Set([
  "bpf_tcp_sock",
  "bpf_sk_fullsock",
  "bpf_skc_to_tcp_sock",
  "bpf_skc_to_tcp6_sock",
  "bpf_skc_to_tcp_timewait_sock",
  "bpf_skc_to_tcp_request_sock",
  "bpf_skc_to_udp6_sock",
  "bpf_skc_to_mptcp_sock",
]);

/** What a helper returns that gives a pointer to a socket or null. */
export function socketResult(env: Env, call: CallArguments, type: number): RegState {
  const socket = pointerReg(type | FLAG.MAYBE_NULL);
  socket.id = env.newId();
  if (ACQUIRES.has(call.helper.name)) socket.id = socket.refId = acquireReference(env);
  return castResult(call, socket);
}

/** A socket that the argument was cast to belongs to the argument's reference. Kernel: is_ptr_cast_function(). */
export function castResult({ helper, referenceId }: CallArguments, socket: RegState): RegState {
  if (!CASTS.has(helper.name) || referenceId === 0) return socket;
  const cast = edit(socket);
  cast.refId = referenceId;
  return cast;
}
