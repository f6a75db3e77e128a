/**
 * Which instruction encodings exist. Two moments, as in the kernel: opcodes, loads' reserved fields and 64-bit immediates
 * of the whole program before anything is explored (resolve_pseudo_ldimm64()); reserved fields of the others when a path
 * reaches them (`checkReservedFields`, called by explore.ts).
 */
import { ALU, CLASS, JMP, MODE, PSEUDO_LD, SIZE, SRC } from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import { type MapSpec, type MapTypeName, mapTypeByName } from "../../spec/map-types.ts";
import type { ProgramTypeName } from "../../spec/program-types.ts";
import { type Insn, isWideImmediate } from "../asm/instruction.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";
import { kernelVariable } from "./kernel-variable.ts";

/** Kernel: bpf_opcode_in_insntable(), in kernel/bpf/core.c. */
const KNOWN_OPCODES: ReadonlySet<number> = new Set(knownOpcodes());

function knownOpcodes(): number[] {
  const opcodes: number[] = [];
  const binary = [ALU.ADD, ALU.SUB, ALU.MUL, ALU.DIV, ALU.OR, ALU.AND, ALU.LSH, ALU.RSH, ALU.MOD, ALU.XOR, ALU.MOV];
  const conditions = [JMP.JEQ, JMP.JNE, JMP.JGT, JMP.JGE, JMP.JLT, JMP.JLE, JMP.JSET, JMP.JSGT, JMP.JSGE, JMP.JSLT];
  for (const kind of [CLASS.ALU, CLASS.ALU64]) {
    for (const op of [...binary, ALU.ARSH]) opcodes.push(kind | op | SRC.K, kind | op | SRC.X);
    opcodes.push(kind | ALU.NEG, kind | ALU.END);
  }
  opcodes.push(CLASS.ALU | ALU.END | SRC.X);
  for (const kind of [CLASS.JMP, CLASS.JMP32]) {
    for (const op of [...conditions, JMP.JSLE]) opcodes.push(kind | op | SRC.K, kind | op | SRC.X);
    opcodes.push(kind | JMP.JA);
  }
  opcodes.push(CLASS.JMP | JMP.CALL, CLASS.JMP | JMP.EXIT, CLASS.JMP | JMP.JCOND);
  for (const size of [SIZE.B, SIZE.H, SIZE.W, SIZE.DW]) {
    opcodes.push(CLASS.LDX | MODE.MEM | size, CLASS.STX | MODE.MEM | size, CLASS.ST | MODE.MEM | size);
    opcodes.push(CLASS.STX | MODE.ATOMIC | size);
    if (size !== SIZE.DW) {
      opcodes.push(CLASS.LDX | MODE.MEMSX | size, CLASS.LD | MODE.ABS | size, CLASS.LD | MODE.IND | size);
    }
  }
  opcodes.push(CLASS.LD | MODE.IMM | SIZE.DW);
  return opcodes;
}

/** Checks every instruction as the kernel does before it explores the program. Kernel: resolve_pseudo_ldimm64(). */
export function checkEncodings(env: Env): void {
  const used = new Set<number>();
  for (let i = 0; i < env.insns.length; i++) {
    const insn = env.insns[i]!;
    if ((insn.opcode & 7) === CLASS.LDX) checkLoadFields(env, insn);
    if (isWideImmediate(insn)) {
      checkWideImmediate(env, i, used);
      i++;
    } else if (!KNOWN_OPCODES.has(insn.opcode)) {
      reject(env, "EINVAL", `unknown opcode ${insn.opcode.toString(16).padStart(2, "0")}`);
    }
  }
}

function checkLoadFields(env: Env, insn: Insn): void {
  const mode = insn.opcode & 0xe0;
  if ((mode !== MODE.MEM && mode !== MODE.MEMSX) || insn.imm !== 0) {
    reject(env, "EINVAL", "BPF_LDX uses reserved fields");
  }
}

function checkWideImmediate(env: Env, index: number, used: Set<number>): void {
  const first = env.insns[index]!;
  const second = env.insns[index + 1];
  if (second?.opcode !== 0 || second.dst !== 0 || second.src !== 0 || second.off !== 0) {
    reject(env, "EINVAL", "invalid bpf_ld_imm64 insn");
  }
  if (first.src === PSEUDO_LD.NONE || first.src === PSEUDO_LD.FUNC) return;
  if (first.src === PSEUDO_LD.BTF_ID) {
    kernelVariable(env, first, second);
    return;
  }
  const namesValue = first.src === PSEUDO_LD.MAP_VALUE || first.src === PSEUDO_LD.MAP_IDX_VALUE;
  const namesMap = first.src === PSEUDO_LD.MAP_FD || first.src === PSEUDO_LD.MAP_IDX;
  if (!namesValue && !(namesMap && second.imm === 0)) reject(env, "EINVAL", "unrecognized bpf_ld_imm64 insn");
  // Maps are named by their index in the program: there is no array of descriptors.
  if (first.src === PSEUDO_LD.MAP_IDX || first.src === PSEUDO_LD.MAP_IDX_VALUE) {
    reject(env, "EPROTO", "fd_idx without fd_array is invalid");
  }
  useMap(env, first.imm, used);
  if (first.src === PSEUDO_LD.MAP_VALUE) checkValueAddress(env, first.imm, second.imm >>> 0);
}

/** Kernel: check_map_prog_compatibility(). */
const SLEEPABLE_MAPS: ReadonlySet<MapTypeName> = new Set([
  "hash",
  "lru_hash",
  "array",
  "percpu_hash",
  "percpu_array",
  "lru_percpu_hash",
  "array_of_maps",
  "hash_of_maps",
  "ringbuf",
  "user_ringbuf",
  "inode_storage",
  "sk_storage",
  "task_storage",
  "cgrp_storage",
  "queue",
  "stack",
  "arena",
  "insn_array",
]);
const isCgroupStorage = ({ type }: MapSpec): boolean => type === "cgroup_storage" || type === "percpu_cgroup_storage";

function useMap(env: Env, index: number, used: Set<number>): void {
  const map = env.program.maps[index];
  if (!map) reject(env, "EBADF", `fd ${index} is not pointing to valid bpf_map`);
  if (used.has(index)) return;
  if (used.size >= LIMITS.usedMaps) {
    reject(env, "E2BIG", `The total number of maps per program has reached the limit of ${LIMITS.usedMaps}`);
  }
  used.add(index);
  requireFieldsAllowed(env, map);
  if (map.type === "struct_ops") reject(env, "EINVAL", "bpf_struct_ops map cannot be used in prog");
  if (env.program.sleepable && !SLEEPABLE_MAPS.has(map.type)) {
    reject(env, "EINVAL", "Sleepable programs can only use array, hash, ringbuf and local storage maps");
  }
  if (
    isCgroupStorage(map) &&
    [...used].some((other) => other !== index && env.program.maps[other]!.type === map.type)
  ) {
    reject(env, "EBUSY", "only one cgroup storage of each type is allowed");
  }
  if (map.type === "arena") useArena(env, map);
  if (map.type === "insn_array") unsupported("instruction array maps");
}

/** The kernel must know where user space maps it; who loads an object maps it before its programs are verified. */
function useArena(env: Env, map: MapSpec): void {
  if (env.arena !== null) reject(env, "EBUSY", "Only one arena per program");
  env.arena = map;
}

/** Special fields of the map's value that the program's type may not have to do with. Kernel: check_map_prog_compatibility() */
function requireFieldsAllowed(env: Env, map: MapSpec): void {
  const kinds = new Set(map.fields?.map((field) => field.kind));
  if (kinds.size === 0) return;
  const isTracing = IS_TRACING.has(env.program.type);
  const refuse = (who: string, what: string): never => reject(env, "EINVAL", `${who} progs cannot use ${what} yet`);
  if (isTracing && (kinds.has("listHead") || kinds.has("rbRoot"))) refuse("tracing", "bpf_{list_head,rb_root}");
  if (kinds.has("spinLock") || kinds.has("resSpinLock")) {
    if (env.program.type === "socket_filter") refuse("socket filter", "bpf_spin_lock");
    if (isTracing) refuse("tracing", "bpf_spin_lock");
  }
  if (isTracing && kinds.has("timer")) refuse("tracing", "bpf_timer");
  if (isTracing && kinds.has("workqueue")) refuse("tracing", "bpf_wq");
}

/** Kernel: is_tracing_prog_type() */
const IS_TRACING: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "kprobe",
  "tracepoint",
  "perf_event",
  "raw_tracepoint",
  "raw_tracepoint_writable",
]);

/** An arena's entries are pages. */
const PAGE_BYTES = 4096;

/** Kernel: map_direct_value_addr() of arrays: one element, offset inside it. */
function checkValueAddress(env: Env, index: number, offset: number): void {
  const map = env.program.maps[index]!;
  if (offset >= LIMITS.variableOffset) reject(env, "EINVAL", `direct value offset of ${offset} is not allowed`);
  if (map.type === "arena") {
    if (offset <= map.maxEntries * PAGE_BYTES) return;
    reject(env, "ERANGE", `invalid access to map value pointer, value_size=${map.valueSize} off=${offset}`);
  }
  if (mapTypeByName(map.type)?.name !== "array") {
    reject(env, "EINVAL", "no direct value access support for this map type");
  }
  if (map.maxEntries !== 1) {
    reject(env, "ENOTSUPP", `invalid access to map value pointer, value_size=${map.valueSize} off=${offset}`);
  }
  if (offset >= map.valueSize) {
    reject(env, "EINVAL", `invalid access to map value pointer, value_size=${map.valueSize} off=${offset}`);
  }
}
