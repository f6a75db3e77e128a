/**
 * Bundles what ships: dist/ → lib/, each entry where dist/ has it, what they share in lib/chunks/. Hundreds of small modules take
 * Node a quarter of a second to import, a few bundles a tenth of that. Names are kept, for stack traces.
 * `node dist/tools/bundle.js`, as a part of `npm run build`.
 */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What package.json points to. Threads have entries of their own (base/threads.ts). */
const ENTRIES = ["api/index", "api/runtime", "api/node", "bin/bpfjit"];
/** Processes that the benchmark starts. */
const CHILDREN = ["bench/children/compile", "bench/children/memory", "bench/children/replay"];
const THREADS = readdirSync(join(ROOT, "dist"), { recursive: true, encoding: "utf8" })
  .filter((file) => basename(file) === "thread.js")
  .map((file) => file.slice(0, -".js".length).replaceAll("\\", "/"));

await using bundle = await rolldown({
  cwd: ROOT,
  input: Object.fromEntries([...ENTRIES, ...CHILDREN, ...THREADS].map((entry) => [entry, `./dist/${entry}.js`])),
  platform: "node",
  external: /^[^./]/,
  // Modules do nothing but define: one whose exports nobody takes is left out, its tables with it.
  treeshake: { moduleSideEffects: false },
});
await bundle.write({
  dir: "lib",
  cleanDir: true,
  entryFileNames: "[name].js",
  chunkFileNames: "chunks/[name].js",
  sourcemap: true,
  // Lines stay lines: an error that nobody catches shows the one it comes from.
  comments: false,
});
