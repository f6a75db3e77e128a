/** Memory of a process that holds programs, over bare Node: resident set after a garbage collection. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { compile as compileObject } from "../../api/index.ts";
import { asset } from "../assets.ts";
import { median } from "../statistics.ts";
import { askChild } from "./child.ts";
import { inFolder } from "./folder.ts";
import type { Table } from "./table.ts";

const OBJECT = asset("examples/countcomm.bpf.o");

export const memory: Table = {
  name: "memory",
  summary:
    "Memory of a service that has loaded programs (examples/countcomm.bpf.o): MB resident, median of five processes.",
  columns: [
    { key: "what", title: "what is loaded" },
    { key: "megabytes", title: "MB", digits: 1 },
    { key: "overNode", title: "over bare Node", digits: 1 },
    { key: "perProgram", title: "each program", digits: 2 },
  ],
  async *measure({ quick, onProgress }) {
    yield* inFolder(async function* (folder) {
      const prebuilt = join(folder, "small.wasm");
      writeFileSync(prebuilt, (await compileObject(OBJECT, { optimize: 2 })).wasm);
      const many = quick ? 3 : 100;
      const megabytes = async (...args: readonly string[]): Promise<number> => {
        const runs: number[] = [];
        for (let run = 0; run < (quick ? 1 : 5); run++)
          runs.push((await askChild<{ readonly megabytes: number }>("memory", args)).megabytes);
        return median(runs);
      };
      const bare = await megabytes("bare");
      yield { what: "Node", megabytes: bare, overNode: null, perProgram: null };
      const cases = [
        { what: "bpfjit/runtime, no program", args: ["runtime"], of: null },
        { what: "bpfjit/runtime, one prebuilt program", args: ["prebuilt", prebuilt, "1"], of: null },
        { what: `the same, ${many} programs`, args: ["prebuilt", prebuilt, String(many)], of: 1 },
        { what: `the same, ${many} programs, a runtime each`, args: ["apart", prebuilt, String(many)], of: 1 },
        { what: "bpfjit, one program compiled here", args: ["compiler", OBJECT, "1"], of: null },
        { what: `the same, ${many} programs`, args: ["compiler", OBJECT, String(many)], of: 4 },
      ] as const;
      const found: number[] = [];
      for (const { what, args, of } of cases) {
        onProgress(`memory ${what}`);
        const own = await megabytes(...args);
        found.push(own);
        const perProgram = of === null ? null : (own - found[of]!) / (many - 1);
        yield { what, megabytes: own, overNode: own - bare, perProgram };
      }
    });
  },
};
