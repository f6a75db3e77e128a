/** The .bpf files below this folder, in a fixed order. */
import { existsSync, readdirSync } from "node:fs";

/** The built tests lie in dist/, without the cases. */
const FOLDER = ["../", "../../../../tests/filetests/"]
  .map((path) => new URL(path, import.meta.url))
  .find((folder) => existsSync(new URL("README.md", folder)))!;

/** Path below tests/filetests and where it lies: rows for describe.each(). */
export function bpfFiles(): [path: string, url: URL][] {
  return readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".bpf"))
    .sort()
    .map((path) => [path, new URL(path, FOLDER)]);
}
