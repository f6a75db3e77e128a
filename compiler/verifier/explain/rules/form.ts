/** Programs that are not well formed, global functions against their signature, types that do not fit. */
import type { Account, Rule, Scene } from "../scene.ts";
import { registerOf, trailOfRegister } from "../scene.ts";
import { originSteps } from "../steps.ts";
import { holdsWords } from "../words.ts";

export const FORM_RULES: readonly Rule[] = [
  {
    message: /^Caller passes invalid args into func#\d+ \('(.*)'\)$/,
    explain: (scene, [, name]) => globalArguments(scene, name!),
  },
  { message: /^Global function (\S+)\(\)|^(?:arg|Arg)#\d+ /, explain: globalSignature },
  {
    message:
      /^a program of type .+ (?:needs an expected attach type|cannot attach as )|^Only fentry\/fexit|^Syscall programs can only be sleepable|^Tracing programs must provide btf_id|attach_btf_id \d+ is not a function/,
    explain: setup,
  },
  {
    message: /^unreachable insn (\d+)$/,
    explain: (scene, [, at]) => malformed(scene, Number(at), "no path through the program comes to this instruction"),
  },
  {
    message: /^jump out of range from insn (\d+) to (-?\d+)$/,
    explain: (scene, [, at, to]) =>
      malformed(scene, Number(at), `this jump leads to instruction ${to}, outside of its function`),
  },
  {
    message: /^last insn is not an exit or jmp$/,
    explain: (scene) => malformed(scene, scene.env.insns.length - 1, "a function ends without a return"),
  },
  {
    message:
      /reserved fields$|^unknown opcode |^invalid (?:BPF_LD|bpf_ld|shift|atomic)|is invalid$|^div by zero$|^frame pointer is read only$|^jump into the middle|^unrecognized bpf_ld_imm64|^call to invalid destination$|^BPF_ATOMIC uses invalid/,
    explain: (scene) => malformed(scene, scene.insnIndex, scene.message),
  },
];

function globalArguments(scene: Scene, name: string): Account {
  const reason = scene.lines.at(-2) ?? "";
  const register =
    /^R(\d+) /.exec(reason)?.[1] ??
    (/^arg#(\d+) /.exec(reason) === null ? undefined : String(Number(/^arg#(\d+) /.exec(reason)![1]) + 1));
  const steps = register === undefined ? [] : originSteps(scene, trailOfRegister(scene, Number(register)));
  return {
    kind: "global-function",
    headline: `${name}() is called with an argument that its declaration does not allow${reason === "" ? "" : `: ${reason}`}`,
    steps,
    fault: register === undefined ? "this call" : `${holdsWords(registerOf(scene, Number(register)))} is passed`,
  };
}

function globalSignature(scene: Scene): Account {
  return {
    kind: "global-function",
    headline: `a global function is declared in a way that cannot be verified: ${scene.message}`,
    steps: [],
    fault: "it is verified by its declared types alone",
  };
}

function setup(scene: Scene): Account {
  return { kind: "program-setup", headline: scene.message, steps: [], fault: "no instruction was looked at" };
}

function malformed(scene: Scene, insnIndex: number, why: string): Account {
  return {
    kind: "malformed-program",
    headline:
      why === scene.message ? `instruction ${insnIndex} is not valid: ${why}` : `instruction ${insnIndex}: ${why}`,
    steps: [],
    insnIndex,
    fault: why === scene.message ? "this instruction is refused" : why,
  };
}
