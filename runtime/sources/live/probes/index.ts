/** Probes in user code, and memory of the traced processes. */
export { removeAbandonedProbes } from "./definition.ts";
export { functionTargetName } from "./target.ts";
export { type UsdtHook, usdtHooks } from "./usdt.ts";
export { makeProbing, USER_MEMORY_MODES, type UserMemoryMode, type UserReads } from "./user-memory.ts";
