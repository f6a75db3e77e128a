/** What a live source is told: by whom events are made, how much room they get, when it ends. */
import type { WantedHook } from "../../source.ts";
import type { LivePlace, LiveProber, UserMemory } from "./events.ts";
import type { UserReads } from "./options.ts";
import type { Tracefs } from "./tracefs.ts";

export interface LiveSettings {
  readonly tracefs: Tracefs;
  /** of each CPU's ring */
  readonly bufferKilobytes: number;
  /** Infinity: until the process ends */
  readonly durationSeconds: number;
  /** events to hand on at most */
  readonly eventsMax: number;
  readonly probers: readonly LiveProber[];
  /** null: programs cannot read the memory of processes */
  readonly userMemory: ((place: LivePlace, wanted: readonly WantedHook[]) => UserMemory) | null;
  /** counted by it */
  readonly userReads: UserReads;
}
