/** The .bpf files below this folder, in a fixed order. */
import { readdirSync } from "node:fs";

const FOLDER = new URL("../", import.meta.url);

export interface BpfFile {
  /** below tests/filetests */
  readonly path: string;
  readonly url: URL;
}

export function bpfFiles(): BpfFile[] {
  return readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".bpf"))
    .sort()
    .map((path) => ({ path, url: new URL(path, FOLDER) }));
}
