/** One line of assembly as tokens, and a cursor over them that fails with ASM_SYNTAX. Knows no instruction. */
import { ObjectError } from "../../base/index.ts";

export type Token =
  | { readonly kind: "word" | "symbol"; readonly text: string }
  | { readonly kind: "number"; readonly text: string; readonly value: bigint };

export interface SourceText {
  /** 1-based */
  readonly line: number;
  readonly text: string;
  readonly file?: string | undefined;
}

export function syntaxError(source: SourceText, message: string, hint?: string): ObjectError {
  return new ObjectError("ASM_SYNTAX", `line ${source.line}: ${message}`, {
    where: { file: source.file, line: source.line, text: source.text.trim() },
    hint,
  });
}

// Signed operators come first: `s>` would otherwise begin with the word `s`.
const TOKEN =
  /\s*(?:(s>>=|s\/=|s%=|s>=|s<=|s>|s<|<<=|>>=|[-+*/%&|^!=<>]=|[-+*()[\]{},=<>&:!])|(0[xX][0-9a-fA-F]+|[0-9]+)(?![\w.$])|([A-Za-z_.$][\w.$]*)|(\S))/y;
/** Longer than any 64-bit number: keeps the conversion of digits cheap whatever the input. */
const NUMBER_DIGITS = 20;

/** Throws ASM_SYNTAX for a character that begins no token and for a number beyond 64 bits. */
export function tokens(source: SourceText, code: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = code.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(code);
    if (match === null) break;
    const [, symbol, number, word, other] = match;
    if (symbol !== undefined) found.push({ kind: "symbol", text: symbol });
    else if (word !== undefined) found.push({ kind: "word", text: word });
    else if (number !== undefined) found.push({ kind: "number", text: number, value: numberValue(source, number) });
    else throw syntaxError(source, `unexpected ${JSON.stringify(other)}`);
  }
  return found;
}

function numberValue(source: SourceText, text: string): bigint {
  const value = text.length <= NUMBER_DIGITS ? BigInt(text) : -1n;
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw syntaxError(source, "number does not fit 64 bits");
  return value;
}

/** Walks the tokens of one statement. */
export class Cursor {
  readonly source: SourceText;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(source: SourceText, tokens: readonly Token[]) {
    this.source = source;
    this.#tokens = tokens;
  }

  fail(message: string): never {
    throw syntaxError(this.source, message);
  }
  /** What comes next, for messages. */
  get nextText(): string {
    const token = this.#tokens[this.#at];
    return token === undefined ? "the end of the line" : JSON.stringify(token.text);
  }
  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }
  peek(distance = 0): Token | undefined {
    return this.#tokens[this.#at + distance];
  }
  next(): Token | undefined {
    return this.#tokens[this.#at++];
  }
  /** Steps over `text` if it is next. */
  accept(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token === undefined || token.kind === "number" || token.text !== text) return false;
    this.#at++;
    return true;
  }
  expect(text: string): void {
    if (!this.accept(text)) this.fail(`expected ${JSON.stringify(text)}, not ${this.nextText}`);
  }
  word(what: string): string {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "word") this.fail(`expected ${what}, not ${this.nextText}`);
    this.#at++;
    return token.text;
  }
  /** An optionally signed number. */
  number(what: string): bigint {
    const sign = this.accept("-") ? -1n : 1n;
    if (sign > 0n) this.accept("+");
    const token = this.#tokens[this.#at];
    if (token?.kind !== "number") this.fail(`expected ${what}, not ${this.nextText}`);
    this.#at++;
    return sign * token.value;
  }
  /** A number in [low, high]. */
  numberWithin(what: string, low: number, high: number): number {
    const value = this.number(what);
    if (value < BigInt(low) || value > BigInt(high)) this.fail(`${what} ${value} is not within ${low} … ${high}`);
    return Number(value);
  }
  end(): void {
    if (!this.done) this.fail(`unexpected ${this.nextText} after the instruction`);
  }
}
