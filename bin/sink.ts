/** Where commands write records for other tools: what the options of sink-options.ts ask for. */
import {
  openSink,
  type PacketLayout,
  type RecordSink,
  SINK_FORMATS,
  type SinkFormat,
  sinkFormatOf,
} from "../api/index.ts";
import { UsageError } from "../base/index.ts";

export interface SinkArguments {
  readonly output?: string;
  readonly format?: string;
  readonly packet?: readonly string[];
}

/** The records go to standard output, so nothing else may. */
export const isPiped = ({ output }: SinkArguments): boolean => output === "-";

/** What opens the output that is asked for; null: none is. Options are checked here, the file is made only when it is opened. */
export function outputOpener(options: SinkArguments & { readonly json?: boolean }): (() => RecordSink) | null {
  const { output } = options;
  if (output === undefined) {
    if (options.format === undefined && options.packet === undefined) return null;
    throw new UsageError("USAGE", "--format and --packet say how to write: give a file with -o");
  }
  if (isPiped(options) && options.json) throw new UsageError("USAGE", "-o - and --json both need standard output");
  const format = options.format === undefined ? formatOf(options) : parseFormat(options.format);
  const packets = options.packet === undefined ? undefined : parsePackets(options.packet);
  return () => openSink(isPiped(options) ? process.stdout : output, { format, packets });
}

const formatOf = (options: SinkArguments): SinkFormat =>
  isPiped(options) ? "perf.data" : sinkFormatOf(options.output!);

function parseFormat(text: string): SinkFormat {
  const format = SINK_FORMATS.find((each) => each === text);
  if (format !== undefined) return format;
  throw new UsageError("USAGE", `--format is ${SINK_FORMATS.join(" or ")}, not ${text}`);
}

/** `events=struct_name`, `events=struct_name.member`, `events=16`. */
function parsePackets(texts: readonly string[]): Record<string, PacketLayout> {
  return Object.fromEntries(
    texts.map((text) => {
      const parts = /^([^=]+)=(?:struct )?(?:(\d+)|(\w+)(?:\.(\w+))?)$/.exec(text);
      if (parts === null)
        throw new UsageError("USAGE", `--packet takes map=struct, map=struct.length or map=bytes, not ${text}`);
      const [, map, bytes, struct, length] = parts;
      return [map!, bytes === undefined ? { meta: struct!, length } : { meta: Number(bytes) }];
    }),
  );
}
