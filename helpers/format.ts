/**
 * Reads a format of bpf_trace_printk and bpf_snprintf: bytes in, parts out. Which directives exist, and what may follow
 * them, is the kernel's choice; width and flags are read, a precision or `#` is not allowed.
 * Kernel: bpf_bprintf_prepare() for what is refused, format_decode() for what the rest means.
 */
import { isAlphaNumeric, isAscii, isDigit, isPrintable, isPunctuation, isSpace } from "./ctype.ts";

export interface Padding {
  /** `-` */
  readonly left: boolean;
  /** `0` */
  readonly zero: boolean;
  /** `+` and blank: what stands before a signed number that is not negative */
  readonly plus: boolean;
  readonly blank: boolean;
  /** columns, -1: none given. A signed 32-bit number, wrapped as the kernel's atoi wraps it. */
  readonly width: number;
}

export type NumberStyle = "signed" | "unsigned" | "hex" | "HEX";
/** What %p… asks for: a stand-in for the address, the address, or the symbol it belongs to. */
export type PointerStyle = "hidden" | "address" | "symbol";
/** `i` prints IPv4 with leading zeros and IPv6 without colons, `I` does the other. */
export type InternetStyle = "i4" | "I4" | "i6" | "I6";

export type FormatPart =
  /** `text` as it stands; `%%` is a text of one percent sign */
  | { readonly kind: "text"; readonly bytes: Uint8Array }
  | { readonly kind: "number"; readonly style: NumberStyle; readonly wide: boolean; readonly padding: Padding }
  | { readonly kind: "char"; readonly padding: Padding }
  | { readonly kind: "string"; readonly padding: Padding }
  /** printed without padding, whatever the format says */
  | { readonly kind: "foreignString"; readonly space: "kernel" | "user" }
  | { readonly kind: "internet"; readonly style: InternetStyle }
  | { readonly kind: "backtrace" }
  | { readonly kind: "pointer"; readonly style: PointerStyle; readonly padding: Padding }
  /** the kernel answers -EINVAL when it gets here; always the last part */
  | { readonly kind: "invalid" };

/** `format` is without its terminating zero. */
export function parseFormat(format: Uint8Array): readonly FormatPart[] {
  const reader = new FormatReader(format);
  const parts: FormatPart[] = [];
  while (!reader.atEnd()) {
    const part = reader.next();
    parts.push(part);
    if (part.kind === "invalid") break;
  }
  return parts;
}

const INVALID: FormatPart = { kind: "invalid" };
const PERCENT = 0x25;

class FormatReader {
  readonly #format: Uint8Array;
  #at = 0;

  constructor(format: Uint8Array) {
    this.#format = format;
  }

  atEnd(): boolean {
    return this.#at >= this.#format.length;
  }

  next(): FormatPart {
    if (this.#peek() !== PERCENT) return this.#text();
    if (this.#peek(1) === PERCENT) {
      this.#at += 2;
      return { kind: "text", bytes: Uint8Array.of(PERCENT) };
    }
    this.#at++;
    if (!isAscii(this.#peek())) return INVALID;
    return this.#directive(this.#padding());
  }

  /** 0 behind the end, as a terminated string has it */
  #peek(ahead = 0): number {
    return this.#format[this.#at + ahead] ?? 0;
  }

  #text(): FormatPart {
    const start = this.#at;
    while (!this.atEnd() && this.#peek() !== PERCENT) {
      const byte = this.#peek();
      if (isAscii(byte) && !isPrintable(byte) && !isSpace(byte)) return INVALID;
      this.#at++;
    }
    return { kind: "text", bytes: this.#format.subarray(start, this.#at) };
  }

  #padding(): Padding {
    const flags = new Set<string>();
    for (; "0+- ".includes(this.#char()); this.#at++) flags.add(this.#char());
    let width = -1;
    if (isDigit(this.#peek())) width = 0;
    for (; isDigit(this.#peek()); this.#at++) width = (Math.imul(width, 10) + this.#peek() - 0x30) | 0;
    return { left: flags.has("-"), zero: flags.has("0"), plus: flags.has("+"), blank: flags.has(" "), width };
  }

  #char(ahead = 0): string {
    return String.fromCharCode(this.#peek(ahead));
  }

  #directive(padding: Padding): FormatPart {
    const char = this.#char();
    if (char === "p") return this.#pointer(padding);
    if (char === "s") return this.#take(1, { kind: "string", padding }, "mustEnd");
    if (char === "c") return this.#take(1, { kind: "char", padding });
    let longs = 0;
    while (longs < 2 && this.#char(longs) === "l") longs++;
    const style = NUMBER_STYLES[this.#char(longs)];
    if (style === undefined) return INVALID;
    return this.#take(longs + 1, { kind: "number", style, wide: longs > 0, padding });
  }

  #pointer(padding: Padding): FormatPart {
    if (this.#endsAt(1)) return this.#take(1, { kind: "pointer", style: "hidden", padding });
    const next = this.#char(1);
    if ((next === "k" || next === "u") && this.#char(2) === "s") {
      return this.#take(3, { kind: "foreignString", space: next === "k" ? "kernel" : "user" }, "mustEnd");
    }
    const style = POINTER_STYLES[next];
    if (style !== undefined) return this.#skipWord(this.#take(2, { kind: "pointer", style, padding }));
    if (next === "B") return this.#skipWord(this.#take(2, { kind: "backtrace" }));
    const internet = INTERNET_STYLES.find((name) => name === next + this.#char(2));
    return internet === undefined ? INVALID : this.#skipWord(this.#take(3, { kind: "internet", style: internet }));
  }

  /** A string directive must be followed by the end, white space or punctuation. */
  #take(bytes: number, part: FormatPart, end: "mustEnd" | "any" = "any"): FormatPart {
    if (end === "mustEnd" && !this.#endsAt(bytes)) return INVALID;
    this.#at += bytes;
    return part;
  }

  #endsAt(ahead: number): boolean {
    const byte = this.#peek(ahead);
    return byte === 0 || isSpace(byte) || isPunctuation(byte);
  }

  /** What follows a pointer directive and looks like more of it is never printed. */
  #skipWord(part: FormatPart): FormatPart {
    while (isAlphaNumeric(this.#peek())) this.#at++;
    return part;
  }
}

const NUMBER_STYLES: Readonly<Record<string, NumberStyle>> = {
  d: "signed",
  i: "signed",
  u: "unsigned",
  x: "hex",
  X: "HEX",
};
const POINTER_STYLES: Readonly<Record<string, PointerStyle>> = { K: "hidden", x: "address", s: "symbol", S: "symbol" };
const INTERNET_STYLES = ["i4", "I4", "i6", "I6"] as const;
