/** Live processes: openLive() makes the source, of a process that runs or of a command. All else is loaded with the first. */
import type { LiveOptions } from "./options.ts";
import type { LiveSource } from "./source.ts";

export type { ChildStatus } from "./child.ts";
export { type LiveOptions, USER_MEMORY_MODES, type UserMemoryMode, type UserReads } from "./options.ts";
export { functionTargetName } from "./probes/target.ts";
export type { LiveSource } from "./source.ts";

/**
 * Linux only, as root. Removes what sources of processes that are gone left behind. Throws AttachError where the kernel's
 * tracing files cannot be had, or there is no such process or command.
 */
export async function openLive(options: LiveOptions): Promise<LiveSource> {
  const { openSource } = await import("./open.ts");
  return openSource(options);
}
