/**
 * The kinds of faults that a program is rejected for: one row each. The verifier's explanations name a kind, docs/faults.md
 * has a section a row (with the programs of tests/faults where there are some), SARIF has a rule a row.
 *
 * `title` names the fault, `meaning` says what the verifier wants and why, for somebody who meets it for the first time;
 * `remedies` are what usually helps, most likely first. To add a kind: a row here, a rule in compiler/verifier/explain.
 */
export interface FaultSpec {
  readonly title: string;
  readonly meaning: string;
  readonly remedies: readonly string[];
}

export const FAULTS = {
  "missing-null-check": {
    title: "pointer used without a NULL check",
    meaning:
      "A lookup in a map, and many other helpers, return NULL when there is nothing to return. The verifier follows every path " +
      "through the program and wants to see, on each of them, a comparison with NULL between the call and the first use.",
    remedies: [
      "compare the pointer with NULL right after the call and leave if it is: `if (!value) return 0;`",
      "check the very variable that is used: a check of another copy, or of a second lookup, proves nothing for this one",
    ],
  },
  "null-pointer": {
    title: "NULL pointer used",
    meaning:
      "On this path the pointer is known to be NULL: a check found it so, or the program put NULL there, and it is used all the same.",
    remedies: [
      "look at the check before the use: its condition is often the wrong way round, or the branch for NULL lacks a `return`",
      "to create a missing map entry, call bpf_map_update_elem(): writing through the pointer of a failed lookup cannot do it",
    ],
  },
  "map-value-bounds": {
    title: "access outside of a map value",
    meaning:
      "A map value has a fixed size. Every access must be proven to lie inside of it for all values that the index can have; the " +
      "verifier tracks the smallest and the largest one.",
    remedies: [
      "bound the index right before the access: `if (index >= SIZE) return 0;` with an unsigned index, or `index &= SIZE - 1` where SIZE is a power of two",
      "look for off by one: an array of 16 elements has indices 0 … 15",
      "where the compiler checks one copy of the index and uses another, keep it in one variable of 64 bits, or hide it from the optimiser with `barrier_var(index)` (bpf/bpf_helpers.h) before the check",
    ],
  },
  "memory-bounds": {
    title: "access outside of a buffer",
    meaning:
      "Ring buffer records, map keys, arguments of global functions and other buffers have a size that the verifier knows. An access " +
      "must lie inside of it.",
    remedies: [
      "check the size that the buffer was made with: `sizeof(*event)` is the struct, `sizeof(event)` only the pointer",
      "bound a variable index before the access, as for map values",
    ],
  },
  "packet-bounds": {
    title: "packet access without a sufficient bounds check",
    meaning:
      "Nobody knows how long a packet is. Before bytes are read or written, the program must compare a pointer behind them with " +
      "`data_end`; only what the comparison proves may be accessed, and only on the branch where it holds.",
    remedies: [
      "compare the end of what you access: `if ((void *)(header + 1) > data_end) return XDP_PASS;`",
      "check again for every header: a check of the Ethernet header says nothing of the IP header behind it",
      "after adding a variable offset (a header length from the packet) bound the offset, then compare the new pointer with `data_end`",
    ],
  },
  "stale-packet-pointer": {
    title: "packet pointer used after the packet may have moved",
    meaning:
      "Helpers that grow, shrink or linearise a packet may put it elsewhere in memory. All pointers into it, and all checks against " +
      "`data_end`, are void after such a call, also where the call fails.",
    remedies: [
      "read `ctx->data` and `ctx->data_end` again after the call, and check the bounds again",
      "do what needs the old pointers before the call: copy the bytes to the stack",
    ],
  },
  "not-a-pointer": {
    title: "number used as a pointer",
    meaning:
      "Programs may only follow pointers whose target the verifier knows. An address that was calculated, or that comes out of the " +
      "context, a map or a helper as a number, is a number: kernel and user memory behind it must be read through helpers.",
    remedies: [
      "read it with bpf_probe_read_kernel() or bpf_probe_read_user(), or BPF_CORE_READ() for fields of kernel structs",
      'use typed arguments (`SEC("tp_btf/…")`, `SEC("fentry/…")` with BPF_PROG) where the kernel offers them: those are pointers that may be followed',
      "if this was a pointer once: do not keep it in a 32-bit variable or in a map, and do no arithmetic on it but adding an offset",
    ],
  },
  "helper-size": {
    title: "size for a helper is not bounded",
    meaning:
      "A helper that copies to or from a buffer is told how many bytes. For all values that the size can have it must be positive " +
      "(some helpers take 0) and fit the buffer.",
    remedies: [
      "make the variable unsigned and bound it right before the call: `if (size > sizeof(buffer)) size = sizeof(buffer);`",
      "or mask it with a constant: `size &= sizeof(buffer) - 1` where the size is a power of two",
      "check for 0 where the helper does not take it",
    ],
  },
  "uninitialised-register": {
    title: "value used that was never set",
    meaning:
      "A register is read that nothing was written to on this path. Mostly a function ends without `return`, or a variable is set on " +
      "one branch only.",
    remedies: [
      "end every path of the function with `return VALUE;`",
      "give the variable a value where it is declared",
      "in hand-written assembly: r1 … r5 hold nothing any more after a call; keep what you need in r6 … r9 or on the stack",
    ],
  },
  "reference-leak": {
    title: "reference not given back",
    meaning:
      "Some helpers hand out something that must be given back: a record of a ring buffer (submit or discard), a socket (release). " +
      "Each path to the end of the program has to do so.",
    remedies: [
      "release it on every path, early returns included: bpf_ringbuf_submit() or bpf_ringbuf_discard() for a record, bpf_sk_release() for a socket",
      "or do the tests that may end the program before acquiring it",
    ],
  },
  "use-after-release": {
    title: "used after it was given back",
    meaning:
      "After bpf_ringbuf_submit(), bpf_ringbuf_discard(), bpf_sk_release() and the like the pointer is void: others may use the memory.",
    remedies: [
      "make the release the last thing that is done with the pointer, and only once on each path",
      "copy what is needed afterwards into a variable before",
    ],
  },
  "reference-argument": {
    title: "released what was not acquired",
    meaning:
      "A helper that releases takes exactly the pointer that was acquired: not moved, not released before, not made otherwise.",
    remedies: ["pass the pointer as the acquiring helper returned it", "remove the second release on this path"],
  },
  "context-access": {
    title: "invalid access to the context",
    meaning:
      "The context that a program gets is not the kernel's struct: each program type may read some fields, write fewer, and only in " +
      "certain sizes. Offsets must be constants.",
    remedies: [
      "use the struct that belongs to the program type (`struct xdp_md`, `struct __sk_buff`, …) and the declared type of the field",
      "change packets and sockets through helpers: most fields can only be read",
      "index the context with constants only; copy it to the stack first to index it with a variable",
    ],
  },
  "helper-not-allowed": {
    title: "helper is not available to this program",
    meaning: "Each program type may call its own set of helpers, depending also on what it attaches to.",
    remedies: [
      "look for the sibling helper of this program type (bpf_xdp_… for XDP, bpf_skb_… for tc, bpf_probe_read_… for tracing)",
      "check the section name: it decides the program type",
      "docs/support.md lists which programs may call a helper",
      "some helpers depend on the kernel's configuration: --kconfig names another kernel's",
    ],
  },
  "gpl-only": {
    title: "helper needs a GPL-compatible licence",
    meaning: "Some helpers are only for programs that declare a licence compatible with the GPL.",
    remedies: [
      'declare it, if it is: `char LICENSE[] SEC("license") = "GPL";` ("Dual MIT/GPL", "Dual BSD/GPL" count too)',
    ],
  },
  "missing-in-kernel": {
    title: "the kernel lacks a field, type or function",
    meaning:
      "A CO-RE relocation, or a weak kernel function, found nothing in the BTF of the target kernel, so the instruction was made " +
      "invalid; a path of the program still reaches it.",
    remedies: [
      "guard the access: `if (bpf_core_field_exists(task->field)) …`, bpf_core_type_exists(), bpf_ksym_exists()",
      "give the BTF of the kernel that is meant with --btf",
    ],
  },
  "wrong-argument-type": {
    title: "wrong type of argument for a helper",
    meaning:
      "Each argument of a helper has a kind: a pointer to memory, a map, the context, a number. What is passed must be that.",
    remedies: [
      "pass the address of a variable (`&key`), not its value",
      "keys and values must be on the stack, in a map or in a buffer: memory that the verifier knows",
      "check the order of the arguments",
    ],
  },
  "stack-bounds": {
    title: "access outside of the stack",
    meaning:
      "A function has at most 512 bytes of stack. An access to a local array must lie inside for all values of the index.",
    remedies: [
      "bound the index to the array right before the access: `if (i >= sizeof(array)) return 0;` or `i &= SIZE - 1`",
      "put buffers that are larger than a few hundred bytes into a per-CPU array map",
    ],
  },
  "stack-too-large": {
    title: "functions need more stack than there is",
    meaning:
      "A chain of function calls has 512 bytes of stack in all (256 where a function that makes tail calls is called), and at most 8 frames.",
    remedies: [
      "move large local variables into a per-CPU array map with one element",
      "inline small functions (`static __always_inline`), so that the compiler shares their stack",
    ],
  },
  "partial-pointer": {
    title: "pointer stored or loaded in part",
    meaning:
      "A pointer on the stack is kept as what it is only if all of its 8 bytes are stored and loaded at once, at a multiple of 8.",
    remedies: ["keep pointers in variables of pointer type, and out of packed structs and unions"],
  },
  "mixed-pointers": {
    title: "one instruction for different kinds of pointers",
    meaning:
      "Accesses to the context, to sockets and to kernel structs are rewritten when the program is loaded, each kind in its own way. So " +
      "an instruction must meet the same kind of pointer on all paths.",
    remedies: [
      "access the memory in each branch, where the kind of pointer is known, not behind the place where branches join",
      "keep the compiler from joining them with `barrier()` between (bpf/bpf_helpers.h)",
    ],
  },
  "atomic-operation": {
    title: "atomic operation on the wrong memory",
    meaning: "Atomic operations work on the stack, on map values and on buffers, not on packets, contexts and sockets.",
    remedies: ["keep the number that several CPUs change in a map value or a global variable"],
  },
  "misaligned-access": {
    title: "misaligned access",
    meaning:
      "An access to the stack, and any atomic operation or exact-size argument, must lie at a multiple of its own size.",
    remedies: [
      "copy the bytes with __builtin_memcpy() into a variable of the right type",
      "order or pad the fields of the struct so that each lies at a multiple of its size",
    ],
  },
  "infinite-loop": {
    title: "loop that may never end",
    meaning:
      "The verifier came to the same place of the program twice with nothing changed in between: nothing that it tracks makes the loop end.",
    remedies: [
      "count the rounds and bound them: `for (int i = 0; i < 64; i++)`",
      "use bpf_loop() or bpf_for() for many rounds",
    ],
  },
  "too-complex": {
    title: "program too large to verify",
    meaning:
      "The verifier walks through every path. After a million instructions, or with too many paths put off, it gives up. Loops are walked round by " +
      "round; branches inside of loops multiply.",
    remedies: [
      "turn the loop into bpf_loop() with a callback: its body is checked once, not once a round",
      "lower the number of rounds, or move the loop body into a global (not static) function, which is verified on its own",
      "split the program with tail calls",
    ],
  },
  "pointer-arithmetic": {
    title: "arithmetic that pointers do not allow",
    meaning:
      "A pointer may be moved by adding or subtracting a bounded number, if it is of a kind that may be moved at all. Everything else " +
      "would make it point to nobody knows where.",
    remedies: [
      "move the pointer that begins the memory, and compare it with the end: never calculate with `data_end`",
      "calculate offsets as numbers first, bound them, then add them to the pointer",
      "check for NULL before moving a pointer that may be NULL",
    ],
  },
  "return-value": {
    title: "return value that this program type does not allow",
    meaning: "The kernel acts on the result of many program types, so it must be one that it knows, on every path.",
    remedies: [
      "return one of the allowed values on every path; a negative errno is mostly not one",
      "bound a result that was calculated or read",
    ],
  },
  "read-only-memory": {
    title: "write to read-only memory",
    meaning:
      "`const` globals, maps made with BPF_F_RDONLY_PROG, keys of maps and the packets of some program types may only be read.",
    remedies: [
      "write to a map or global variable of the program's own (without `const`)",
      "make the map without BPF_F_RDONLY_PROG",
      "change a packet in a program type that may (XDP, tc), or through a helper",
    ],
  },
  "kernel-struct-access": {
    title: "invalid access to a kernel struct",
    meaning:
      "Pointers with a kernel type may be followed, but only to read, and only fields that the struct has in the kernel's BTF, at constant offsets.",
    remedies: [
      "to write use the helper or kernel function made for it: kernel structs cannot be written directly",
      "access fields through the struct's real type, compiled with `__attribute__((preserve_access_index))` (vmlinux.h has it)",
      "read what BTF does not know with bpf_probe_read_kernel()",
    ],
  },
  "special-field": {
    title: "lock, timer or kernel pointer in a map value used wrongly",
    meaning:
      "A map value may have fields that the kernel manages: bpf_spin_lock, bpf_timer, pointers to kernel objects (kptr), lists and trees. They may only " +
      "be used through their helpers, at the offset where the value's BTF has them, and not in every program type.",
    remedies: [
      "pass the address of the field (`&value->lock`) to its helper, and never read, write or copy the field itself",
      "declare the map with `__type(value, struct …)`, so that the field is in its BTF",
      "exchange a kernel pointer with bpf_kptr_xchg(), of exactly the declared type",
    ],
  },
  "protected-section": {
    title: "section with a lock, or with RCU, preemption or interrupts held, broken",
    meaning:
      "Between lock and unlock (bpf_spin_lock(), bpf_rcu_read_lock(), bpf_preempt_disable(), bpf_local_irq_save()) few calls are allowed, and " +
      "each path has to end what it began, in order.",
    remedies: [
      "unlock on every path, early returns included, before the program ends",
      "call helpers and functions before the lock is taken, or after it is given back",
      "take one spin lock at a time, and give back the one that was taken",
    ],
  },
  "object-state": {
    title: "dynptr, iterator or flag in the wrong state",
    meaning:
      "Dynptrs, iterators and saved interrupt flags live on the stack, made by one function, used by others, ended by a last one. They must be used in " +
      "this order and never be copied, overwritten or read as bytes.",
    remedies: [
      "initialise it once, on each path that uses it, and end it once on each of them",
      "give each its own variable, and pass that variable's address",
    ],
  },
  exception: {
    title: "exception used wrongly",
    meaning:
      "bpf_throw() ends the whole program; what it returns then may be decided by one exception callback of the main program: a global function that " +
      "takes one number, and that nobody calls.",
    remedies: [
      "throw outside of callbacks, and with nothing held that must be given back",
      "name the callback with `__exception_cb(handler)` (bpf_experimental.h) at the main program only",
    ],
  },
  "global-function": {
    title: "global function used against its signature",
    meaning:
      "A global function is verified on its own, by its declared types alone. Callers must pass what these say, and the function must return a number.",
    remedies: [
      "make the function `static` to have it verified together with its callers",
      "check pointer arguments for NULL inside of it, or tag them `__arg_nonnull`",
    ],
  },
  "program-setup": {
    title: "program cannot be loaded as what it is declared",
    meaning: "Program type, expected attach type and flags do not fit together.",
    remedies: [
      'use the full section name that libbpf knows for the hook (`SEC("cgroup/connect4")`): it sets type and attach type',
    ],
  },
  "malformed-program": {
    title: "malformed program",
    meaning:
      "The instructions are not a well-formed program: code that cannot be reached, jumps to nowhere, fields that must be zero. " +
      "Compilers do not write such code; inline assembly and generators do.",
    remedies: [
      "look at the inline assembly, or at the tool that made the instructions",
      "build with clang -O2 --target=bpf",
    ],
  },
  other: {
    title: "rejected",
    meaning:
      "bpfjit has no longer explanation for this rule of the kernel's verifier. The message is the kernel's own; the steps are where the " +
      "register that it names came from.",
    remedies: ["`bpfjit verify --log-level 2` shows what the verifier knew of every register before each instruction"],
  },
} as const satisfies Record<string, FaultSpec>;

export type FaultKind = keyof typeof FAULTS;
export const FAULT_KINDS = Object.keys(FAULTS) as readonly FaultKind[];
/** Where a kind is described; every section of the page is headed by its kind. */
export const faultAnchor = (kind: FaultKind): string => `docs/faults.md#${kind}`;
