/**
 * The chart of the ratios: a row a workload, on a logarithmic axis, since twice as fast and half as fast are as far from 1. What
 * is left of the line at 1.0 is faster than the engine it is compared with. Plain SVG that needs nothing and follows the
 * reader's light or dark theme.
 */
import type { Baseline, BenchRow } from "../row.ts";
import { meansOf, ratiosOf, type WorkloadRatios } from "./ratios.ts";

const WIDTH = 920;
const LABELS = 156;
/** Of the axis' end from the columns of figures, and of each of these. */
const GAP = 26;
const COLUMN = 50;
const EDGE = 20;
/** Of the legend, of each of its lines, and from its last line to the first workload. */
const LEGEND = 78;
const LINE = 24;
const AXIS = 44;
const ROW = 24;
const FOOT = 40;
/** Width of a letter of the legend, about. */
const LETTER = 6.3;
const TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10] as const;

interface Engine {
  readonly engine: Baseline;
  readonly title: string;
  /** around 0, 0 */
  readonly mark: string;
}

/** The first that was measured is drawn as bars, the others as marks. */
const ENGINES: readonly Engine[] = [
  { engine: "kernel-loop", title: "the kernel’s JIT", mark: "" },
  { engine: "kernel-repeat", title: "the kernel, one event a run", mark: "M-5 -5 5 5M-5 5 5 -5" },
  { engine: "js-helpers", title: "helpers as JavaScript imports", mark: "M0 -6 6 5 -6 5Z" },
  { engine: "js", title: "JavaScript by hand", mark: "M0 -6 6 0 0 6 -6 0Z" },
];

const STYLE = `
text { font: 13px system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; fill: #1f2328 }
.page { fill: #ffffff; stroke: #d1d9e0 }
.title { font-size: 17px; font-weight: 600 }
.note, .tick { fill: #59636e; font-size: 12px }
.grid { stroke: #e4e8ec }
.one { stroke: #1f2328; stroke-width: 1.5 }
.band { fill: #f6f8fa }
.bar { fill: #2f6fde }
.slow { fill: #c4432b }
.value { font-size: 12px; font-variant-numeric: tabular-nums }
.target { stroke: #1f2328; stroke-width: 2 }
.kernel-repeat { fill: none; stroke: #8250df; stroke-width: 2 }
.js-helpers { fill: #1a9c6c; stroke: #ffffff }
.js { fill: #e08a00; stroke: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .page { fill: #0d1117; stroke: #30363d }
  .note, .tick { fill: #9198a1 }
  .grid { stroke: #262c34 }
  .one, .target { stroke: #e6edf3 }
  .band { fill: #151b23 }
  .bar { fill: #4c8dff }
  .slow { fill: #f0705a }
  .kernel-repeat { stroke: #b388ff }
  .js-helpers { fill: #3fc891; stroke: #0d1117 }
  .js { fill: #f5b041; stroke: #0d1117 }
}`;

export function chartSvg(rows: readonly BenchRow[]): string {
  const workloads = ratiosOf(rows);
  const means = meansOf(workloads);
  const shown = ENGINES.filter(({ engine }) => means.some((mean) => mean.engine === engine));
  const end = WIDTH - EDGE - COLUMN * shown.length;
  const scale = axis(workloads, end - GAP);
  const isBar = shown[0]?.engine === "kernel-loop";
  const { parts: legend, bottom: legendBottom } = legendOf(shown, isBar, workloads);
  const top = legendBottom + AXIS;
  const bottom = top + workloads.length * ROW;
  const height = bottom + FOOT;
  const parts: string[] = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>bpfjit's time an event, relative to other engines</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    text(20, 32, "title", "bpfjit’s time per event, relative to others"),
    text(20, 52, "note", "Left of 1.0 is faster than the other engine. Logarithmic scale."),
    ...legend,
  ];
  workloads.forEach((_, index) => {
    if (index % 2 === 0)
      parts.push(`<rect class="band" x="12" y="${top + index * ROW}" width="${WIDTH - 24}" height="${ROW}"/>`);
  });
  for (const tick of scale.ticks) {
    const x = scale.at(tick);
    parts.push(`<line class="${tick === 1 ? "one" : "grid"}" x1="${x}" x2="${x}" y1="${top - 6}" y2="${bottom + 6}"/>`);
    for (const y of [top - 12, bottom + 22]) parts.push(text(x, y, "tick", label(tick), "middle"));
  }
  workloads.forEach((workload, index) => {
    parts.push(...workloadParts(workload, top + index * ROW + ROW / 2, { scale, shown, isBar, end }));
  });
  shown.forEach((engine, index) => {
    parts.push(markOf(engine, end + (index + 1) * COLUMN - 15, top - 16));
  });
  parts.push("</svg>");
  return `${parts.join("\n")}\n`;
}

interface Axis {
  readonly ticks: readonly number[];
  at(ratio: number): number;
}

/** From tick to tick, 1 inside. */
function axis(workloads: readonly WorkloadRatios[], end: number): Axis {
  const values = workloads.flatMap(({ ratios, target }) => [
    ...Object.values(ratios),
    ...(target === null ? [] : [target]),
  ]);
  const least = Math.min(0.5, ...values);
  const most = Math.max(1.25, ...values);
  const low = TICKS.findLast((tick) => tick <= least) ?? TICKS[0];
  const high = TICKS.find((tick) => tick >= most) ?? TICKS.at(-1)!;
  const span = Math.log(high / low);
  const width = end - LABELS;
  return {
    ticks: TICKS.filter((tick) => tick >= low && tick <= high),
    at: (ratio) => {
      const inside = Math.min(high, Math.max(low, ratio));
      return Math.round(10 * (LABELS + (width * Math.log(inside / low)) / span)) / 10;
    },
  };
}

interface Drawing {
  readonly scale: Axis;
  readonly shown: readonly Engine[];
  readonly isBar: boolean;
  /** where the columns of figures begin */
  readonly end: number;
}

function workloadParts(
  { workload, ratios, target }: WorkloadRatios,
  y: number,
  { scale, shown, isBar, end }: Drawing,
): string[] {
  const parts = [text(LABELS - 14, y + 4.5, "", workload, "end")];
  const one = scale.at(1);
  const loop = ratios["kernel-loop"];
  if (isBar && loop !== undefined) {
    const x = scale.at(loop);
    const [from, to] = x < one ? [x, one] : [one, x];
    const isSlow = loop > 1;
    parts.push(
      `<rect class="${isSlow ? "slow" : "bar"}" x="${from}" y="${y - 6}" width="${(to - from).toFixed(1)}" height="12" rx="2"/>`,
    );
    if (target !== null) {
      const at = scale.at(target);
      parts.push(`<line class="target" x1="${at}" x2="${at}" y1="${y - 9}" y2="${y + 9}"/>`);
    }
  }
  for (const { engine, mark } of shown) {
    const ratio = ratios[engine];
    if (mark === "" || ratio === undefined) continue;
    parts.push(`<path class="${engine}" transform="translate(${scale.at(ratio)} ${y})" d="${mark}"/>`);
  }
  shown.forEach(({ engine }, index) => {
    const ratio = ratios[engine];
    if (ratio !== undefined) parts.push(text(end + (index + 1) * COLUMN, y + 4.5, "value", ratio.toFixed(2), "end"));
  });
  return parts;
}

const markOf = ({ engine, mark }: Engine, x: number, y: number): string =>
  mark === ""
    ? `<rect class="bar" x="${x - 8}" y="${y - 6}" width="16" height="12" rx="2"/>`
    : `<path class="${engine}" transform="translate(${x} ${y})" d="${mark}"/>`;

/** Each engine with its mean, and what the strokes are. */
function legendOf(
  shown: readonly Engine[],
  isBar: boolean,
  workloads: readonly WorkloadRatios[],
): { readonly parts: string[]; readonly bottom: number } {
  const means = meansOf(workloads);
  const entries = shown.map((engine) => {
    const mean = means.find((each) => each.engine === engine.engine)!.mean.toFixed(2);
    return { words: `${engine.title}, mean of these ${mean}`, mark: (x: number, y: number) => markOf(engine, x, y) };
  });
  if (isBar && workloads.some(({ target }) => target !== null)) {
    const mark = (x: number, y: number): string =>
      `<line class="target" x1="${x}" x2="${x}" y1="${y - 8}" y2="${y + 8}"/>`;
    entries.push({ words: "kernel target", mark });
  }
  const parts: string[] = [];
  let [x, y] = [28, LEGEND];
  for (const { words, mark } of entries) {
    const width = 16 + words.length * LETTER;
    if (x + width > WIDTH - EDGE) [x, y] = [28, y + LINE];
    parts.push(mark(x, y), text(x + 14, y + 4.5, "note", words));
    x = Math.round(x + width + 22);
  }
  return { parts, bottom: y };
}

const label = (tick: number): string => (tick === 1 ? "1.0" : String(tick));

function text(
  x: number,
  y: number,
  style: string,
  words: string,
  anchor: "start" | "middle" | "end" = "start",
): string {
  const attributes = [style === "" ? "" : ` class="${style}"`, anchor === "start" ? "" : ` text-anchor="${anchor}"`];
  return `<text x="${x}" y="${y}"${attributes.join("")}>${escaped(words)}</text>`;
}

export const escaped = (words: string): string =>
  words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
