/**
 * Maps shown anew in intervals while a run goes on. On a terminal they stand in a panel at its lower edge, and records and what a
 * traced command prints scroll above; in a pipe they are printed again and again, as at the end.
 */
import type { LoadedObject } from "../api/index.ts";
import { printLine } from "./output.ts";
import { describeMaps, printMaps, type ReportArguments } from "./report.ts";

/** Of a terminal that does not say. */
const ROWS = 24;
const COLUMNS = 80;
/** Lines above the panel, at least. */
const LEAST_ABOVE = 4;

const SAVE = "\x1b7";
const RESTORE = "\x1b8";
const CLEAR_BELOW = "\x1b[0J";
const goTo = (row: number): string => `\x1b[${row};1H`;
const up = (rows: number): string => `\x1b[${rows}A`;
/** Only these rows scroll; the cursor goes to the first. */
const scroll = (last: number): string => `\x1b[1;${last}r`;
const SCROLL_ALL = "\x1b[r";

export class MapScreen {
  readonly #object: LoadedObject;
  readonly #options: ReportArguments;
  readonly #isDrawn: boolean;
  readonly #timer: NodeJS.Timeout | null;
  /** lines of the panel; 0: there is none */
  #lines = 0;
  readonly #onResize = (): void => {
    this.#leave();
    this.#refresh();
  };
  readonly #onExit = (): void => this.#leave();

  /** `seconds` null: never */
  constructor(object: LoadedObject, options: ReportArguments, seconds: number | null) {
    this.#object = object;
    this.#options = options;
    this.#isDrawn = process.stdout.isTTY === true && !options.json;
    this.#timer = seconds === null ? null : setInterval(() => this.#refresh(), seconds * 1000);
    if (this.#timer === null || !this.#isDrawn) return;
    process.stdout.on("resize", this.#onResize);
    process.on("exit", this.#onExit);
  }

  /** Takes the panel away for good. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#leave();
    process.stdout.removeListener("resize", this.#onResize);
    process.removeListener("exit", this.#onExit);
  }

  #refresh(): void {
    if (this.#isDrawn) this.#draw(describeMaps(this.#object, this.#options).split("\n"));
    else {
      if (!this.#options.json) printLine(`\n${new Date().toTimeString().slice(0, 8)}`);
      printMaps(this.#object, this.#options);
    }
  }

  /** As many of the first lines as fit. In one piece: a traced command may print at any time. */
  #draw(text: readonly string[]): void {
    const { rows: height, columns } = process.stdout;
    const rows = height || ROWS;
    const lines = text.slice(0, Math.max(1, rows - LEAST_ABOVE));
    const missing = lines.length - this.#lines;
    const top = rows - lines.length;
    const room = missing > 0 ? "\n".repeat(missing) + up(missing) : "";
    const first = Math.min(top, rows - this.#lines) + 1;
    const panel = lines.map((line, index) => goTo(top + 1 + index) + line.slice(0, columns || COLUMNS)).join("");
    this.#lines = lines.length;
    process.stdout.write(room + SAVE + scroll(top) + goTo(first) + CLEAR_BELOW + panel + RESTORE);
  }

  /** The terminal is as it was. */
  #leave(): void {
    if (this.#lines === 0) return;
    const first = Math.max(1, (process.stdout.rows || ROWS) - this.#lines + 1);
    this.#lines = 0;
    process.stdout.write(SAVE + SCROLL_ALL + goTo(first) + CLEAR_BELOW + RESTORE);
  }
}
