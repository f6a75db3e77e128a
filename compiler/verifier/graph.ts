/**
 * Lists and trees of objects that the program allocated: their heads and roots lie beside the lock that guards them, their
 * nodes in the objects. What is put in belongs to the graph; pointers to it are good until the lock is given back.
 * Kernel: __process_kf_arg_ptr_to_graph_root(), __process_kf_arg_ptr_to_graph_node(), ref_set_non_owning().
 */
import { specialField } from "../../spec/special-fields.ts";
import { matchesType } from "./btf-match.ts";
import { pushCallback } from "./callback.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { KernelCall } from "./kernel-arguments.ts";
import { holdsLockOf, isInLess } from "./locks.ts";
import { objectPointer } from "./objects.ts";
import { edit, FLAG, REG, type Reg, type RegState } from "./register.ts";
import { constantOf } from "./scalar.ts";
import { mapRegisters } from "./state.ts";
import { fieldsBehind, findField } from "./value-fields.ts";

type RootKind = "listHead" | "rbRoot";
const NODE_OF = { listHead: "listNode", rbRoot: "rbNode" } as const;
const OWN = REG.BTF | FLAG.ALLOC;

export function checkRoot(env: Env, call: KernelCall, index: number, kind: RootKind): void {
  const register = index + 1;
  const reg = env.register(register);
  if (reg.type !== REG.MAP_VALUE && reg.type !== OWN) {
    reject(env, "EINVAL", `arg#${index} expected pointer to map value or allocated object`);
  }
  if (reg.type === OWN && reg.refId === 0) reject(env, "EINVAL", "allocated object must be referenced");
  const at = requireConstantOffset(env, register, reg, kind);
  const fields = fieldsBehind(env, reg);
  const { shown } = specialField(kind);
  const field = fields.find((one) => one.kind === kind && one.offsetBytes === at);
  if (field === undefined) reject(env, "EINVAL", `${shown} not found at offset=${at >>> 0}`);
  const held = holdsLockOf(env, reg);
  if (held !== "held") {
    if (held === "another") env.log.line("held lock and object are not in the same allocation");
    const lock = findField(fields, "spinLock")?.offsetBytes ?? -EINVAL;
    reject(env, "EINVAL", `bpf_spin_lock at off=${lock} must be held for ${shown}`);
  }
  call.root = field;
}

/** What the kernel has for the offset of a lock that is not there. */
const EINVAL = 22;

function requireConstantOffset(
  env: Env,
  register: number,
  reg: RegState,
  kind: Parameters<typeof specialField>[0],
): number {
  const variable = constantOf(reg.value);
  if (variable === null) {
    const { shown } = specialField(kind);
    reject(env, "EINVAL", `R${register} doesn't have constant offset. ${shown} has to be at the constant offset`);
  }
  return reg.off + Number(BigInt.asIntN(32, variable));
}

/** Which a function takes: an object that is to be put in, or one that is in the graph. */
export function checkNode(env: Env, call: KernelCall, index: number, kind: RootKind): void {
  const register = index + 1;
  const reg = env.register(register);
  const { name } = call.target;
  if (putsIn(name)) {
    if (reg.type !== OWN) reject(env, "EINVAL", `arg#${index} expected pointer to allocated object`);
    if (reg.refId === 0) reject(env, "EINVAL", "allocated object must be referenced");
  } else {
    if (!(reg.type & FLAG.NON_OWNING) && reg.refId === 0) {
      reject(env, "EINVAL", `${name} can only take non-owning or refcounted bpf_rb_node pointer`);
    }
    if (isInLess(env)) reject(env, "EINVAL", `${name} not allowed in rbtree cb`);
  }
  requireNode(env, call, register, reg, kind);
}

export const putsIn = (name: string): boolean => name === "bpf_rbtree_add_impl" || name.startsWith("bpf_list_push_");

/** The node lies in an object of the type that the root holds, where that says. */
function requireNode(env: Env, call: KernelCall, register: number, reg: RegState, kind: RootKind): void {
  const nodeKind = NODE_OF[kind];
  const { shown } = specialField(nodeKind);
  const at = requireConstantOffset(env, register, reg, nodeKind);
  if (!fieldsBehind(env, reg).some((field) => field.kind === nodeKind && field.offsetBytes === at)) {
    reject(env, "EINVAL", `${shown} not found at offset=${at >>> 0}`);
  }
  const root = call.root!;
  const btf = env.program.btf!;
  const wanted = { btf, type: root.type! };
  const wantedName = btf.nameOf(wanted.type);
  const have = { btf: reg.btf!, type: reg.btfType };
  if (!matchesType(env, have, 0, wanted, { strict: true, flexibleArrays: false })) {
    const expected = `${shown} at offset=${root.nodeOffset} in struct ${wantedName}`;
    const got = `arg is at offset=${at} in struct ${reg.btf!.nameOf(reg.btfType)}`;
    reject(env, "EINVAL", `operation on ${specialField(kind).shown} expects arg#1 ${expected}, but ${got}`);
  }
  if (at !== root.nodeOffset) {
    const expected = `${shown} at offset=${root.nodeOffset} in struct ${wantedName}`;
    reject(env, "EINVAL", `arg#1 offset=${at}, but expected ${expected}`);
  }
}

/** The object belongs to the graph from here on: pointers to it stay good under the lock. */
export function giveToGraph(env: Env, id: number): void {
  const { state } = env;
  state.references = state.references.filter((reference) => reference.id !== id || reference.kind !== "pointer");
  mapRegisters(state, (reg) => {
    if (reg.refId !== id) return reg;
    const kept = edit(reg);
    kept.refId = 0;
    unown(env, kept);
    return kept;
  });
}

function unown(env: Env, reg: Reg): void {
  reg.type |= FLAG.NON_OWNING;
  if (findField(fieldsBehind(env, reg), "refcount") !== undefined) reg.type |= FLAG.RCU;
}

/** A node of the graph whose root was passed: taken out, or looked at. */
export function nodeResult(env: Env, { root }: KernelCall, isTakenOut: boolean): Reg {
  const node = objectPointer(env.program.btf!, root!.type!, 0);
  node.off = root!.nodeOffset!;
  if (!isTakenOut) unown(env, node);
  return node;
}

/** less(a, b): two nodes of the tree. */
export function pushLess(env: Env, call: KernelCall): void {
  pushCallback(env, call.subprogram, (callee) => {
    callee.registers[1] = nodeResult(env, call, false);
    callee.registers[2] = nodeResult(env, call, false);
  });
}
