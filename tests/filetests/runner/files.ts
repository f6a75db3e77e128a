/** The .bpf files below this folder, in a fixed order. */
import { readdirSync } from "node:fs";

const FOLDER = new URL("../", import.meta.url);

/** Path below tests/filetests and where it lies: rows for describe.each(). */
export function bpfFiles(): [path: string, url: URL][] {
  return readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".bpf"))
    .sort()
    .map((path) => [path, new URL(path, FOLDER)]);
}
