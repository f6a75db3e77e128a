/** The options of commands that write records to a file for other tools; sink.ts reads them. */
import type { Command } from "commander";
import { collect } from "./options.ts";

export function withSink(command: Command): Command {
  return command
    .option("-o, --output <file>", "write the records to a file: .perf.data or .pcapng; - is perf.data as a pipe")
    .option("--format <format>", "whatever the file's name: perf.data or pcapng")
    .option(
      "--packet <map=meta>",
      "pcapng: records of this map are a meta (STRUCT, STRUCT.LENGTH or bytes), then a packet (may be repeated)",
      collect,
    );
}
