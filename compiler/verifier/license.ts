/** Licenses that let a program call and read what is for GPL programs only. Kernel: license_is_gpl_compatible(). */
import type { Program } from "../program.ts";

const GPL_LICENSES: ReadonlySet<string> = new Set([
  "GPL",
  "GPL v2",
  "GPL and additional rights",
  "Dual BSD/GPL",
  "Dual MIT/GPL",
  "Dual MPL/GPL",
]);
export const isGpl = (program: Program): boolean => program.type === "raw" || GPL_LICENSES.has(program.license);
