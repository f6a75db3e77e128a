/** The progress line of long work: on a terminal only, silent in a pipe. What is printed meanwhile goes above it. */
import type { Ora } from "ora";

export interface ProgressState {
  readonly events: number;
  readonly records: number;
  /** bytes of input */
  readonly done: number;
  readonly total: number | null;
}

class Progress {
  readonly #spinner: Ora | null;
  readonly #started = performance.now();

  /** `spinner`: null where nothing is to be shown. */
  constructor(spinner: Ora | null) {
    this.#spinner = spinner;
  }

  show({ events, records, done, total }: ProgressState): void {
    if (this.#spinner === null) return;
    const seconds = (performance.now() - this.#started) / 1000;
    const share = total === null || total === 0 ? "" : ` · ${Math.floor((100 * done) / total)} %`;
    this.#spinner.text = `${events.toLocaleString("en")} events · ${Math.round(events / seconds).toLocaleString("en")}/s · ${records} records${share}`;
    if (!this.#spinner.isSpinning) this.#spinner.start();
  }

  /** Takes the line away while `print` writes to the same terminal. */
  above(print: () => void): void {
    if (this.#spinner?.isSpinning !== true) {
      print();
      return;
    }
    this.#spinner.clear();
    print();
    this.#spinner.render();
  }

  stop(): void {
    this.#spinner?.stop();
  }
}

/** Only a terminal has ora loaded, which takes as long as Node itself. */
export async function openProgress(wanted: boolean): Promise<Progress> {
  // A terminal that does not know its width says 0, which the spinner would count lines with for ever.
  const isTerminal = process.stderr.isTTY && process.stderr.columns > 0;
  if (!wanted || !isTerminal) return new Progress(null);
  const { default: ora } = await import("ora");
  return new Progress(ora({ stream: process.stderr, discardStdin: false }));
}
