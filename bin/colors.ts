/**
 * Colours where a person looks: on a terminal. A pipe gets none, also on a CI machine, whose `CI` the library would take
 * for a terminal: what reads our output there is a program. `FORCE_COLOR` and `NO_COLOR` overrule.
 */
import picocolors from "picocolors";

export type Colors = ReturnType<typeof picocolors.createColors>;

function colorsFor(stream: { readonly isTTY?: boolean }): Colors {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: terminal } = process.env;
  if (no) return picocolors.createColors(false);
  if (force) return picocolors.createColors(force !== "0");
  return picocolors.createColors(stream.isTTY === true && terminal !== "dumb");
}

/** For what goes to standard output. */
export const out = colorsFor(process.stdout);

/** For what goes to standard error. */
export const err = colorsFor(process.stderr);
