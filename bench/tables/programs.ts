/** What each further program on one hook costs: the same small program attached 1 … 64 times, every event runs them all. */
import { BpfjitEngine } from "../engine.ts";
import { generateEvents } from "../events.ts";
import { settle } from "../settle.ts";
import { median } from "../statistics.ts";
import { WORKLOADS } from "../workloads.ts";
import type { Table } from "./table.ts";

const LINKS = [1, 2, 4, 8, 16, 32, 64] as const;

export const programs: Table = {
  name: "programs",
  summary: "Several programs on one hook: a program that adds to an array element, attached so many times.",
  columns: [
    { key: "programs", title: "programs" },
    { key: "nsPerEvent", title: "ns an event", digits: 2 },
    { key: "nsPerProgram", title: "ns a program", digits: 2 },
    { key: "nsPerFurther", title: "ns each further one", digits: 2 },
  ],
  async *measure({ quick, onProgress }) {
    const workload = WORKLOADS.find(({ program }) => program === "one_of_many")!;
    const engines: { readonly links: number; readonly engine: BpfjitEngine; readonly samples: number[] }[] = [];
    try {
      for (const links of quick ? LINKS.slice(0, 3) : LINKS) {
        const engine = await BpfjitEngine.start(workload, generateEvents(), { links });
        engines.push({ links, engine, samples: [] });
      }
      onProgress("programs");
      for (const { engine, links } of engines) engine.run(Math.ceil((quick ? 10 : 200) / links));
      if (!quick) await settle();
      for (let sample = 0; sample < (quick ? 3 : 11); sample++)
        for (const { engine, links, samples } of engines) samples.push(engine.run(Math.max(3, Math.ceil(24 / links))));
    } finally {
      for (const { engine } of engines) engine.close();
    }
    const one = median(engines[0]!.samples);
    for (const { links, samples } of engines) {
      const nsPerEvent = median(samples);
      yield {
        programs: links,
        nsPerEvent,
        nsPerProgram: nsPerEvent / links,
        nsPerFurther: links === 1 ? null : (nsPerEvent - one) / (links - 1),
      };
    }
  },
};
