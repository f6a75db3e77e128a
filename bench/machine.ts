/** What figures were measured on. */
import { cpus, release } from "node:os";

export const machineText = (): string =>
  `${cpus()[0]?.model ?? "unknown CPU"}, ${cpus().length} cores, Node ${process.version}, kernel ${release()}`;
