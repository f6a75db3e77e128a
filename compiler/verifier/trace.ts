/** What the log says while a program is explored: instructions, states behind them, where paths part. Kernel: do_check(). */
import { sourceLineAt } from "../program.ts";
import { insnText } from "./disassembly.ts";
import type { Env } from "./env.ts";
import { hasScratched, scratchedText, stateText } from "./print.ts";

export class Trace {
  readonly #env: Env;
  #printsWholeState = false;

  constructor(env: Env) {
    this.#env = env;
  }

  /** Another path is taken up, or a function returned: the next instruction says where from. */
  pathChanged(): void {
    this.#printsWholeState = true;
  }

  safe(): void {
    const env = this.#env;
    if (!env.log.traces) return;
    if (this.#printsWholeState) env.log.line(`\nfrom ${env.previousIndex} to ${env.insnIndex}: safe`);
    else env.log.line(`${env.insnIndex}: safe`);
  }

  before(): void {
    const env = this.#env;
    if (!env.log.traces) return;
    if (this.#printsWholeState && env.log.tracesAll) {
      env.log.line(`\nfrom ${env.previousIndex} to ${env.insnIndex}:${stateText(env.state, env.state.frame)}`);
      this.#printsWholeState = false;
    }
    if (hasScratched(env)) printState(env, env.insnIndex);
    printSource(env);
    const start = env.log.position;
    env.log.line(`${env.insnIndex}: ${insnText(env, env.insnIndex)}`);
    env.insnEnd = env.log.position;
    env.insnTextLength = env.insnEnd - start;
  }

  /** `slot`: of the jump; the path may be elsewhere already. */
  afterJump(slot: number): void {
    if (this.#env.log.traces) printState(this.#env, slot);
  }
}

/** The changed part of the state: behind the instruction where nothing was printed since. Kernel: print_insn_state(). */
function printState(env: Env, slot: number): void {
  const { log } = env;
  if (env.insnEnd >= 0 && env.insnEnd === log.position) log.alignState(env.insnTextLength);
  else log.write(`${slot}:`);
  log.line(scratchedText(env));
}

function printSource(env: Env): void {
  const line = sourceLineAt(env.program, env.insnIndex);
  if (line === null || line === env.lastLine) return;
  env.lastLine = line;
  const name = line.file.slice(line.file.lastIndexOf("/") + 1);
  env.log.line(`; ${line.text.trimStart()} @ ${name}:${line.line}`);
}
