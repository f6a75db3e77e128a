/** Waiting until nothing but the measurement runs in this process. */
import { setTimeout } from "node:timers/promises";

/** ms that the process does nothing for, and µs of processor time that still count as nothing. */
const STILL_MS = 200;
const NOTHING_US = 10_000;
/** ms after which it never will */
const PATIENCE_MS = 10_000;

/**
 * Until V8's own threads are done: after a load they optimise the compiler's code for a second or two, on the CPUs that workers are
 * to run on and beside the code that is measured.
 */
export async function settle(): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (let isBusy = true; isBusy && performance.now() < until; ) {
    const before = process.cpuUsage();
    await setTimeout(STILL_MS);
    const { user, system } = process.cpuUsage(before);
    isBusy = user + system > NOTHING_US;
  }
}
