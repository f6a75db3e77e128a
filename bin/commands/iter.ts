/** `bpfjit iter OBJ`: the text that an object's iterators make of tasks and maps, as reading a pinned iterator gives it. */
import {
  fileInput,
  isPrebuilt,
  type Link,
  type LoadedObject,
  load,
  openObject,
  openPerfData,
  readTasks,
} from "../../api/index.ts";
import { toHex, UsageError } from "../../base/index.ts";
import { type CacheArguments, cacheOf } from "../cache.ts";
import { type EditArguments, editOf } from "../edits.ts";
import { parseCount, readInputFile } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { note, printJson } from "../output.ts";
import { type Preparation, readTargetFor, type TargetArguments } from "../target.ts";

interface IterOptions extends CommonOptions, TargetArguments, CacheArguments, EditArguments {
  readonly prog?: readonly string[];
  readonly map?: string;
  readonly pid?: string;
  readonly tid?: string;
  readonly input?: string;
}

const MOST_TASKS = 0x7fff_ffff;

export async function iter(path: string, options: IterOptions): Promise<void> {
  const bytes = readInputFile(path);
  const target = readTargetFor(bytes, options);
  const source = options.input === undefined ? null : await openPerfData(fileInput(options.input));
  // with a capture the programs that fill the maps are needed too
  const only = source === null ? (options.prog ?? (await iteratorsOf(bytes, path, target))) : undefined;
  await using object = await load(bytes, {
    name: path,
    ...(only !== undefined && { programs: only }),
    ...(source !== null && { runtimeOptions: { cpus: source.cpus } }),
    ...cacheOf(options),
    ...editOf(options),
    ...target,
  });
  const programs = options.prog ?? iteratorNames(object);
  if (programs.length === 0) {
    throw new UsageError("USAGE", `${path} has no iterators`, { hint: 'their sections are SEC("iter/…")' });
  }
  // refused before a capture is read
  const links = programs.map((program) => attach(object, program, options));
  if (source !== null) await object.run(source);
  for (const link of links) print(link, options);
}

/** Undefined for what was compiled ahead of time: it is loaded as a whole. */
async function iteratorsOf(bytes: Uint8Array, name: string, target: Preparation): Promise<string[] | undefined> {
  if (isPrebuilt(bytes)) return undefined;
  const { programs } = await openObject(bytes, { name, ...target });
  return Object.values(programs)
    .filter(({ attachType }) => attachType === "trace_iter")
    .map((program) => program.name);
}

const iteratorNames = ({ programs }: LoadedObject): string[] =>
  Object.values(programs)
    .filter(({ manifest }) => manifest.attachType === "trace_iter")
    .map(({ name }) => name);

function attach(object: LoadedObject, name: string, { map, pid, tid }: IterOptions): Link {
  const program = object.program(name);
  const { attachTarget, attachType } = program.manifest;
  if (attachType !== "trace_iter") throw new UsageError("USAGE", `program ${name} is no iterator`);
  if (attachTarget === "bpf_map_elem" && map === undefined) {
    const hint = `it has ${Object.keys(object.maps).join(", ")}`;
    throw new UsageError("USAGE", `iterator ${name} needs a map: --map NAME`, { hint });
  }
  return program.attach({
    ...(map !== undefined && { map: object.map(map) }),
    ...(attachTarget === "task" && { tasks: readTasks() }),
    ...(pid !== undefined && { pid: parseCount(pid, "--pid", 1, MOST_TASKS) }),
    ...(tid !== undefined && { tid: parseCount(tid, "--tid", 1, MOST_TASKS) }),
  });
}

function print(link: Link, { json, quiet }: IterOptions): void {
  const { target, program } = link.info;
  if (json !== true) {
    let written = 0;
    for (const part of link.iterate()) {
      process.stdout.write(part);
      written += part.length;
    }
    if (written === 0 && quiet !== true) note(`iterator ${program} of ${target} wrote nothing`);
    return;
  }
  const bytes = link.read();
  const text = textOf(bytes);
  printJson({ type: "text", program, target, ...(text === null ? { data: toHex(bytes) } : { text }) });
}

/** Null: it is no text. */
function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
