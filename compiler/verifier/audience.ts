/** Which programs a row of the helper table speaks of. Kernel: get_func_proto() of each program type. */
import type { HelperAudience } from "../../spec/helpers.ts";
import type { Env } from "./env.ts";

export function isAudience(env: Env, audience: HelperAudience): boolean {
  if (audience === "all") return true;
  const { type } = env.program;
  return audience.some((who) => who === type || who === `${type}/${env.attachType}`);
}
