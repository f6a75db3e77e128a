/**
 * Rules of which the kernel's message says enough once it is put into words: locks and sections, dynptrs and iterators, fields
 * that the kernel manages, and single ones of the other kinds. A row a message; the first that fits holds.
 */
import type { FaultKind } from "../../../../spec/faults.ts";

export interface Phrase {
  readonly kind: FaultKind;
  readonly message: RegExp;
  /** the headline; $1, $2, … stand for what the message says there */
  readonly says: string;
}

export const PHRASES: readonly Phrase[] = [
  {
    kind: "protected-section",
    message: /^(.+?) cannot be used inside (\S+)-ed region$/,
    says: "the section that $2() began is not ended on this path: $1",
  },
  {
    kind: "protected-section",
    message: /^function calls are not allowed while holding a lock$/,
    says: "no function may be called between bpf_spin_lock() and bpf_spin_unlock()",
  },
  {
    kind: "protected-section",
    message: /^bpf_(?:res_)?spin_unlock\w* of different lock$/,
    says: "the lock that is given back is not the one that was taken",
  },
  {
    kind: "protected-section",
    message: /^bpf_(?:res_)?spin_unlock\w* without taking a lock$/,
    says: "a lock is given back that was not taken on this path",
  },
  {
    kind: "protected-section",
    message: /^(?:kernel func|sleepable helper) (\w+)(?:#\d+)? (?:is sleepable )?(?:with)?in (.+?)(?: region)?$/,
    says: "$1() may sleep, which is not allowed in this section ($2)",
  },
  {
    kind: "protected-section",
    message: /^(nested|unmatched) (.+?)(?: \(kernel function (\w+)\))?$/,
    says: "begin and end of a section do not match on this path: $1 $2",
  },
  {
    kind: "protected-section",
    message: /^cannot restore irq state out of order/,
    says: "interrupt flags must be restored in the reverse order in which they were saved",
  },
  {
    kind: "protected-section",
    message: /^(?:kernel func (\w+) requires|expected an) RCU/,
    says: "this call needs bpf_rcu_read_lock() before it",
  },
  { kind: "object-state", message: /dynptr/i, says: "a dynptr is not used as it must be: $&" },
  {
    kind: "object-state",
    message: /initialized (iter_\w+) as/,
    says: "an iterator is not in the state that this call wants: $&",
  },
  {
    kind: "object-state",
    message: /irq flag/,
    says: "saved interrupt flags are not in the state that this call wants: $&",
  },
  {
    kind: "object-state",
    message: /^invalid read from stack (?:R\d+ )?(?:var_)?off/,
    says: "these bytes of the stack hold nothing that may be read: never written, or a dynptr or iterator",
  },
  {
    kind: "special-field",
    message: /^(bpf_\w+) cannot be accessed directly by load\/store$/,
    says: "a `struct $1` may only be used through its helpers, never read, written or copied",
  },
  {
    kind: "special-field",
    message:
      /kptr|bpf_(?:res_)?spin_lock|bpf_timer|timer pointer|bpf_wq|bpf_task_work|bpf_list_|list_head|bpf_rb_|bpf_rbtree|bpf_refcount/,
    says: "a special field of a map value is not used as it must be: $&",
  },
  {
    kind: "partial-pointer",
    message: /^invalid size of register (?:spill|fill)$/,
    says: "a pointer is stored to the stack, or loaded from it, in part only",
  },
  {
    kind: "mixed-pointers",
    message: /^same insn cannot be used with different pointers$/,
    says: "this instruction meets different kinds of pointers on different paths",
  },
  {
    kind: "atomic-operation",
    message: /^BPF_ATOMIC (?:stores into|loads from) R\d+ (\S+) is not allowed$/,
    says: "atomic operations do not work on this memory ($1)",
  },
  {
    kind: "context-access",
    message: /^R\d+ invalid (\w*sock\w*) access off=(\d+) size=(\d+)$/,
    says: "this socket (`$1`) has no field that may be read as $3 bytes at offset $2",
  },
  {
    kind: "context-access",
    message: /^invalid access to flow keys off=(-?\d+) size=(\d+)$/,
    says: "the flow keys have no $2 bytes at offset $1",
  },
  {
    kind: "helper-not-allowed",
    message: /^calling kernel function (\w+) is not allowed$/,
    says: "programs of this type may not call $1()",
  },
  {
    kind: "helper-not-allowed",
    message: /^program must be sleepable to call sleepable kfunc (\w+)$/,
    says: "$1() may sleep, and this program may not",
  },
  {
    kind: "helper-not-allowed",
    message: /^callback function not allowed for map$/,
    says: "the elements of a map of this type cannot be walked with a callback",
  },
  {
    kind: "helper-not-allowed",
    message: /^BPF_LD_\[ABS\|IND\] instructions not allowed for this program type$/,
    says: "packets cannot be read with BPF_LD_ABS and BPF_LD_IND in programs of this type",
  },
  {
    kind: "gpl-only",
    message: /^cannot call kernel function from non-GPL compatible program$/,
    says: "kernel functions are only for programs under a GPL-compatible licence",
  },
  { kind: "helper-size", message: /^invalid zero-sized read$/, says: "the size is 0, which this call does not take" },
  {
    kind: "return-value",
    message: /^cannot return stack pointer to the caller$/,
    says: "a function must not return a pointer to its own stack, which ends with it",
  },
  {
    kind: "return-value",
    message: /^At async callback return the register R0 is not a known value/,
    says: "the callback returns a pointer where it must return a number",
  },
  {
    kind: "read-only-memory",
    message: /^the prog does not allow writes to packet data$/,
    says: "programs of this type may not write to the packet",
  },
  {
    kind: "wrong-argument-type",
    message: /^R\d+ is of type (\w+) but (\w+) is expected$/,
    says: "a pointer to `struct $2` is wanted here, and this one leads to `struct $1`",
  },
  {
    kind: "wrong-argument-type",
    message: /^R\d+ must be (?:a rcu pointer|referenced or trusted)$|^arg \d+ is an unacquired reference$/,
    says: "this call wants a pointer that is known to stay valid: acquired, an argument of the program, or read under bpf_rcu_read_lock()",
  },
  {
    kind: "wrong-argument-type",
    message: /^(?:dereference of modified|negative offset|variable) (\S+) (?:ptr|access)/,
    says: "this pointer must be passed as it was received, but it was moved",
  },
  {
    kind: "wrong-argument-type",
    message:
      /^Invalid format string$|^string is not zero-terminated$|does not point to a readonly map'$|is not a constant address'$/,
    says: "the string must be a constant of the program, ended by a zero, with formats that the kernel knows and an argument for each",
  },
  {
    kind: "wrong-argument-type",
    message: /must be a known constant$|^R\d+ is not a scalar$|^get_local_storage\(\) doesn't|^expected prog array map/,
    says: "an argument is not what this call wants: $&",
  },
  {
    kind: "program-setup",
    message:
      /^Sleepable programs can only use |^only one cgroup storage of each type|^direct value offset|^no direct value access|^invalid access to map value pointer|^fd \d+ is not pointing/,
    says: "a map does not fit this program: $&",
  },
  {
    kind: "malformed-program",
    message:
      /^invalid may_goto|^at the time of BPF_LD_ABS|^addr_space_cast|^cannot use BPF_LD_|^callback function not static$|^use static function instead$/,
    says: "$&",
  },
  {
    kind: "kernel-struct-access",
    message: /^R\d+ is (\S+) (?:invalid negative access|access percpu memory): off=(-?\d+)/,
    says: "`struct $1` cannot be read at offset $2 like this",
  },
  {
    kind: "memory-bounds",
    message: /^R\d+ invalid (rdonly|rdwr) buffer access: off=(-?\d+), size=(\d+)$/,
    says: "the buffer has no $3 bytes at offset $2",
  },
  {
    kind: "program-setup",
    message: /^attach_btf_id |^Attaching |^Tracing programs/,
    says: "the program cannot be attached to this: $&",
  },
  {
    kind: "malformed-program",
    message: /BTF for kernel function|^kernel btf_id|^pseudo btf_id|BTF object FD/,
    says: "the kernel's BTF has nothing that this instruction could mean: $&",
  },
  {
    kind: "exception",
    message: /exception c(?:b|allback)|^bpf_throw/,
    says: "an exception is not used as it must be: $&",
  },
  {
    kind: "kernel-struct-access",
    message: /^write access at off|^no write support to|^only read from /,
    says: "this part of a kernel struct cannot be accessed like this: $&",
  },
  {
    kind: "memory-bounds",
    message: /invalid tracepoint buffer access|invalid variable buffer offset/,
    says: "the buffer of the tracepoint is accessed at an offset that is not known, or negative",
  },
  {
    kind: "missing-null-check",
    message: /^Possibly NULL pointer passed to /,
    says: "an argument of this call may be NULL, and no check on this path rules that out",
  },
  {
    kind: "wrong-argument-type",
    message: /^(\w+)\(\) may write into memory pointed by R\d+ type=(\S+)$/,
    says: "$1() may write into the memory that it is given, and this memory may only be read",
  },
  {
    kind: "wrong-argument-type",
    message: /type ID argument|^(\w+) is no iterator$/,
    says: "an argument is not what this call wants: $&",
  },
  {
    kind: "helper-not-allowed",
    message: /^helper call is not allowed in probe$/,
    says: "this helper may not be called by a program that is attached to this function",
  },
  {
    kind: "helper-not-allowed",
    message: /^a non-sleepable BPF program context$/,
    says: "this call may sleep, and the program may not",
  },
  {
    kind: "gpl-only",
    message: /^(?:LSM|struct ops) programs must have a GPL compatible license$/,
    says: "programs of this type must be under a GPL-compatible licence",
  },
  {
    kind: "program-setup",
    message: /^attach to |is not (?:sleepable|modifiable)$|^BPF_LSM_CGROUP|cannot attach as|^a program of a structure/,
    says: "the program cannot be attached to this: $&",
  },
  {
    kind: "malformed-program",
    message: /^ldimm64 insn specifies/,
    says: "the kernel's BTF has nothing that this instruction could mean: $&",
  },
  {
    kind: "protected-section",
    message: /^Acquiring the same lock again|^bpf_(?:res_)?spin_unlock\w* cannot be out of order$/,
    says: "locks must be given back in reverse order, and none may be taken twice: $&",
  },
];
