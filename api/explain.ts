/**
 * An explanation as text for people: the C lines of its chain with what happened there, then what would be allowed and what
 * usually helps. Instructions stand in place of lines where a program has no line information.
 */
import type { CodePlace, Explanation, ExplanationLimit, ExplanationStep, LimitValue } from "../base/index.ts";

/** What a part of the text is, for whoever paints it. */
export type TextPart = "kind" | "headline" | "frame" | "fault" | "step" | "label" | "detail";

export interface ExplanationTextOptions {
  /** colours; default: none */
  readonly paint?: (part: TextPart, text: string) => string;
  /** columns that lines are wrapped to, where they can be; default 100 */
  readonly width?: number;
}

/** Lines joined by line breaks, without one at the end. */
export function explanationText(explanation: Explanation, options: ExplanationTextOptions = {}): string {
  const paint = options.paint ?? ((_part: TextPart, text: string) => text);
  const printer = new Printer(explanation, paint, options.width ?? 100);
  return printer.print();
}

class Printer {
  readonly #explanation: Explanation;
  readonly #paint: (part: TextPart, text: string) => string;
  readonly #width: number;
  /** columns of the numbers before the bar */
  readonly #gutter: number;
  readonly #lines: string[] = [];

  constructor(explanation: Explanation, paint: (part: TextPart, text: string) => string, width: number) {
    this.#explanation = explanation;
    this.#paint = paint;
    this.#width = width;
    this.#gutter = Math.max(...explanation.chain.map(({ place }) => String(numberOf(place)).length), 2);
  }

  print(): string {
    const { kind, headline } = this.#explanation;
    const head = wrap(`${kind}: ${headline}`, this.#width);
    for (const [i, line] of head.entries()) {
      const text =
        i === 0
          ? `${this.#paint("kind", kind)}${this.#paint("headline", line.slice(kind.length))}`
          : this.#paint("headline", line);
      this.#lines.push(text);
    }
    this.#printChain();
    this.#printNotes();
    return this.#lines.join("\n");
  }

  #printChain(): void {
    const { place: fault, chain } = this.#explanation;
    this.#lines.push(`${" ".repeat(this.#gutter)}${this.#paint("frame", "-->")} ${whereText(fault)}`);
    this.#bar("");
    let before: CodePlace = { ...fault, source: null, insnIndex: -1 };
    for (const [index, step] of chain.entries()) {
      const { place } = step;
      const isElsewhere = place.function !== before.function || (index > 0 && fileOf(place) !== fileOf(before));
      if (isElsewhere) {
        const file = fileOf(place) === fileOf(fault) ? "" : ` (${fileOf(place)})`;
        this.#lines.push(`${" ".repeat(this.#gutter)}${this.#paint("frame", ":::")} in ${place.function}${file}`);
      }
      if (isElsewhere || index === 0 || numberOf(place) !== numberOf(before)) {
        const number = this.#paint("frame", `${String(numberOf(place)).padStart(this.#gutter)} |`);
        this.#lines.push(`${number}   ${textOf(place)}`);
      }
      this.#printStep(index, step);
      before = place;
    }
  }

  #printStep(index: number, step: ExplanationStep): void {
    const { from, length } = underlineOf(step.place);
    const part = step.role === "fault" ? "fault" : "step";
    const mark = `  ${" ".repeat(from)}${this.#paint(part, "^".repeat(length))}`;
    const text = `${this.#explanation.chain.length > 1 ? `${index + 1}. ` : ""}${step.text}`;
    if (this.#gutter + 5 + from + length + text.length <= this.#width) {
      this.#bar(`${mark} ${this.#paint(part, text)}`);
      return;
    }
    this.#bar(mark);
    for (const line of wrap(text, this.#width - this.#gutter - 5)) this.#bar(`  ${this.#paint(part, line)}`);
  }

  #printNotes(): void {
    const { limits, remedies, message, errno, docs } = this.#explanation;
    this.#bar("");
    for (const limit of limits) this.#note("allowed", limitText(limit));
    for (const remedy of remedies) this.#note("help", remedy);
    this.#note("kernel", `${message === "" ? "(no message)" : message}${errno === null ? "" : ` (${errno})`}`);
    this.#note("more", docs);
  }

  #note(label: string, text: string): void {
    const margin = " ".repeat(this.#gutter + 1);
    const [first = "", ...rest] = wrap(text, this.#width - margin.length - label.length - 4);
    this.#lines.push(
      `${margin}${this.#paint("frame", "=")} ${this.#paint("label", `${label}:`)} ${this.#paint("detail", first)}`,
    );
    for (const line of rest) this.#lines.push(`${margin}${" ".repeat(label.length + 4)}${this.#paint("detail", line)}`);
  }

  #bar(text: string): void {
    this.#lines.push(`${" ".repeat(this.#gutter)} ${this.#paint("frame", "|")}${text === "" ? "" : ` ${text}`}`);
  }
}

const fileOf = (place: CodePlace): string => place.source?.file ?? "";
const numberOf = (place: CodePlace): number => place.source?.line ?? place.insnIndex;
const textOf = (place: CodePlace): string => place.source?.text ?? place.insn;

function whereText({ source, function: name, insnIndex }: CodePlace): string {
  const line = source === null ? "" : `${source.file}:${source.line}${source.column > 0 ? `:${source.column}` : ""}, `;
  return `${line}${name === "" ? "" : `in ${name}, `}instruction ${insnIndex}`;
}

/** The word or operator at the column; the whole line where the column is not known. */
function underlineOf(place: CodePlace): { readonly from: number; readonly length: number } {
  const text = textOf(place);
  const from = place.source === null ? -1 : place.source.column - 1 - place.source.indent;
  if (from < 0 || from >= text.length) return { from: 0, length: Math.max(text.length, 1) };
  return { from, length: /^(?:\w+|[^\s\w]{1,3})/.exec(text.slice(from))?.[0].length ?? 1 };
}

function limitText({ what, allowed, found }: ExplanationLimit): string {
  return `${what}: ${valueText(allowed)} (here: ${valueText(found)})`;
}

const MOST_NAMES = 12;

function valueText(value: LimitValue): string {
  if (isRange(value)) return value.min === value.max ? `${value.min}` : `${value.min} … ${value.max}`;
  const names = value.slice(0, MOST_NAMES).join(", ");
  return value.length > MOST_NAMES ? `${names} and ${value.length - MOST_NAMES} more` : names;
}

const isRange = (value: LimitValue): value is { readonly min: bigint; readonly max: bigint } => !Array.isArray(value);

/** Breaks between words only. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
