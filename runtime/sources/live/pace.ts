/**
 * When to read the rings. The kernel wakes nobody that Node could wait with, so it is a timer: as seldom as the rings stay
 * well below full at the rate of the last rounds, and never so seldom that somebody who watches would notice. Where there was
 * more than one round could take, the next one follows at once.
 */
const LEAST_MS = 5;
const MOST_MS = 60;
/** Of a ring's room, what one round should find. */
const AIM = 1 / 16;

export class Pace {
  #ringBytes = 1;
  #interval = LEAST_MS;
  #isBehind = false;
  /** somebody called while nobody waited */
  #woken = false;
  #wake: (() => void) | null = null;

  start(ringBytes: number): void {
    this.#ringBytes = ringBytes;
  }

  /** What a round read, of all rings; `isDrained`: there was no more. */
  took(bytes: number, isDrained: boolean): void {
    this.#isBehind = !isDrained;
    // the fullest ring may have had all of it
    const share = bytes / this.#ringBytes;
    const wanted = share === 0 ? MOST_MS : (this.#interval * AIM) / share;
    this.#interval = Math.min(MOST_MS, Math.max(LEAST_MS, Math.min(wanted, this.#interval * 2)));
  }

  /** Resolves when the next round is due, at `deadline` at the latest (performance.now()), or when wake() is called. */
  turn(deadline: number): Promise<void> {
    if (this.#woken || this.#isBehind) {
      this.#woken = false;
      return Promise.resolve();
    }
    const delay = Math.max(0, Math.min(this.#interval, deadline - performance.now()));
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(done, delay);
      this.#wake = done;
    });
  }

  wake(): void {
    if (this.#wake === null) this.#woken = true;
    else this.#wake();
  }
}
