/**
 * Maps shown anew in intervals while a run goes on. On a terminal they stand below the records and are drawn over; in a pipe
 * they are printed again and again, as at the end.
 */
import type { LoadedObject } from "../api/index.ts";
import { printLine } from "./output.ts";
import { describeMaps, printMaps, type ReportArguments } from "./report.ts";

export class MapScreen {
  readonly #object: LoadedObject;
  readonly #options: ReportArguments;
  readonly #isDrawn: boolean;
  /** ms */
  readonly #interval: number;
  #due: number;
  /** lines of the drawing that stands on the terminal */
  #lines = 0;
  #text = "";

  /** `seconds` null: never */
  constructor(object: LoadedObject, options: ReportArguments, seconds: number | null) {
    this.#object = object;
    this.#options = options;
    this.#isDrawn = process.stdout.isTTY === true && !options.json;
    this.#interval = seconds === null ? Number.POSITIVE_INFINITY : seconds * 1000;
    this.#due = performance.now() + this.#interval;
  }

  /** Shows the maps where it is time to. */
  refresh(): void {
    if (performance.now() < this.#due) return;
    this.#due = performance.now() + this.#interval;
    if (!this.#isDrawn) {
      if (!this.#options.json) printLine(`\n${new Date().toTimeString().slice(0, 8)}`);
      printMaps(this.#object, this.#options);
      return;
    }
    this.#erase();
    this.#text = describeMaps(this.#object, this.#options);
    this.#draw();
  }

  /** Takes the maps away while `print` writes. */
  above(print: () => void): void {
    if (this.#lines === 0) {
      print();
      return;
    }
    this.#erase();
    print();
    this.#draw();
  }

  /** Takes them away for good. */
  close(): void {
    this.#erase();
    this.#due = Number.POSITIVE_INFINITY;
  }

  /** As many of the first lines as fit: what has scrolled away cannot be drawn over. */
  #draw(): void {
    const { rows = 24, columns = 80 } = process.stdout;
    const lines = this.#text.split("\n").slice(0, Math.max(1, rows - 1));
    this.#lines = lines.length;
    for (const line of lines) printLine(columns > 0 ? line.slice(0, columns) : line);
  }

  #erase(): void {
    if (this.#lines > 0) process.stdout.write(`\x1b[${this.#lines}A\x1b[0J`);
    this.#lines = 0;
  }
}
