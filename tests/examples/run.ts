/** An example from its object file to the end of a capture, by the parts: read, verify, lower, link, attach, pump. */
import { readFileSync } from "node:fs";
import { lowerObject } from "../../compiler/lowering/index.ts";
import { readObject } from "../../compiler/object/index.ts";
import type { VerifiedProgram } from "../../compiler/program.ts";
import { verify } from "../../compiler/verifier/index.ts";
import {
  createRuntime,
  type KeylessMap,
  type LinkedObject,
  openReader,
  PerfEventArrayMap,
  type PumpSummary,
  type RecordReader,
  type Runtime,
} from "../../runtime/index.ts";
import { bytesInput, openPerfData } from "../../runtime/sources/index.ts";
import { readValue, type Value } from "../../runtime/values/index.ts";
import { type CompiledObject, type CType, PERF_SAMPLE } from "../../spec/index.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);
export const example = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, EXAMPLES)));
export const capture = (name: string): URL => new URL(`captures/${name}`, EXAMPLES);

/** All programs of `examples/NAME.bpf.o`; throws the error of one that is refused. */
export async function compileExample(name: string): Promise<CompiledObject> {
  const object = readObject(example(`${name}.bpf.o`), { name });
  const programs = object.programs.map((outcome): VerifiedProgram => {
    if (!outcome.ok) throw outcome.error;
    const result = verify(outcome.program);
    if (result.verdict !== "accepted") throw result.error;
    return result.program;
  });
  return lowerObject({ name, license: object.license, maps: object.maps, types: object.types, programs });
}

export interface Replay {
  readonly runtime: Runtime;
  readonly object: LinkedObject;
  readonly summary: PumpSummary;
  /** what was written to the map that was read, with the CPU and time that the buffer says */
  readonly records: readonly { readonly data: Uint8Array; readonly cpu: number | null; readonly time: bigint | null }[];
}

/** Runs an example over a capture; reads the ring or perf buffers of the map `ring`. */
export async function replayExample(name: string, captureName: string, ring?: string): Promise<Replay> {
  const source = await openPerfData(bytesInput(new Uint8Array(readFileSync(capture(captureName)))));
  const runtime = createRuntime({ cpus: source.cpus });
  const object = await runtime.link(await compileExample(name));
  for (const program of Object.values(object.programs)) program.attach();
  const records: Replay["records"][number][] = [];
  const reader = ring === undefined ? null : openRecords(object.maps[ring] as KeylessMap);
  const drain = (): void => {
    reader?.drain((address, length, cpu, time) => {
      records.push({ data: runtime.world.bytes.slice(address, address + length), cpu, time });
    });
  };
  const summary = await runtime.run(source, { drain });
  return { runtime, object, summary, records };
}

/** A reader of the map; a perf event array gets a buffer for each slot, and its records come in order of time. */
function openRecords(map: KeylessMap): RecordReader {
  if (map instanceof PerfEventArrayMap) {
    const sampleType = PERF_SAMPLE.TIME | PERF_SAMPLE.CPU | PERF_SAMPLE.RAW;
    for (let slot = 0; slot < map.maxEntries; slot++) map.openBuffer(slot, { sampleType });
  }
  return openReader(map, { ordered: true });
}

export function valueAs(type: CType | null | undefined, bytes: Uint8Array): Value {
  if (type === null || type === undefined) throw new Error("the object does not know this type");
  return readValue(type, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0);
}

/** Keys and values of a map, by their types. */
export function contents(object: LinkedObject, name: string): { key: Value; value: Value }[] {
  const map = object.maps[name]!;
  return [...map.entries()].map(({ key, value }) => ({
    key: valueAs(map.spec.keyType, key),
    value: valueAs(map.spec.valueType, value as Uint8Array),
  }));
}
