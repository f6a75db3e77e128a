/** A terminal as far as the command's screen needs one: what it shows after the bytes that were written to it. */

const ESCAPE = "\x1b";
const SEQUENCE = /^\[([\d;]*)([A-Za-z])/;

export class Terminal {
  /** that have scrolled away */
  readonly above: string[] = [];
  readonly rows: string[];
  #row = 0;
  #column = 0;
  #saved = { row: 0, column: 0 };
  /** last row that scrolls; the first always does */
  #last: number;

  constructor(rows: number) {
    this.rows = Array(rows).fill("");
    this.#last = rows - 1;
  }

  write(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const character = text[at]!;
      if (character === ESCAPE) at += this.#escape(text.slice(at + 1));
      else if (character === "\r") this.#column = 0;
      else if (character === "\n") this.#feed();
      else this.#put(character);
    }
  }

  #put(character: string): void {
    const row = this.rows[this.#row]!.padEnd(this.#column);
    this.rows[this.#row] = row.slice(0, this.#column) + character + row.slice(this.#column + 1);
    this.#column++;
  }

  #feed(): void {
    if (this.#row === this.#last) {
      this.above.push(...this.rows.splice(0, 1));
      this.rows.splice(this.#last, 0, "");
    } else this.#row = Math.min(this.rows.length - 1, this.#row + 1);
  }

  /** Returns its length. */
  #escape(text: string): number {
    const position = { row: this.#row, column: this.#column };
    if (text[0] === "7") this.#saved = position;
    if (text[0] === "8") ({ row: this.#row, column: this.#column } = this.#saved);
    const [sequence, values, command] = SEQUENCE.exec(text) ?? [];
    if (sequence === undefined) return 1;
    const [first, second] = values!.split(";").map(Number);
    if (command === "A") this.#row = Math.max(0, this.#row - first!);
    else if (command === "H") [this.#row, this.#column] = [first! - 1, second! - 1];
    else if (command === "J") this.#clearBelow();
    else if (command === "r") {
      this.#last = (second ?? this.rows.length) - 1;
      [this.#row, this.#column] = [0, 0];
    } else throw new Error(`the terminal does not know ${sequence}`);
    return sequence.length;
  }

  #clearBelow(): void {
    this.rows[this.#row] = this.rows[this.#row]!.slice(0, this.#column);
    this.rows.fill("", this.#row + 1);
  }
}
