/** What package.json says of the command. */
import { readFileSync } from "node:fs";

interface About {
  readonly version: string;
  readonly description: string;
}

export const readAbout = (): About =>
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as About;

export const packageVersion = (): string => readAbout().version;
