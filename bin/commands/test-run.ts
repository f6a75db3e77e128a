/** `bpfjit test-run OBJ --prog NAME`: one program on one input, as `bpftool prog run` does. */
import { writeFileSync } from "node:fs";
import type { MapRecord } from "../../api/index.ts";
import { hexDump, type LoadedObject, load, type TestRunResult } from "../../api/index.ts";
import { toHex, UsageError } from "../../base/index.ts";
import { parseCount, readInputFile } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { printJson, printLine } from "../output.ts";
import { readTarget, type TargetArguments } from "../target.ts";
import { mapText, recordText } from "../text.ts";

interface TestRunOptions extends CommonOptions, TargetArguments {
  readonly prog: string;
  readonly dataIn?: string;
  readonly ctxIn?: string;
  readonly repeat: string;
  readonly dataOut?: string;
  readonly ctxOut?: string;
}

export async function testRun(path: string, options: TestRunOptions): Promise<void> {
  const repeat = parseCount(options.repeat, "--repeat", 1, 0x7fff_ffff);
  await using object = await load(readInputFile(path), {
    name: path,
    programs: [options.prog],
    runtimeOptions: { trace: (line) => (options.json ? undefined : printLine(line)) },
    ...readTarget(options),
  });
  const { records, result } = runOnce(object, options, repeat);
  writeOutput(options.dataOut, result.dataOut, "--data-out");
  writeOutput(options.ctxOut, result.ctxOut, "--ctx-out");
  if (options.json) printJson(toJson(object, options.prog, result, records));
  else printResult(object, options.prog, result, records);
}

function runOnce(
  object: LoadedObject,
  options: TestRunOptions,
  repeat: number,
): { records: MapRecord[]; result: TestRunResult } {
  const records: MapRecord[] = [];
  const readings = object.openRecords((record) => records.push(record));
  try {
    const result = object.program(options.prog).testRun({
      repeat,
      ...(options.dataIn !== undefined && { dataIn: readInputFile(options.dataIn) }),
      ...(options.ctxIn !== undefined && { ctxIn: readInputFile(options.ctxIn) }),
      ...(options.ctxOut !== undefined && { ctxOut: true }),
    });
    readings.drain();
    return { records, result };
  } finally {
    readings.close();
  }
}

function writeOutput(path: string | undefined, bytes: Uint8Array | null, option: string): void {
  if (path === undefined) return;
  if (bytes === null) throw new UsageError("USAGE", `${option}: programs of this type give nothing back there`);
  writeFileSync(path, bytes);
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
    printLine(`\n${map.name} (${map.type}, ${map.size} entries)\n${mapText(map)}`);
  }
}
