/** A page of its own: the chart, and all figures in a table. */
import { BASELINES, type BenchRow } from "../row.ts";
import { ratiosOf } from "./ratios.ts";
import { chartSvg, escaped } from "./svg.ts";

const STYLE = `
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
svg { max-width: 100%; height: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin-top: 1.5rem }
th, td { padding: 0.2rem 0.8rem; text-align: right; border-bottom: 1px solid color-mix(in srgb, currentcolor 18%, transparent) }
th:first-child, td:first-child { text-align: left }`;

/** `machine`: where the rows were measured. */
export function chartPage(rows: readonly BenchRow[], machine: string): string {
  const engines = BASELINES.filter((name) => rows.some(({ engine }) => engine === name));
  const heads = ["workload", "bpfjit ns", "events/s", ...engines.flatMap((name) => [`${name} ns`, "ratio"])];
  const compared = new Map(ratiosOf(rows).map((each) => [each.workload, each]));
  const lines = [...new Set(rows.map(({ workload }) => workload))].flatMap((workload) => {
    const own = rows.find((row) => row.workload === workload && row.engine === "bpfjit");
    if (own === undefined) return [];
    const others = engines.flatMap((name) => {
      const other = rows.find((row) => row.workload === workload && row.engine === name);
      const ratio = compared.get(workload)?.ratios[name];
      return other === undefined || ratio === undefined ? ["", ""] : [other.nsPerEvent.toFixed(2), ratio.toFixed(2)];
    });
    return [[workload, own.nsPerEvent.toFixed(2), Math.round(own.eventsPerSecond).toLocaleString("en"), ...others]];
  });
  const cells = (tag: string, texts: readonly string[]): string =>
    `<tr>${texts.map((each) => `<${tag}>${escaped(each)}</${tag}>`).join("")}</tr>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>bpfjit benchmark</title>
<style>${STYLE}
</style>
</head>
<body>
<h1>bpfjit benchmark</h1>
<p>${escaped(machine)}. Times are ns an event, medians; a ratio is bpfjit's time to the other's.</p>
${chartSvg(rows)}<table>
<thead>${cells("th", heads)}</thead>
<tbody>
${lines.map((line) => cells("td", line)).join("\n")}
</tbody>
</table>
</body>
</html>
`;
}
