/**
 * node memory.js WHAT [PREBUILT]: loads what a service would, and prints MB of memory as JSON, after a garbage collection.
 * `bare`: nothing. `runtime`: bpfjit/runtime. `prebuilt N`: N prebuilt objects in one runtime. `apart N`: each in its own.
 * `compiler N`: N objects compiled here, in one runtime.
 */
import { setTimeout } from "node:timers/promises";

const [what, path = "", count = "0"] = process.argv.slice(2);
const kept: unknown[] = [];

switch (what) {
  case "bare":
    break;
  case "runtime":
    kept.push(await import("../../api/runtime.ts"));
    break;
  case "prebuilt":
  case "apart": {
    const { createRuntime, loadPrebuilt } = await import("../../api/runtime.ts");
    const shared = what === "prebuilt" ? createRuntime() : null;
    for (let index = 0; index < Number(count); index++) {
      const object = await loadPrebuilt(path, shared === null ? {} : { runtime: shared });
      object.attach();
      kept.push(object);
    }
    break;
  }
  case "compiler": {
    const { createRuntime, load } = await import("../../api/index.ts");
    const runtime = createRuntime();
    for (let index = 0; index < Number(count); index++) {
      const object = await load(path, { runtime, optimize: 0 });
      object.attach();
      kept.push(object);
    }
    break;
  }
  default:
    throw new Error(`memory.js does not know ${what}`);
}

// V8 frees what modules and compilation left behind a little later
for (let round = 0; round < 3; round++) {
  globalThis.gc?.();
  await setTimeout(50);
}
process.stdout.write(`${JSON.stringify({ megabytes: process.memoryUsage().rss / 2 ** 20, kept: kept.length })}\n`);
