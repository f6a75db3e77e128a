/** What a program starts with: its context, or memory for raw ones. Kernel: do_check_main(), do_check_common(). */
import type { Env } from "./env.ts";
import { explore } from "./explore.ts";
import { knownReg, pointerReg, REG, ZERO } from "./register.ts";
import { State } from "./state.ts";
import { newFrame } from "./subprogram-call.ts";

export function exploreProgram(env: Env): void {
  const frame = newFrame(-1, 0, 0);
  if (env.program.type === "raw") setRawArguments(env, frame.registers);
  else frame.registers[1] = pointerReg(REG.CTX);
  env.state = new State([frame]);
  env.insnIndex = 0;
  explore(env);
  // Only the path that failed is wanted, and none did.
  if (!env.log.tracesAll) env.log.truncate(0);
}

/** r1: the memory, r2: how many bytes it has; both 0 where there is none. */
function setRawArguments(env: Env, registers: State["registers"]): void {
  const { memoryBytes } = env.program;
  registers[1] = ZERO;
  registers[2] = knownReg(BigInt(memoryBytes));
  if (memoryBytes === 0) return;
  const memory = pointerReg(REG.MEM);
  memory.memSize = memoryBytes;
  registers[1] = memory;
}
