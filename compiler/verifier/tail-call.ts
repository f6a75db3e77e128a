/** A tail call out of a subprogram: where it succeeds, the other program returns to the subprogram's caller. */
import type { Env } from "./env.ts";
import { returnToCaller } from "./exit.ts";
import { forgetPackets } from "./packet.ts";
import { pushPath } from "./paths.ts";
import { UNKNOWN } from "./register.ts";

/** The current path goes on in the caller with any result; where the call fails, another goes on behind it. */
export function tailCallReturns(env: Env): void {
  pushPath(env, env.insnIndex + 1, env.insnIndex);
  forgetPackets(env.state);
  env.setRegister(0, UNKNOWN);
  returnToCaller(env);
}
