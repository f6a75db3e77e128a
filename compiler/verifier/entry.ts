/**
 * Where exploration begins: the program with its context (or memory, if raw), then each global function that it calls,
 * with anything that its prototype lets a caller pass. Kernel: do_check_main(), do_check_subprogs().
 */
import { btfPointer } from "./btf-pointer.ts";
import { dynptrReg } from "./dynptr-slots.ts";
import type { Env } from "./env.ts";
import { explore } from "./explore.ts";
import { reject } from "./failure.ts";
import { SccVisits } from "./loops.ts";
import { type Parameter, parametersOf } from "./prototype.ts";
import { edit, FLAG, knownReg, pointerReg, REG, type RegState, UNKNOWN, ZERO } from "./register.ts";
import { State } from "./state.ts";
import { newFrame } from "./subprogram-call.ts";

export function exploreProgram(env: Env): void {
  const isRaw = env.program.type === "raw";
  exploreFunction(env, 0, isRaw ? rawArguments(env) : [pointerReg(REG.CTX)]);
  if (env.exceptionCallback >= 0) env.subprograms[env.exceptionCallback]!.called = true;
  const verified = new Set<number>();
  // A global function may be called by another one only.
  for (let found = true; found; ) {
    found = false;
    for (const [index, subprogram] of env.subprograms.entries()) {
      if (!subprogram.called || verified.has(index)) continue;
      verified.add(index);
      found = true;
      if (env.log.traces) env.log.line(`Validating ${subprogram.name}() func#${index}...`);
      const parameters = parametersOf(env, subprogram)!;
      if (index === env.exceptionCallback && (parameters.length !== 1 || parameters[0]!.kind !== "scalar")) {
        reject(env, "EINVAL", "exception cb only supports single integer argument");
      }
      exploreFunction(
        env,
        index,
        parameters.map((parameter) => argument(env, parameter)),
      );
      if (env.log.traces) {
        env.log.line(`Func#${index} ('${subprogram.name}') is safe for any args that match its prototype`);
      }
    }
  }
}

/** Kernel: do_check_common(). */
function exploreFunction(env: Env, index: number, passed: readonly RegState[]): void {
  const frame = newFrame(-1, 0, index);
  for (const [i, reg] of passed.entries()) frame.registers[i + 1] = reg;
  env.explored.clear();
  env.exploredStates = env.evictedStates = 0;
  env.scc = new SccVisits(env);
  env.state = new State([frame]);
  env.insnIndex = env.state.firstIndex = env.subprograms[index]!.start;
  env.lastLine = null;
  env.allScratched = true;
  explore(env);
  // Only the path that failed is wanted, and none did.
  if (!env.log.tracesAll) env.log.truncate(0);
}

/** r1: the memory, r2: how many bytes it has; both 0 where there is none. */
function rawArguments(env: Env): RegState[] {
  const { memoryBytes } = env.program;
  if (memoryBytes === 0) return [ZERO, ZERO];
  const memory = pointerReg(REG.MEM);
  memory.memSize = memoryBytes;
  return [memory, knownReg(BigInt(memoryBytes))];
}

function argument(env: Env, parameter: Parameter): RegState {
  switch (parameter.kind) {
    case "scalar":
      return UNKNOWN;
    case "ctx":
      return pointerReg(REG.CTX);
    case "dynptr":
      return dynptrReg("local", env.newId());
    case "memory": {
      const memory = pointerReg(REG.MEM | (parameter.mayBeNull ? FLAG.MAYBE_NULL : 0));
      memory.memSize = parameter.bytes;
      if (parameter.mayBeNull) memory.id = env.newId();
      return memory;
    }
    case "trusted":
      return withNewId(env, btfPointer(env, parameter.btf, parameter.type, trustedFlags(parameter)));
    case "untrusted": {
      const { at } = parameter;
      if (at === null) return pointerReg(REG.MEM | FLAG.RDONLY | FLAG.UNTRUSTED);
      return withNewId(env, btfPointer(env, at.btf, at.type, FLAG.UNTRUSTED));
    }
    case "arena":
      return UNKNOWN;
  }
}

const trustedFlags = ({ mayBeNull }: { readonly mayBeNull: boolean }): number =>
  FLAG.TRUSTED | (mayBeNull ? FLAG.MAYBE_NULL : 0);

function withNewId(env: Env, pointer: RegState): RegState {
  const result = edit(pointer);
  result.id = env.newId();
  return result;
}
