/** The tree keeps its own rules: file sizes, names, generated pages, paths that the docs mention. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { generatedPages } from "../../tools/docs.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SKIP = new Set(["node_modules", "dist", ".git", "out", "recorded", "coverage"]);
/** Tables may be long: a row a fact. */
const TABLES = /^spec\//;
const MOST_LINES = 700;

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (SKIP.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}
const files = filesBelow(ROOT).map((path) => relative(ROOT, path).replaceAll("\\", "/"));
const sources = files.filter((file) => /\.(ts|wat)$/.test(file) && !file.endsWith(".gen.ts"));
const linesOf = (file: string): number => readFileSync(join(ROOT, file), "utf8").split("\n").length;

describe("tidy", () => {
  it(`no source file is longer than ${MOST_LINES} lines`, () => {
    expect(sources.filter((file) => !TABLES.test(file) && linesOf(file) > MOST_LINES)).toEqual([]);
  });

  it("file names are lower-case nouns, none of them a drawer", () => {
    expect(sources.filter((file) => !/^([a-z0-9.-]+\/)*[a-z0-9.-]+$/.test(file))).toEqual([]);
    expect(sources.filter((file) => /(^|\/)(utils?|helpers\d|common|misc)\.ts$/.test(file))).toEqual([]);
  });

  it("every source file starts with a comment that says what it is for", () => {
    const bare = sources.filter((file) => {
      const text = readFileSync(join(ROOT, file), "utf8").replace(/^#!.*\n/, "");
      return (
        !text.startsWith("/*") &&
        !text.startsWith("//") &&
        !text.startsWith(";;") &&
        !text.startsWith("(;") &&
        !/\bindex\.ts$|\.config\.ts$/.test(file)
      );
    });
    expect(bare).toEqual([]);
  });

  it("generated pages are what the tables say", () => {
    for (const [name, text] of Object.entries(generatedPages())) {
      expect(readFileSync(join(ROOT, "docs", name), "utf8"), name).toBe(text);
    }
  });

  it("paths that the docs name exist", () => {
    const missing: string[] = [];
    for (const page of files.filter((file) => file.endsWith(".md"))) {
      const text = readFileSync(join(ROOT, page), "utf8");
      for (const [, path] of text.matchAll(
        /`((?:spec|base|wasm|compiler|helpers|runtime|api|bin|bench|tests|examples|docs|tools)\/[\w./-]*)`/g,
      )) {
        if (!existsSync(join(ROOT, path!))) missing.push(`${page}: ${path}`);
      }
      for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
        if (!existsSync(join(ROOT, page, "..", target!))) missing.push(`${page}: ${target}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it("every dependency has its reason in docs/dependencies.md", () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const page = readFileSync(join(ROOT, "docs/dependencies.md"), "utf8");
    const missing = Object.keys({ ...dependencies, ...devDependencies }).filter(
      (name) => !page.includes(`\`${name}\``),
    );
    expect(missing).toEqual([]);
  });

  it("the repository holds no large file", () => {
    expect(files.filter((file) => statSync(join(ROOT, file)).size > 4 * 1024 * 1024)).toEqual([]);
  });
});
