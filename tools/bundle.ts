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

const INPUTS = [...ENTRIES, ...CHILDREN, ...THREADS];
const SHARED_OPTIONS = {
  cwd: ROOT,
  platform: "node",
  external: /^[^./]/,
  // Modules do nothing but define: one whose exports nobody takes is left out, its tables with it.
  treeshake: { moduleSideEffects: false },
} as const;

/** The modules that importing an entry loads, those aside that it imports when they are needed. */
async function modulesOf(entry: string): Promise<ReadonlySet<string>> {
  await using alone = await rolldown({ ...SHARED_OPTIONS, input: `./dist/${entry}.js` });
  const { output } = await alone.generate();
  const chunks = new Map(output.flatMap((file) => (file.type === "chunk" ? [[file.fileName, file] as const] : [])));
  const found = new Set<string>();
  const open = output.filter((file) => file.type === "chunk" && file.isEntry).map(({ fileName }) => fileName);
  for (const fileName of open) {
    const chunk = chunks.get(fileName)!;
    for (const id of chunk.moduleIds) found.add(id);
    for (const imported of chunk.imports) if (chunks.has(imported) && !open.includes(imported)) open.push(imported);
  }
  return found;
}

/**
 * Each file that is imported takes Node a ms: what a worker's thread needs is one chunk, what the runtime needs beyond is another.
 */
const [ofThreads, ofRuntime] = await Promise.all(["runtime/workers/thread", "api/runtime"].map(modulesOf));
const entries = new Set(INPUTS.map((entry) => join(ROOT, "dist", `${entry}.js`)));
const chunkOf = (id: string): string | null => {
  if (entries.has(id)) return null;
  // what rolldown itself puts in
  if (id.startsWith("\0")) return "core";
  return ofThreads!.has(id) ? "core" : ofRuntime!.has(id) ? "runtime" : null;
};

await using bundle = await rolldown({
  ...SHARED_OPTIONS,
  input: Object.fromEntries(INPUTS.map((entry) => [entry, `./dist/${entry}.js`])),
});
await bundle.write({
  dir: "lib",
  cleanDir: true,
  entryFileNames: "[name].js",
  chunkFileNames: "chunks/[name].js",
  codeSplitting: { groups: [{ debugName: "shared", name: chunkOf }] },
  sourcemap: true,
  // Lines stay lines: an error that nobody catches shows the one it comes from.
  comments: false,
});
