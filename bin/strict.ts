/** `--strict`: what programs read of kernel objects that nobody gave them, printed at the end. */
import type { Command } from "commander";
import type { LoadedObject, StrayRead } from "../api/index.ts";
import { unreachable } from "../base/index.ts";
import type { CommonOptions } from "./options.ts";
import { note, printJson } from "./output.ts";

export interface StrictArguments {
  readonly strict?: boolean;
}

export const withStrict = (command: Command): Command =>
  command.option("--strict", "say what programs read of kernel objects that nothing is known of");

/** Part of the runtime's options. */
export const strictOf = ({ strict }: StrictArguments): StrictArguments => (strict === true ? { strict } : {});

export function reportStrict({ runtime }: LoadedObject, options: StrictArguments & CommonOptions): void {
  for (const stray of runtime.strayReads) {
    if (options.json) printJson({ type: "strayRead", ...stray });
    else note(strayText(stray));
  }
}

function strayText({ kind, program, struct, member, offsetBytes, bytes, count }: StrayRead): string {
  const who = `${program ?? "a program"} read ${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  const times = count === 1 ? "" : `, ${count} times`;
  switch (kind) {
    case "unset":
      return `${who} of ${struct}.${member ?? offsetBytes}, which nobody set${times}`;
    case "outside":
      return `${who} at offset ${offsetBytes} of ${struct}, which is outside of it${times}`;
    case "null":
      return `${who} through a null pointer, at offset ${offsetBytes}${times}`;
    case "unknown":
      return `${who} at 0x${offsetBytes.toString(16)}, which is not known${times}`;
    default:
      return unreachable(kind);
  }
}
