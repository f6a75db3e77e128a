/** Programs and libraries by their paths: whether one can be executed, and whether two paths mean the same. */
import { accessSync, constants, statSync } from "node:fs";

/** False for what is not there. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The same for every path of a file, null: there is none. */
export function fileIdentity(path: string): string | null {
  try {
    const { dev, ino } = statSync(path);
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}
