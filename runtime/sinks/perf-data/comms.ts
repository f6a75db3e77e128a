/** Which names of threads the output has told already. A COMM record is due before the first sample under a new one. */
import { COMM_BYTES } from "../../../spec/index.ts";
import type { RecordTask } from "../sink.ts";

export class ToldComms {
  readonly #byThread = new Map<number, Uint8Array>();

  /** True where the thread's name is new; it counts as told from now on. The idle threads, all of them 0, have none. */
  isNew({ pid, comm }: RecordTask): boolean {
    if (pid === 0) return false;
    const told = this.#byThread.get(pid);
    if (told !== undefined && isSame(told, comm)) return false;
    if (told !== undefined) told.set(comm);
    else this.#byThread.set(pid, Uint8Array.from(comm));
    return true;
  }
}

function isSame(first: Uint8Array, second: Uint8Array): boolean {
  for (let index = 0; index < COMM_BYTES; index++) if (first[index] !== second[index]) return false;
  return true;
}
