/** The options that say which kernel programs are prepared for; target.ts reads them. */
import type { Command } from "commander";
import { collect } from "./options.ts";

/** Declares the options that readTarget() reads. */
export function withTarget(command: Command, btf = "--btf <file>"): Command {
  return command
    .option(btf, "BTF of the target kernel: raw, in an ELF file, or a directory with vmlinux (default: this kernel's)")
    .option("--kconfig <file>", "configuration of the target kernel, plain or gzip (default: this kernel's)")
    .option(
      "--tracepoints <file>",
      "JSON: tracepoints that programs name beside the kernel's, NAME: { ARGUMENT: TYPE }",
    )
    .option("--prog-type <name=type>", "type of a program or section whose name does not say it (repeatable)", collect);
}
