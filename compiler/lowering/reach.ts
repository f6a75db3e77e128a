/** Whether a program can reach what drives it: its hook's links, the readers of rings, another program. */
import { calleeOf } from "../../spec/index.ts";
import { CLASS, JMP, PSEUDO_CALL } from "../../spec/isa.ts";
import { POINTER, type Program, type ProgramFacts } from "../program.ts";
import { kernelFunctionOf } from "./kernel-functions.ts";

/**
 * Helpers that only compute and change maps. The others call TypeScript, which may call the embedder, who may attach and
 * detach; or ask for readers (rings); or are tail calls.
 */
const INWARD: ReadonlySet<string> = new Set([
  "bpf_map_lookup_elem",
  "bpf_map_update_elem",
  "bpf_map_delete_elem",
  "bpf_for_each_map_elem",
  "bpf_loop",
  "bpf_ktime_get_ns",
  "bpf_ktime_get_boot_ns",
  "bpf_ktime_get_coarse_ns",
  "bpf_get_prandom_u32",
  "bpf_get_smp_processor_id",
  "bpf_get_current_pid_tgid",
  "bpf_get_current_uid_gid",
  "bpf_get_current_comm",
  "bpf_get_current_cgroup_id",
  "bpf_get_current_task",
  "bpf_strncmp",
  "bpf_skb_load_bytes",
  "bpf_xdp_load_bytes",
  "bpf_xdp_store_bytes",
  "bpf_redirect",
  "bpf_get_stack",
  "bpf_get_stackid",
]);

export function reachesOut(program: Program, facts: ProgramFacts | null): boolean {
  return program.insns.some((insn, index) => {
    const known = facts?.insns[index];
    if (known === null) return false;
    // a kernel pointer may lead to memory that the event source answers for
    if (known !== undefined && (known.pointer & POINTER.btf) !== 0) return true;
    if (insn.opcode !== (CLASS.JMP | JMP.CALL) || insn.src === PSEUDO_CALL.SUBPROG) return false;
    if (kernelFunctionOf(program, insn)?.home === "lowering") return false;
    return !INWARD.has(calleeOf(insn)?.name ?? "");
  });
}
