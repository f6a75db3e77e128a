/**
 * What the kernel manages for the program: locks and sections, dynptrs and iterators, fields of map values; and other rules
 * of which the kernel's message says enough once it is put into words. A row a message.
 */
import type { FaultKind } from "../../../../spec/faults.ts";
import type { Account, Rule, Scene, Step } from "../scene.ts";
import { registerOf, stepAt, trailOfRegister } from "../scene.ts";
import { originSteps } from "../steps.ts";
import { calleeName, holdsWords } from "../words.ts";

interface Row {
  readonly kind: FaultKind;
  readonly message: RegExp;
  /** the headline; $1, $2, … stand for what the message says there */
  readonly says: string;
}

const ROWS: readonly Row[] = [
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
    message: /^bpf_spin_unlock of different lock$/,
    says: "the lock that is given back is not the one that was taken",
  },
  {
    kind: "protected-section",
    message: /^bpf_spin_unlock without taking a lock$/,
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
    message: /kptr|bpf_spin_lock|bpf_timer|timer pointer|bpf_wq/,
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
];

export const OBJECT_RULES: readonly Rule[] = ROWS.map(({ kind, message, says }) => ({
  message,
  explain: (scene, match) => account(scene, kind, words(scene, match, says)),
}));

function words(scene: Scene, match: RegExpExecArray, says: string): string {
  return says.replace(/\$(\d|&)/g, (_all, which: string) =>
    which === "&" ? scene.message : (match[Number(which)] ?? ""),
  );
}

/** With where the register came from that the message names, and where what is still held was taken. */
function account(scene: Scene, kind: FaultKind, headline: string): Account {
  const register = /\bR(\d+)\b/.exec(scene.message)?.[1];
  const isKnown = register !== undefined && scene.path.length > 0;
  const callee = calleeName(scene.env, scene.insnIndex);
  const held = isKnown ? `, where r${register} is ${holdsWords(registerOf(scene, Number(register)))}` : "";
  return {
    kind,
    headline,
    steps: [
      ...(isKnown ? originSteps(scene, trailOfRegister(scene, Number(register))) : []),
      ...(kind === "protected-section" ? sectionSteps(scene) : []),
    ],
    fault: callee === null ? `this is refused${held}` : `${callee}() is called here${held}`,
  };
}

/** Where the sections began that the path is in. */
function sectionSteps(scene: Scene): Step[] {
  const held = scene.path.at(-1)?.references.filter(({ kind }) => kind !== "pointer") ?? [];
  return held.flatMap(({ insnIndex }) => {
    const at = scene.path.findLastIndex((visit) => visit.insnIndex === insnIndex);
    const callee = calleeName(scene.env, insnIndex) ?? "this";
    return at < 0 ? [] : [stepAt(scene, at, "call", `${callee}() begins the section that the program is still in`)];
  });
}
