/** `bpfjit iter OBJ`: the text that an object's iterators make of tasks and maps, as reading a pinned iterator gives it. */
import {
  fileInput,
  isPrebuilt,
  type Link,
  type LoadedObject,
  load,
  type OpenObject,
  openPerfData,
  readTasks,
} from "../../api/index.ts";
import { toHex, UsageError } from "../../base/index.ts";
import { type CacheArguments, cacheOf } from "../cache.ts";
import { type EditArguments, editOf } from "../edits.ts";
import { parseCount, readInputFile } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { note, printJson } from "../output.ts";
import { readTargetFor, type TargetArguments } from "../target.ts";

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
  const source = options.input === undefined ? null : await openPerfData(fileInput(options.input));
  // with a capture the programs that fill the maps are needed too; what was compiled ahead of time is loaded as a whole
  const isChosen = source !== null || options.prog !== undefined || isPrebuilt(bytes);
  await using object = await load(bytes, {
    name: path,
    ...(source === null && options.prog !== undefined && { programs: options.prog }),
    ...(source !== null && { runtimeOptions: { cpus: source.cpus } }),
    ...cacheOf(options),
    ...(isChosen ? editOf(options) : { edit: iteratorsOnly(path, options) }),
    ...readTargetFor(bytes, options),
  });
  const all = Object.values(object.programs).map(({ name, manifest }) => ({ name, attachType: manifest.attachType }));
  const programs = options.prog ?? iteratorsAmong(all, path);
  // refused before a capture is read
  const links = programs.map((program) => attach(object, program, options));
  if (source !== null) await object.run(source);
  for (const link of links) print(link, options);
}

/** Makes the changes that are asked for, and leaves out what is no iterator. */
function iteratorsOnly(path: string, options: IterOptions): (object: OpenObject) => void {
  const { edit } = editOf(options);
  return (object) => {
    edit?.(object);
    object.select(iteratorsAmong(Object.values(object.programs), path));
  };
}

/** Their names. Throws UsageError where there are none. */
function iteratorsAmong(
  programs: readonly { readonly name: string; readonly attachType: string | null }[],
  path: string,
): string[] {
  const names = programs.filter(({ attachType }) => attachType === "trace_iter").map(({ name }) => name);
  if (names.length > 0) return names;
  throw new UsageError("USAGE", `${path} has no iterators`, { hint: 'their sections are SEC("iter/…")' });
}

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
