/** What a live source is asked for, and what it tells of user memory. */

/**
 * capture: fetched with the event, else read late. strict: fetched with the event, else EFAULT. proc: read late, nothing is
 * fetched. none: EFAULT.
 */
export const USER_MEMORY_MODES = ["capture", "strict", "proc", "none"] as const;
export type UserMemoryMode = (typeof USER_MEMORY_MODES)[number];

/** Reads of user memory so far, by where their bytes came from. */
export interface UserReads {
  /** fetched with the event */
  readonly captured: number;
  /** at least partly read from the process afterwards */
  readonly late: number;
  /** failed */
  readonly unknown: number;
}

export interface LiveOptions {
  /** a process that runs, with all its threads and what they start */
  readonly pid?: number | undefined;
  /** a command and its arguments: it begins when everything is attached, and the source ends with it */
  readonly command?: readonly string[] | undefined;
  /** descriptor that takes the place of the command's standard output; default: the same as this process's */
  readonly commandOutput?: number | undefined;
  /** kilobytes of the kernel's ring of each CPU */
  readonly bufferKilobytes?: number | undefined;
  /** seconds after which the source ends; default: with the process */
  readonly duration?: number | undefined;
  /** events after which the source ends */
  readonly maxEvents?: number | undefined;
  /** where programs read the memory of processes from; default "capture" */
  readonly userMemory?: UserMemoryMode | undefined;
}
