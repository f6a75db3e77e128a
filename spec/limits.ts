/**
 * Limits that the kernel sets and that programs meet. Source: include/linux/bpf.h, bpf_verifier.h, filter.h (6.18).
 */
export const LIMITS = {
  /** instructions of a program, privileged (BPF_COMPLEXITY_LIMIT_INSNS also bounds its length) */
  programInsns: 1_000_000,
  /** instructions that the verifier processes */
  processedInsns: 1_000_000,
  /** pending branches (BPF_COMPLEXITY_LIMIT_JMP_SEQ) */
  pendingJumps: 8192,
  /** subprograms of a program (BPF_MAX_SUBPROGS) */
  subprograms: 256,
  /** nested calls (MAX_CALL_FRAMES) */
  callFrames: 8,
  /** bytes of stack, all frames together (MAX_BPF_STACK) */
  stackBytes: 512,
  /** bytes of stack below a tail call made from a subprogram */
  tailCallStackBytes: 256,
  /** MAX_TAIL_CALL_CNT */
  tailCalls: 33,
  /** maps a program may use (MAX_USED_MAPS) */
  usedMaps: 64,
  /** different kernel functions that a program may call (MAX_KFUNC_DESCS) */
  kernelFunctions: 256,
  /** arguments of a helper, kfunc or subprogram */
  callArguments: 5,
  /** iterations of bpf_loop (BPF_MAX_LOOPS) */
  loopIterations: 1 << 23,
  /** largest variable offset (BPF_MAX_VAR_OFF) and size (BPF_MAX_VAR_SIZ) */
  variableOffset: 1 << 29,
  variableSize: 1 << 29,
  /** bytes of a program's and a map's name, with the terminating zero */
  objectName: 16,
  /** arguments of bpf_snprintf and trace_printk-like formats (MAX_BPRINTF_VARARGS, MAX_TRACE_PRINTK_VARARGS) */
  bprintfArguments: 12,
  tracePrintkArguments: 3,
  /** arguments of a function that programs trace (MAX_BPF_FUNC_ARGS) */
  functionArguments: 12,
  /** arguments of a raw tracepoint */
  rawTracepointArguments: 12,
} as const;
