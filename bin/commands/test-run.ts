/** `bpfjit test-run OBJ --prog NAME`: one program on one input, as `bpftool prog run` does. */
import type { MapRecord } from "../../api/index.ts";
import {
  hexDump,
  type LinkedProgram,
  type LoadedObject,
  load,
  PcapngSink,
  type RecordSink,
  type TestRunResult,
} from "../../api/index.ts";
import { toHex, UsageError } from "../../base/index.ts";
import { type CacheArguments, cacheOf } from "../cache.ts";
import { type EditArguments, editOf } from "../edits.ts";
import { parseCount, readInputFile, writeOutputFile } from "../input.ts";
import { startMeasuring } from "../measuring.ts";
import { type CommonOptions, requireOption } from "../options.ts";
import { printJson, printLine } from "../output.ts";
import { profileOf } from "../profile.ts";
import type { ProfileArguments } from "../profile-options.ts";
import { isPiped, outputOpener, type SinkArguments } from "../sink.ts";
import { type StrictArguments, strictOf } from "../strict.ts";
import { readTargetFor, type TargetArguments } from "../target.ts";
import { mapText, recordText } from "../text.ts";

interface TestRunOptions
  extends CommonOptions,
    TargetArguments,
    SinkArguments,
    CacheArguments,
    ProfileArguments,
    EditArguments,
    StrictArguments {
  readonly prog?: string;
  readonly dataIn?: string;
  readonly ctxIn?: string;
  readonly repeat: string;
  readonly dataOut?: string;
  readonly ctxOut?: string;
}

export async function testRun(path: string, options: TestRunOptions): Promise<void> {
  const name = requireOption(options.prog, "--prog NAME", "bpfjit inspect lists the programs");
  const repeat = parseCount(options.repeat, "--repeat", 1, 0x7fff_ffff);
  const openOutput = outputOpener(options);
  const profile = profileOf(options);
  const bytes = readInputFile(path);
  await using object = await load(bytes, {
    name: path,
    programs: [name],
    optimize: 2,
    runtimeOptions: {
      ...strictOf(options),
      trace: (line) => (options.json ? undefined : printLine(line)),
    },
    ...cacheOf(options),
    ...editOf(options),
    ...profile,
    ...readTargetFor(bytes, options),
  });
  const output = openOutput?.() ?? null;
  const measuring = await startMeasuring(object, path, options);
  const { records, result } = await withOutput(output, () => runOnce(object, name, options, repeat, output));
  const reportMeasured = await measuring.stop();
  writeOutput(options.dataOut, result.dataOut, "--data-out");
  writeOutput(options.ctxOut, result.ctxOut, "--ctx-out");
  if (options.json) printJson(toJson(object, name, result, records));
  else if (!isPiped(options)) printResult(object, name, result, output === null ? records : []);
  reportMeasured();
}

/** Closes the output; where the work failed, its error is the one that counts. */
async function withOutput<T>(output: RecordSink | null, work: () => T): Promise<T> {
  let result: T;
  try {
    result = work();
  } catch (error) {
    await output?.close().catch(() => {});
    throw error;
  }
  await output?.close();
  return result;
}

function runOnce(
  object: LoadedObject,
  name: string,
  options: TestRunOptions,
  repeat: number,
  output: RecordSink | null,
): { records: MapRecord[]; result: TestRunResult } {
  const records: MapRecord[] = [];
  const program = object.program(name);
  const dataIn = options.dataIn === undefined ? undefined : readInputFile(options.dataIn);
  const readings = object.openRecords((record) => records.push(record), { ...(output && { output }) });
  try {
    if (dataIn !== undefined) writePacket(output, program, dataIn, null);
    const result = program.testRun({
      repeat,
      ...(dataIn !== undefined && { dataIn }),
      ...(options.ctxIn !== undefined && { ctxIn: readInputFile(options.ctxIn) }),
      ...(options.ctxOut !== undefined && { ctxOut: true }),
    });
    readings.finish();
    if (result.dataOut !== null) writePacket(output, program, result.dataOut, result.retval);
    return { records, result };
  } finally {
    readings.close();
  }
}

/** What an XDP or skb program was given, or gave back with `retval`, where the output holds packets. */
function writePacket(output: RecordSink | null, program: LinkedProgram, data: Uint8Array, retval: number | null): void {
  const { type, name } = program.manifest;
  if (!(output instanceof PcapngSink)) return;
  if (type !== "xdp" && type !== "sched_cls" && type !== "socket_filter") return;
  const packet = { interfaceName: name, data } as const;
  if (retval === null) {
    output.packet({ ...packet, direction: "in" });
    return;
  }
  const comment = `${name} returned ${retval}`;
  const verdictType = ({ xdp: "xdp", sched_cls: "tc", socket_filter: null } as const)[type];
  const verdict = verdictType === null ? undefined : { type: verdictType, value: retval };
  output.packet({ ...packet, direction: "out", comment, verdict });
}

function writeOutput(path: string | undefined, bytes: Uint8Array | null, option: string): void {
  if (path === undefined) return;
  if (bytes === null) throw new UsageError("USAGE", `${option}: programs of this type give nothing back there`);
  writeOutputFile(path, bytes);
}

/** The contract of design section 9. */
function toJson(
  object: LoadedObject,
  program: string,
  result: TestRunResult,
  records: readonly MapRecord[],
): Record<string, unknown> {
  const maps: Record<string, unknown> = {};
  for (const map of Object.values(object.maps)) {
    maps[map.name] = [...map.raw.entries()].map(({ key, value }) => ({
      key: toHex(key),
      value: value instanceof Uint8Array ? toHex(value) : value.map(toHex),
    }));
  }
  return {
    program,
    retval: result.retval,
    dataOut: result.dataOut === null ? null : toHex(result.dataOut),
    ctxOut: result.ctxOut === null ? null : toHex(result.ctxOut),
    repeat: result.repeat,
    durationNs: result.durationNs,
    records: records.map(({ map, data, fields }) => ({
      map,
      data: toHex(data),
      ...(fields !== undefined && { fields }),
    })),
    maps,
  };
}

function printResult(
  object: LoadedObject,
  program: string,
  result: TestRunResult,
  records: readonly MapRecord[],
): void {
  printLine(
    `${program}: returned ${result.retval} (0x${result.retval.toString(16)}), ${result.durationNs} ns a run (${result.repeat} runs)`,
  );
  if (result.dataOut !== null && result.dataOut.length > 0)
    printLine(`\ndata out, ${result.dataOut.length} bytes\n${hexDump(result.dataOut)}`);
  for (const record of records) printLine(recordText(record));
  for (const map of Object.values(object.maps)) {
    if (map.raw.spec.frozen || map.size === 0) continue;
    printLine(`\n${map.name} (${map.type}, ${map.size} ${map.size === 1 ? "entry" : "entries"})\n${mapText(map)}`);
  }
}
