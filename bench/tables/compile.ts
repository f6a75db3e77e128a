/** What it takes to load a program by its length: verifier, compiler, V8, memory. Each length in processes of its own. */
import { askChild } from "./child.ts";
import type { Table } from "./table.ts";

const INSTRUCTIONS = [10, 100, 1_000, 2_000, 10_000, 20_000, 100_000] as const;

/** As bench/children/compile.ts prints it. */
interface Answer {
  readonly instructions: number;
  readonly verifyMs: number;
  readonly firstMs: number;
  readonly bestMs: number;
  readonly engineMs: number;
  readonly againMs: number;
  readonly firstBytes: number;
  readonly bestBytes: number;
  readonly memoryMegabytes: number;
}

export const compile: Table = {
  name: "compile",
  summary:
    "Loading a packet filter by its length, ms, the compiler imported before: fastest of three processes. `at once`: while V8's " +
    "threads are busy with the compiler's own code.",
  columns: [
    { key: "instructions", title: "instructions" },
    { key: "verify", title: "verify", digits: 1 },
    { key: "first", title: "level 0", digits: 1 },
    { key: "best", title: "level 2", digits: 1 },
    { key: "engine", title: "V8 of level 0", digits: 1 },
    { key: "load", title: "load, first tier", digits: 1 },
    { key: "again", title: "again", digits: 1 },
    { key: "atOnce", title: "load, at once", digits: 1 },
    { key: "firstKilobytes", title: "KB of level 0", digits: 1 },
    { key: "bestKilobytes", title: "KB of level 2", digits: 1 },
    { key: "memory", title: "MB at most" },
  ],
  async *measure({ quick, onProgress }) {
    for (const size of quick ? INSTRUCTIONS.slice(0, 2) : INSTRUCTIONS) {
      onProgress(`compile ${size}`);
      const answers: Answer[] = [];
      const early: Answer[] = [];
      for (let run = 0; run < (quick ? 1 : 3); run++) {
        answers.push(await askChild<Answer>("compile", [String(size), "settled"]));
        early.push(await askChild<Answer>("compile", [String(size)]));
      }
      const least = (key: keyof Answer): number => Math.min(...answers.map((answer) => answer[key]));
      yield {
        instructions: answers[0]!.instructions,
        verify: least("verifyMs"),
        first: least("firstMs"),
        best: least("bestMs"),
        engine: least("engineMs"),
        load: Math.min(...answers.map(loadMs)),
        again: least("againMs"),
        atOnce: Math.min(...early.map(loadMs)),
        firstKilobytes: least("firstBytes") / 1024,
        bestKilobytes: least("bestBytes") / 1024,
        memory: least("memoryMegabytes"),
      };
    }
  },
};

const loadMs = ({ verifyMs, firstMs, engineMs }: Answer): number => verifyMs + firstMs + engineMs;
