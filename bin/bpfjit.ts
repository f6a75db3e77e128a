#!/usr/bin/env node
/**
 * The `bpfjit` command: declares its commands, runs one, turns what it throws into a message and an exit code.
 * Each command is a file in bin/commands and is imported only when it is run.
 */
import { Command, CommanderError } from "commander";
import { readAbout } from "./about.ts";
import { withCache } from "./cache.ts";
import { withEdits } from "./edits.ts";
import { EXIT, exitCodeOf } from "./exit.ts";
import { collect } from "./options.ts";
import { endQuietlyOnBrokenPipe, printError } from "./output.ts";
import { splitProfileOption, withProfile } from "./profile-options.ts";
import { withSink } from "./sink-options.ts";
import { withStrict } from "./strict.ts";
import { withTarget } from "./target-options.ts";

/** Of commands that run programs. */
const withRun = (command: Command): Command => withStrict(withEdits(withProfile(withSink(command))));

function buildProgram(): Command {
  const { version, description } = readAbout();
  const program = new Command("bpfjit")
    .description(description)
    .version(version)
    .showHelpAfterError("(bpfjit --help lists the commands)");

  const command = (synopsis: string, summary: string): Command =>
    program
      .command(synopsis)
      .description(summary)
      .option("--json", "one JSON value a line")
      .option("-q, --quiet", "no progress, no notes")
      .option("--debug", "stack traces of errors");

  withRun(
    withTarget(
      withCache(
        command("run <object>", "run the programs of an object over a capture; print records and, at the end, maps"),
      ),
    ),
  )
    .option("-i, --input <capture>", "perf.data file, or - for perf's pipe on standard input")
    .option("-p, --prog <name>", "only this program (may be repeated)", collect)
    .option("--type <map=struct>", "struct that a map's records are (may be repeated)", collect)
    .option("--map <name>", "print only this map at the end (may be repeated)", collect)
    .option("--no-maps", "do not print maps at the end")
    .option("--opt <level>", "optimisation of the compiled code, 0 to 3 (default: better code once programs run much)")
    .option("--workers <count>", "threads for the capture's CPUs, where programs do not share maps between them", "0")
    .option("--concurrent", "CPUs run side by side although programs share maps: results may depend on timing")
    .action(async (object, options) => (await import("./commands/run.ts")).run(object, options));

  withRun(
    withTarget(
      withCache(
        command(
          "trace <object> [command...]",
          "run the programs of an object on a live process, or on a command behind --",
        ),
      ),
    ),
  )
    .option("-p, --pid <pid>", "the process, with all its threads and what they start")
    .option("--prog <name>", "only this program (may be repeated)", collect)
    .option("--type <map=struct>", "struct that a map's records are (may be repeated)", collect)
    .option("--map <name>", "print only this map (may be repeated)", collect)
    .option("--no-maps", "do not print maps")
    .option("--duration <seconds>", "end after so long")
    .option("--max-events <count>", "end after so many events")
    .option("--interval <seconds>", "print maps every so often, not only at the end")
    .option("--user-memory <mode>", "of the process, as programs read it: capture, strict, proc or none", "capture")
    .option("--buffer-size <kilobytes>", "of the kernel's ring of each CPU (default: 8192, less with many CPUs)")
    .option("--opt <level>", "optimisation of the compiled code, 0 to 3 (default: better code once programs run much)")
    .action(async (object, words, options) => (await import("./commands/trace.ts")).trace(object, words, options));

  withRun(withTarget(withCache(command("test-run <object>", "run one program on one input, as bpftool prog run does"))))
    .option("-p, --prog <name>", "the program")
    .option("--data-in <file>", "packet or payload")
    .option("--ctx-in <file>", "context")
    .option("--repeat <n>", "how often", "1")
    .option("--data-out <file>", "where to write the packet afterwards")
    .option("--ctx-out <file>", "where to write the context afterwards")
    .action(async (object, options) => (await import("./commands/test-run.ts")).testRun(object, options));

  withEdits(
    withTarget(withCache(command("iter <object>", "the text that iterators of an object make of tasks and maps"))),
  )
    .option("-p, --prog <name>", "only this iterator (may be repeated)", collect)
    .option("--map <name>", "map whose elements are walked")
    .option("--pid <pid>", "only the threads of this process")
    .option("--tid <tid>", "only this thread")
    .option("-i, --input <capture>", "run the object's programs over a perf.data file before")
    .action(async (object, options) => (await import("./commands/iter.ts")).iter(object, options));

  withTarget(command("verify <object...>", "the verdict of every program, each on its own"))
    .option("-p, --prog <name>", "only this program (may be repeated)", collect)
    .option("--log-level <n>", "bits: 1 the log, 2 every state, 4 statistics", "0")
    .option("--sarif", "one SARIF 2.1.0 log: results with their code flows, for editors and code scanning")
    .action(async (objects, options) => (await import("./commands/verify.ts")).verify(objects, options));

  command("exec [memory]", "run raw bytecode: program as hex on standard input, memory as hex argument, r0 in hex out")
    .option("--no-verify", "do not verify: every access is checked at run time instead")
    .option("--batch", "one JSON object a line in and out")
    .action(async (memory, options) => (await import("./commands/exec.ts")).exec(memory, options));

  withEdits(
    withTarget(
      withCache(command("build <object>", "compile ahead of time: a .wasm that run, test-run and bpfjit/runtime take")),
    ),
  )
    .requiredOption("-o, --output <file>", "where to write it")
    .option("-p, --prog <name>", "only this program (may be repeated)", collect)
    .option("--opt <level>", "optimisation of the compiled code, 0 to 3", "2")
    .option("--profile", "code that run and test-run can profile")
    .action(async (object, options) => (await import("./commands/build.ts")).build(object, options));

  withTarget(command("inspect <object>", "what is in an object, and what it became"), "--btf-file <file>")
    .option("-p, --prog <name>", "only this program")
    .option("--insns", "instructions with their C lines")
    .option("--cfg", "control-flow graph")
    .option("--wat", "WebAssembly text")
    .option("--maps", "map definitions")
    .option("--btf", "types")
    .option("--opt <level>", "optimisation of the Wasm text shown, 0 to 3", "0")
    .action(async (object, options) => (await import("./commands/inspect.ts")).inspect(object, options));

  command("compat <object...>", "which object loads on which kernel, and what is missing where it does not")
    .requiredOption(
      "--btf <path...>",
      "BTF of kernels: files, directories, VERSION=file where the name does not say it",
    )
    .action(async (objects, options) => (await import("./commands/compat.ts")).compat(objects, options));

  command("bench [workload...]", "the benchmark: workloads on engines side by side, or tables of other costs")
    .option("--baseline <engines>", "compare with: kernel-loop, kernel-repeat, js-helpers, js (comma separated)")
    .option("--samples <n>", "samples a workload and engine", "11")
    .option("--workers <count>", "measure bpfjit with so many workers too", "0")
    .option(
      "--opt <levels>",
      "optimisation of the compiled code, 0 to 3 (comma separated: ratios are of the first)",
      "2",
    )
    .option("--table <names>", "measure something else: compile, maps, …, or all (comma separated, see --list)")
    .option("--quick", "few and small measurements, to see that they work")
    .option("--chart <file>", "draw the ratios, .svg or .html")
    .option("--list", "only list the workloads and tables")
    .action(async (workloads, options) => (await import("./commands/bench.ts")).bench(workloads, options));

  return program;
}

async function main(): Promise<void> {
  endQuietlyOnBrokenPipe();
  const program = buildProgram();
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync(splitProfileOption(process.argv));
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
      return;
    }
    printError(error, { debug: process.argv.includes("--debug") });
    process.exitCode = exitCodeOf(error);
  }
}

await main();
