/** Explanations of rejections on a terminal: colours where there is one, wrapped to its width. */
import { explanationText, type TextPart } from "../api/explain.ts";
import type { Explanation } from "../base/index.ts";
import type { Colors } from "./colors.ts";

const paints = (colors: Colors): Record<TextPart, (text: string) => string> => ({
  kind: (text) => colors.bold(colors.red(text)),
  headline: colors.bold,
  frame: colors.blue,
  fault: colors.red,
  step: colors.cyan,
  label: colors.bold,
  detail: (text) => text,
});

const MOST_COLUMNS = 120;

/** `columns` and `colors` are of the stream that it goes to; no columns where that is not a terminal. */
export function paintExplanation(explanation: Explanation, columns: number | undefined, colors: Colors): string {
  const width = Math.min(columns ?? 100, MOST_COLUMNS);
  const paint = paints(colors);
  return explanationText(explanation, { width, paint: (part, text) => (text === "" ? "" : paint[part](text)) });
}
