/** Explanations of rejections on a terminal: colours where there is one, wrapped to its width. */
import pc from "picocolors";
import { type Explanation, explanationText, type TextPart } from "../api/index.ts";

const PAINT: Record<TextPart, (text: string) => string> = {
  kind: (text) => pc.bold(pc.red(text)),
  headline: pc.bold,
  frame: pc.blue,
  fault: pc.red,
  step: pc.cyan,
  label: pc.bold,
  detail: (text) => text,
};

const MOST_COLUMNS = 120;

/** `columns`: of the terminal, undefined where the output goes elsewhere. */
export function paintExplanation(explanation: Explanation, columns: number | undefined): string {
  const width = Math.min(columns ?? 100, MOST_COLUMNS);
  return explanationText(explanation, { width, paint: (part, text) => (text === "" ? "" : PAINT[part](text)) });
}
