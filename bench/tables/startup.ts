/** From spawning a process to its end, doing as little as there is to do: the command, the library, a prebuilt program. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { compile as compileObject } from "../../api/index.ts";
import { asset, CAPTURE } from "../assets.ts";
import { median } from "../statistics.ts";
import { runNode } from "./child.ts";
import { inFolder } from "./folder.ts";
import type { Table } from "./table.ts";

const OBJECT = asset("examples/runqlat.bpf.o");
const COMMAND = asset("lib/bin/bpfjit.js");

export const startup: Table = {
  name: "startup",
  summary:
    "Processes from start to end, ms: median, in turns. The object is examples/runqlat.bpf.o, the capture examples/captures/sched.perf.data.",
  columns: [
    { key: "what", title: "what" },
    { key: "ms", title: "ms" },
    { key: "overNode", title: "over bare Node" },
  ],
  async *measure({ quick, onProgress }) {
    yield* inFolder(async function* (folder) {
      const prebuilt = join(folder, "runqlat.wasm");
      writeFileSync(prebuilt, (await compileObject(OBJECT, { optimize: 2 })).wasm);
      const ways = waysOf(prebuilt, join(folder, "cache"));
      const times = ways.map((): number[] => []);
      // the first round fills caches, the disk's and ours
      for (let round = 0; round <= (quick ? 1 : 11); round++)
        for (const [index, { what, args, environment }] of ways.entries()) {
          onProgress(`startup ${what}`);
          const { ms } = await runNode(args, environment ?? {});
          if (round > 0) times[index]!.push(ms);
        }
      const bare = median(times[0]!);
      for (const [index, { what }] of ways.entries()) {
        const ms = median(times[index]!);
        yield { what, ms, overNode: index === 0 ? null : ms - bare };
      }
    });
  },
};

interface Way {
  readonly what: string;
  readonly args: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
}

function waysOf(prebuilt: string, cache: string): readonly Way[] {
  const script = (text: string): string[] => ["--input-type=module", "-e", text];
  const entry = (name: string): string => JSON.stringify(pathToFileURL(asset(`lib/api/${name}.js`)).href);
  const run = (object: string): string[] => [COMMAND, "run", object, "--input", CAPTURE, "--quiet"];
  return [
    { what: "Node, an empty module", args: script("") },
    { what: 'import "bpfjit/runtime"', args: script(`import ${entry("runtime")}`) },
    {
      what: "the same, and a prebuilt program loaded and attached",
      args: script(
        `import { loadPrebuilt } from ${entry("runtime")}; (await loadPrebuilt(${JSON.stringify(prebuilt)})).attach();`,
      ),
    },
    { what: 'import "bpfjit"', args: script(`import ${entry("index")}`) },
    { what: "bpfjit --version", args: [COMMAND, "--version"] },
    { what: "bpfjit run of a prebuilt object over a capture", args: run(prebuilt) },
    { what: "bpfjit run of an object, from the cache", args: run(OBJECT), environment: { BPFJIT_CACHE: cache } },
    { what: "bpfjit run of an object", args: run(OBJECT) },
  ];
}
