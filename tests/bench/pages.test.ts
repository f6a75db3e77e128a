/** What the pages show is what was measured: `npm run bench:figures -- --text` writes them from docs/performance.json. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { asset } from "../../bench/assets.ts";
import { figurePages, readFigures } from "../../bench/figure-pages.ts";

const pages = figurePages(readFigures());

test.each(Object.keys(pages))("%s is as docs/performance.json has it", (path) => {
  expect(readFileSync(asset(path), "utf8")).toBe(pages[path]);
});
