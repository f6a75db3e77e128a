/** Calls of helpers: which may be called, with what, for how many bytes. */

import type { ArgSpec } from "../../../../spec/helpers/row.ts";
import { helperById, type NamedHelper } from "../../../../spec/helpers.ts";
import { PSEUDO_CALL } from "../../../../spec/isa.ts";
import { LIMITS } from "../../../../spec/limits.ts";
import { REG } from "../../register.ts";
import { constantOf } from "../../scalar.ts";
import { copySteps } from "../copies.ts";
import { quoted, variableOf } from "../names.ts";
import type { Account, Rule, Scene } from "../scene.ts";
import { between, registerOf, trailOfRegister } from "../scene.ts";
import { originSteps, rangeSteps } from "../steps.ts";
import { calleeName, holdsWords, memoryWords, ordinal, plural, rangeOf, rangeWords } from "../words.ts";

export const CALL_RULES: readonly Rule[] = [
  { message: /^invalid func unknown#(-?\d+)$/, explain: (scene, [, id]) => unknownHelper(scene, Number(id)) },
  {
    message: /^program of this type cannot use helper (\w+)#\d+$/,
    explain: (scene, [, name]) => notForType(scene, name!),
  },
  {
    message: /^func (\w+)#\d+ (?:not supported for program type \d+|supported only for )/,
    explain: (scene, [, name]) => notForType(scene, name!),
  },
  { message: /^helper call might sleep in a non-sleepable prog$/, explain: mightSleep },
  { message: /^cannot call GPL-restricted function from non-GPL compatible program$/, explain: notGpl },
  {
    message:
      /^R(\d+) (?:min value is negative, either use unsigned or 'var &= const'|unbounded memory access, use 'var &= const' or 'if \(var < const\)')$/,
    explain: (scene, [, r]) => unboundedSize(scene, Number(r)),
  },
  { message: /^R(\d+) invalid zero-sized read: /, explain: (scene, [, r]) => zeroSize(scene, Number(r)) },
  { message: /^invalid zero-sized read$/, explain: () => null },
  {
    message: /^R(\d+) type=(\S+) expected=(.*)$/,
    explain: (scene, [, r, , expected]) => wrongType(scene, Number(r), expected!),
  },
  { message: /^helper access to the packet is not allowed$/, explain: packetArgument },
  { message: /^R(\d+) is not a known constant'$/, explain: (scene, [, r]) => notConstant(scene, Number(r)) },
  {
    message: /^cannot pass map_type (\d+) into func (\w+)#\d+$/,
    explain: (scene, [, , name]) => wrongMap(scene, name!),
  },
  {
    message:
      /^R(\d+) must (?:be referenced when passed to release function|have zero offset when passed to release func)/,
    explain: (scene, [, r]) => notOwned(scene, Number(r)),
  },
  { message: /^func (\w+)#\d+ reference has not been acquired before$/, explain: (scene) => notOwned(scene, 1) },
];

const called = (scene: Scene): NamedHelper | undefined => {
  const insn = scene.env.insns[scene.insnIndex]!;
  return insn.src === PSEUDO_CALL.HELPER ? helperById(insn.imm) : undefined;
};
const callWords = (scene: Scene): string => `${calleeName(scene.env, scene.insnIndex) ?? "the function"}()`;

function unknownHelper(scene: Scene, id: number): Account {
  const missing = scene.program.missing?.get(scene.insnIndex);
  if (missing !== undefined) {
    return {
      kind: "missing-in-kernel",
      headline: missing.text,
      steps: [],
      fault: "this instruction could not be adapted to the kernel, and a path of the program reaches it",
    };
  }
  return {
    kind: "helper-not-allowed",
    headline: `the kernel has no helper with number ${id}`,
    steps: [],
    fault: "it is called here",
  };
}

function notForType(scene: Scene, name: string): Account {
  const { program } = scene;
  const helper = called(scene);
  if (program.withheldHelpers?.includes(name)) return withheld(scene, name);
  const attached = program.attachType === null ? "" : ` (attach type ${program.attachType})`;
  const audience = helper === undefined ? [] : helper.audience === "all" ? [] : [...helper.audience];
  return {
    kind: "helper-not-allowed",
    headline: `programs of type ${program.type}${attached} may not call ${name}()`,
    steps: [],
    fault: `${name}() is called here`,
    limits:
      audience.length === 0
        ? []
        : [{ what: `programs that may call ${name}()`, allowed: audience, found: [program.type] }],
  };
}

/** Programs of the type may call it, but not in a kernel of this configuration. */
function withheld(scene: Scene, name: string): Account {
  const needs = called(scene)?.needs;
  return {
    kind: "helper-not-allowed",
    headline: `the target kernel's configuration takes ${name}() away from programs`,
    steps: [],
    fault: `${name}() is called here`,
    limits:
      needs === undefined
        ? [{ what: "lockdown of the kernel", allowed: ["none"], found: ["by configuration"] }]
        : [{ what: needs, allowed: ["y"], found: ["not set"] }],
  };
}

function mightSleep(scene: Scene): Account {
  return {
    kind: "helper-not-allowed",
    headline: `${callWords(scene)} may sleep, and this program may not`,
    steps: [],
    fault: "only programs of sleepable sections (`fentry.s/`, `lsm.s/`, `uprobe.s/`, `syscall`, …) may call it",
    limits: [{ what: "program", allowed: ["sleepable"], found: ["not sleepable"] }],
  };
}

function notGpl(scene: Scene): Account {
  const { license } = scene.program;
  return {
    kind: "gpl-only",
    headline: `${callWords(scene)} is only for programs under a GPL-compatible licence, and this one declares ${license === "" ? "none" : `"${license}"`}`,
    steps: [],
    fault: "it is called here",
    limits: [
      {
        what: "licence",
        allowed: ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"],
        found: [license],
      },
    ],
  };
}

function unboundedSize(scene: Scene, register: number): Account {
  const reg = registerOf(scene, register);
  const trail = trailOfRegister(scene, register);
  const name = variableOf(scene, trail);
  const memory = memoryWords(registerOf(scene, register - 1));
  const mayBeNegative = reg.value.smin < 0n;
  const what = name === null ? "the size" : `the size ${quoted(name)}`;
  const room = memory === null ? "" : `, but ${memory.name} has ${plural(memory.bytes, "byte")}`;
  const most = memory?.bytes ?? LIMITS.variableSize - 1;
  return {
    kind: "helper-size",
    headline: mayBeNegative
      ? `${what} may be negative${room}`
      : `${what} is not bounded: it can be ${rangeWords(reg.value)}${room}`,
    steps: [...rangeSteps(scene, trail), ...copySteps(scene, trail, scene.path.length - 1)],
    fault: `${callWords(scene)} takes it as its ${ordinal(register)} argument: a number of bytes`,
    limits: [
      {
        what: "size",
        allowed: between(allowsZero(scene, register) ? 0 : 1, most),
        found: rangeOf(signedView(reg.value)),
      },
    ],
  };
}

/** Negative numbers as such where there may be some. */
function signedView<
  T extends { readonly smin: bigint; readonly smax: bigint; readonly umin: bigint; readonly umax: bigint },
>(value: T): T {
  return value.smin < 0n ? { ...value, umin: 0n, umax: (1n << 64n) - 1n } : value;
}

function allowsZero(scene: Scene, register: number): boolean {
  return called(scene)?.args[register - 1]?.is !== "constSize";
}

function zeroSize(scene: Scene, register: number): Account {
  const reg = registerOf(scene, register);
  const trail = trailOfRegister(scene, register);
  const name = variableOf(scene, trail);
  return {
    kind: "helper-size",
    headline: `${name === null ? "the size" : `the size ${quoted(name)}`} may be 0, which ${callWords(scene)} does not take`,
    steps: rangeSteps(scene, trail),
    fault: `${callWords(scene)} takes it as its ${ordinal(register)} argument`,
    limits: [{ what: "size", allowed: between(1, LIMITS.variableSize - 1), found: rangeOf(reg.value) }],
  };
}

const ARGUMENT_WORDS: Partial<Record<ArgSpec["is"], string>> = {
  scalar: "a number",
  constMapPtr: "a map (`&map`)",
  mapKey: "a pointer to a key: on the stack, in a map, in a buffer or in the packet",
  mapValue: "a pointer to a value: on the stack, in a map, in a buffer or in the packet",
  mem: "a pointer to memory: on the stack, in a map, in a buffer or in the packet",
  constSize: "a size in bytes",
  constSizeOrZero: "a size in bytes",
  constAllocSizeOrZero: "a constant size in bytes",
  constStr: "a constant string in read-only memory",
  func: "a function of the program",
  ctx: "the context that the program was given",
  stackOrNull: "a pointer to the stack, or NULL",
  ringbufMem: "a record that bpf_ringbuf_reserve() returned",
  perfMem: "a record that was reserved in a perf buffer",
  socket: "a socket",
  sockCommon: "a socket",
  btfIdSockCommon: "a socket",
  dynptr: "a dynptr",
  timer: "a `struct bpf_timer` in a map value",
  spinLock: "a `struct bpf_spin_lock` in a map value",
};

/** The kernel's names of types. */
const TYPE_WORDS: Readonly<Record<string, string>> = {
  fp: "stack",
  pkt: "packet",
  pkt_meta: "packet metadata",
  map_key: "map key",
  map_value: "map value",
  map_ptr: "map",
  mem: "memory",
  ringbuf_mem: "ring buffer record",
  buf: "buffer",
  trusted_ptr_: "trusted kernel pointer",
  ptr_: "kernel pointer",
  scalar: "number",
  ctx: "context",
  func: "function",
  sock: "socket",
  sock_common: "socket (common part)",
  tcp_sock: "TCP socket",
  xdp_sock: "XDP socket",
};

function wrongType(scene: Scene, register: number, expected: string): Account {
  const reg = registerOf(scene, register);
  const trail = trailOfRegister(scene, register);
  const arg = called(scene)?.args[register - 1];
  const wanted = arg === undefined ? `one of ${expected}` : (ARGUMENT_WORDS[arg.is] ?? `one of ${expected}`);
  return {
    kind: "wrong-argument-type",
    headline: `${callWords(scene)} wants ${wanted.replace(/:.*/, "")} as its ${ordinal(register)} argument, but gets ${holdsWords(reg)}`,
    steps: originSteps(scene, trail),
    fault: `the ${ordinal(register)} argument must be ${wanted}`,
    limits: [
      {
        what: `${ordinal(register)} argument`,
        allowed: expected.split(", ").map((type) => TYPE_WORDS[type] ?? type),
        found: [holdsWords(reg)],
      },
    ],
  };
}

function packetArgument(scene: Scene): Account {
  return {
    kind: "wrong-argument-type",
    headline: `${callWords(scene)} cannot be given a pointer into the packet by a program of type ${scene.program.type}`,
    steps: [],
    fault: "copy the bytes to the stack first, and pass these",
  };
}

function notConstant(scene: Scene, register: number): Account {
  const reg = registerOf(scene, register);
  const trail = trailOfRegister(scene, register);
  const name = variableOf(scene, trail);
  const what = name === null ? `the ${ordinal(register)} argument` : quoted(name);
  return {
    kind: "wrong-argument-type",
    headline: `${what} must be a constant for ${callWords(scene)}, but can be ${rangeWords(reg.value)}`,
    steps: rangeSteps(scene, trail),
    fault: "the verifier must know the one value that it has, when the program is loaded",
    limits: [{ what: `${ordinal(register)} argument`, allowed: ["a constant"], found: rangeOf(reg.value) }],
  };
}

function wrongMap(scene: Scene, name: string): Account {
  const map = [1, 2, 3, 4, 5].map((r) => registerOf(scene, r)).find(({ type }) => type === REG.MAP_PTR)?.map;
  return {
    kind: "wrong-argument-type",
    headline: `${name}() does not work on ${map ? `map \`${map.name}\`, which is of type ${map.type}` : "maps of this type"}`,
    steps: [],
    fault: "maps of this type have their own helpers, or none",
    limits: [],
  };
}

function notOwned(scene: Scene, register: number): Account {
  const reg = registerOf(scene, register);
  const trail = trailOfRegister(scene, register);
  const moved = reg.off !== 0 || constantOf(reg.value) !== 0n;
  return {
    kind: "reference-argument",
    headline: moved
      ? `${callWords(scene)} must be given the pointer as it was acquired, but it was moved`
      : `${callWords(scene)} gives back what was not acquired, or was given back before`,
    steps: originSteps(scene, trail),
    fault: `${holdsWords(reg)} is passed as the ${ordinal(register)} argument`,
    limits: moved ? [{ what: "offset", allowed: between(0, 0), found: between(reg.off, reg.off) }] : [],
  };
}
