/**
 * Links a compiled object into a runtime: checks that everything it needs is there before anything runs, makes its maps,
 * instantiates the module, puts its programs into the table and fills prog arrays. What fails half-way leaves nothing behind.
 */
import { MapError, ObjectError, UnsupportedError } from "../base/index.ts";
import { HELPER_IMPLEMENTATIONS } from "../helpers/index.ts";
import {
  ABI_VERSION,
  type CompiledObject,
  EXPORT,
  IMPORT,
  LIBRARY,
  LIBRARY_IMPORTS,
  type Manifest,
  type MapSpec,
  mapTypeByName,
} from "../spec/index.ts";
import { importsOf } from "./instance.ts";
import { type BpfMap, createMap, IdleMap, ProgArrayMap, RingbufMap } from "./maps/index.ts";
import { LinkedObject } from "./object.ts";
import { LinkedProgram, type ProgramHome } from "./program.ts";
import type { InstallMessage } from "./workers/protocol.ts";

export interface LinkOptions {
  /** maps that exist already, by the name that the object gives them; their definition must be the same */
  readonly reuse?: Readonly<Record<string, BpfMap>> | undefined;
  /** ring buffers that all workers write to in the order in which they reserve; the others have a ring for each worker */
  readonly strictRings?: readonly string[] | undefined;
}

/**
 * Throws ARTIFACT_MALFORMED for a module of another version or with imports that nobody has, UnsupportedError for helpers
 * and map types without implementation, MapError where a map cannot be made.
 */
export async function linkObject(
  home: ProgramHome,
  compiled: CompiledObject,
  options: LinkOptions = {},
): Promise<LinkedObject> {
  const { manifest } = compiled;
  const where = { object: manifest.name };
  if (manifest.abiVersion !== ABI_VERSION) {
    throw new ObjectError(
      "ARTIFACT_MALFORMED",
      `it was compiled for version ${manifest.abiVersion} of the runtime, this is version ${ABI_VERSION}`,
      { where },
    );
  }
  const module = compileModule(compiled.wasm, manifest);

  const { world } = home;
  if (manifest.kernel !== undefined) world.kernel.use(manifest.kernel);
  const own: BpfMap[] = [];
  const installed: LinkedProgram[] = [];
  const installation = world.arena.takeId();
  let isClosed = false;
  const undo = (): void => {
    isClosed = true;
    for (const program of installed) program.close();
    for (const map of own) if (map instanceof ProgArrayMap) home.progArrays.delete(map);
    for (const program of installed) retire(home, program);
    home.crew?.uninstall(installation);
    // a run under way, whose callback closes the object, may still use them
    world.whenIdle(() => {
      for (const map of own) map.close();
    });
  };
  try {
    const used = new Set(manifest.programs.flatMap((program) => program.maps));
    const maps = manifest.maps.map((spec, index) => {
      const reused = options.reuse?.[spec.name];
      const largestRecordBytes = largestRecord(manifest, index);
      if (reused !== undefined) {
        requireSame(reused, spec);
        if (reused instanceof RingbufMap) reused.fitRecords(largestRecordBytes);
        return reused;
      }
      const isIdle = !used.has(index) && mapTypeByName(spec.type)?.storage === null;
      const map = isIdle
        ? new IdleMap(world, spec)
        : createMap(world, spec, { strictRing: options.strictRings?.includes(spec.name), largestRecordBytes });
      own.push(map);
      if (map instanceof ProgArrayMap) home.progArrays.add(map);
      return map;
    });
    const profile = manifest.profile === undefined ? null : home.profiled.add(manifest.name, manifest.profile);
    const instance = await WebAssembly.instantiate(module, importsOf(world, maps, profile));
    for (const program of manifest.programs) {
      const functions = functionsOf(instance, program.name, manifest);
      if (functions === null) continue;
      const { main, batch } = functions;
      const slots = { main: world.install(program.name, main), batch: world.install(program.name, batch) };
      installed.push(new LinkedProgram(home, program, slots));
    }
    const distribute = async (code: WebAssembly.Module): Promise<void> => {
      const message: InstallMessage = {
        kind: "install",
        module: code,
        maps: maps.map(({ address, valuesAddress }) => ({ address, valuesAddress })),
        profile,
        programs: installed.map(({ name, tableIndex, batchIndex }) => ({ name, main: tableIndex, batch: batchIndex })),
      };
      await home.crew?.install(installation, message, maps);
    };
    /** JavaScript runs between two events of the main worker, the crew takes its turn. */
    const replace = async (wasm: Uint8Array): Promise<void> => {
      const code = compileModule(wasm, manifest);
      const other = await WebAssembly.instantiate(code, importsOf(world, maps, profile));
      const all = installed.map((program) => functionsOf(other, program.name, manifest)!);
      if (isClosed) return;
      for (const [index, { name, tableIndex, batchIndex }] of installed.entries()) {
        world.installAt(tableIndex, name, all[index]!.main);
        world.installAt(batchIndex, name, all[index]!.batch);
      }
      await distribute(code);
    };
    await distribute(module);
    fillProgArrays(manifest, maps, installed);
    return new LinkedObject({ manifest, programs: installed, maps, onReplace: replace, onClose: undo });
  } catch (error) {
    undo();
    throw error;
  }
}

/**
 * Compiles at once: V8 only checks the code of functions that have not run yet, a millisecond for 500 KB. WebAssembly.compile() would wait
 * for its turn on V8's threads, which optimise binaryen for a fifth of a second after it was loaded.
 */
function compileModule(wasm: Uint8Array, manifest: Manifest): WebAssembly.Module {
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(wasm);
  } catch (cause) {
    const where = { object: manifest.name };
    throw new ObjectError("ARTIFACT_MALFORMED", "the module is not valid WebAssembly", { where, cause });
  }
  checkImports(module, manifest);
  return module;
}

interface ProgramFunctions {
  readonly main: WebAssembly.ExportedFunction;
  readonly batch: WebAssembly.ExportedFunction;
}

/** Null where the module has no such program. */
function functionsOf(instance: WebAssembly.Instance, program: string, { name }: Manifest): ProgramFunctions | null {
  const main = instance.exports[EXPORT.main + program];
  const batch = instance.exports[EXPORT.batch + program];
  if (main === undefined) return null;
  if (typeof main === "function" && typeof batch === "function") return { main, batch };
  throw new ObjectError("ARTIFACT_MALFORMED", `the module exports no functions for program ${program}`, {
    where: { object: name, program },
  });
}

function checkImports(module: WebAssembly.Module, manifest: Manifest): void {
  const where = { object: manifest.name };
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === IMPORT.helper && !Object.hasOwn(HELPER_IMPLEMENTATIONS, name)) {
      const caller = manifest.programs.find((program) => program.helpers.includes(name))?.name;
      throw new UnsupportedError("UNSUPPORTED_HELPER", name, `helper ${name} is not implemented`, {
        where: { ...where, program: caller },
      });
    }
    if (!isKnownImport(from, name, manifest)) {
      throw new ObjectError("ARTIFACT_MALFORMED", `the module imports ${from}.${name}, which the runtime has not`, {
        where,
      });
    }
  }
}

function isKnownImport(from: string, name: string, { maps, profile }: Manifest): boolean {
  switch (from) {
    case IMPORT.env:
      if (name === IMPORT.places || name === IMPORT.entries) return profile !== undefined;
      return name === IMPORT.memory || name === IMPORT.table || name === IMPORT.worker;
    case IMPORT.map:
    case IMPORT.mapValue:
      return /^\d+$/.test(name) && Number(name) < maps.length;
    case IMPORT.helper:
      return Object.hasOwn(HELPER_IMPLEMENTATIONS, name);
    case IMPORT.library:
      return Object.hasOwn(LIBRARY, name);
    case IMPORT.host:
      return name === IMPORT.fault || Object.hasOwn(LIBRARY_IMPORTS, name);
    default:
      return false;
  }
}

/** Bytes of the largest record that the object's programs write to a map; undefined: not known. */
function largestRecord(manifest: Manifest, map: number): number | undefined {
  const sizes = manifest.programs.flatMap(({ records }) => records.filter((record) => record.map === map));
  if (sizes.length === 0 || sizes.some(({ sizeBytes }) => sizeBytes === null)) return undefined;
  return Math.max(...sizes.map(({ sizeBytes }) => sizeBytes!));
}

/** Kernel and libbpf: bpf_map__reuse_fd(), bpf_map_meta_equal(). */
function requireSame(map: BpfMap, spec: MapSpec): BpfMap {
  const { type, keySize, valueSize, maxEntries, flags } = map.spec;
  const isSame =
    type === spec.type &&
    keySize === spec.keySize &&
    valueSize === spec.valueSize &&
    (maxEntries === spec.maxEntries || spec.maxEntries === 0) &&
    flags === spec.flags;
  if (!isSame || map.closed) {
    throw new MapError(
      "MAP_CREATE",
      `map ${spec.name} cannot be reused: ${map.closed ? "closed" : "defined otherwise"}`,
    );
  }
  return map;
}

/** libbpf: bpf_object_init_prog_arrays() */
function fillProgArrays(manifest: Manifest, maps: readonly BpfMap[], programs: readonly LinkedProgram[]): void {
  manifest.maps.forEach((spec, index) => {
    const map = maps[index]!;
    if (!(map instanceof ProgArrayMap)) return;
    for (const program of manifest.programs) if (program.maps.includes(index)) map.claim(program);
    for (const { index: slot, program: name } of spec.programs) {
      const program = programs.find((candidate) => candidate.name === name);
      if (program === undefined) {
        throw new MapError(
          "MAP_OPERATION",
          `map ${spec.name}: slot ${slot} names program ${name}, which is not linked`,
        );
      }
      map.setProgram(slot, program);
    }
  });
}

/** A prog array that another object brought may still hold the program: as in the kernel it then lives on. */
function retire(home: ProgramHome, program: LinkedProgram): void {
  const isHeld = [...home.progArrays].some((map) =>
    Array.from({ length: map.size === 0 ? 0 : map.maxEntries }, (_, slot) => map.program(slot)).includes(program),
  );
  home.world.uninstall(program.batchIndex);
  if (!isHeld) home.world.uninstall(program.tableIndex);
}
