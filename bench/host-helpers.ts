/**
 * The engine `js-helpers`: the same program compiled by the same compiler and driven by the same batch loop, but every call of a
 * map or ring helper leaves Wasm for a function in TypeScript, which is how a runtime without a library in Wasm works. What
 * bpfjit is faster by is what doing it in Wasm, and inline, is worth. 64-bit arguments cross as BigInt, as Wasm has it.
 */
import { readFileSync } from "node:fs";
import { createRuntime, type Runtime } from "../api/index.ts";
import { BugError } from "../base/index.ts";
import { lowerObject, readObject, type VerifiedProgram, verify } from "../compiler/index.ts";
import { EXPORT, IMPORT, type MapSpec } from "../spec/index.ts";
import { workloadObject } from "./assets.ts";
import { type HostMap, type HostRing, hostMap, hostRing } from "./host-maps.ts";
import { EventRig } from "./rig.ts";
import type { Workload } from "./workloads.ts";

export class HostHelpersEngine {
  readonly #runtime: Runtime;
  readonly #rig: EventRig;
  readonly #helpers: Helpers;

  private constructor(runtime: Runtime, rig: EventRig, helpers: Helpers) {
    this.#runtime = runtime;
    this.#rig = rig;
    this.#helpers = helpers;
  }

  /** Null where the program calls what only the library has. */
  static async start(workload: Workload, payload: Uint8Array): Promise<HostHelpersEngine | null> {
    const path = workloadObject(workload.object);
    const { name, license, maps, types, programs } = readObject(readFileSync(path), { name: path });
    const outcome = programs.find((each) => each.ok && each.program.name === workload.program);
    const verdict = outcome?.ok ? verify(outcome.program) : null;
    if (verdict?.verdict !== "accepted") throw new BugError(`${path}: ${workload.program} is not accepted`);
    const program = withoutMaps(verdict.program);
    const compiled = await lowerObject({ name, license, maps, types, programs: [program] }, { library: "imported" });
    const module = await WebAssembly.compile(compiled.wasm);
    const runtime = createRuntime();
    const { world } = runtime;
    const helpers = hostHelpers(world.arena, maps);
    const wanted = WebAssembly.Module.imports(module).filter(({ module: from }) => from === IMPORT.library);
    if (wanted.some((each) => !Object.hasOwn(helpers.functions, each.name) && !IN_WASM.includes(each.name))) {
      runtime.close();
      return null;
    }
    const instance = await WebAssembly.instantiate(module, {
      [IMPORT.env]: {
        [IMPORT.memory]: world.arena.memory,
        [IMPORT.table]: world.table,
        [IMPORT.worker]: new WebAssembly.Global({ value: "i32" }, world.worker),
      },
      // to the program a map is its number, from 1 on: only helpers look into one
      [IMPORT.map]: Object.fromEntries(
        maps.map((_, index) => [index, new WebAssembly.Global({ value: "i32" }, index + 1)]),
      ),
      [IMPORT.library]: { ...world.library, ...helpers.functions },
      [IMPORT.host]: { ...world.libraryHost },
    });
    const rig = new EventRig(runtime, payload);
    const code = (prefix: string) => instance.exports[prefix + program.name] as WebAssembly.ExportedFunction;
    const attachable = {
      manifest: compiled.manifest.programs[0]!,
      tableIndex: world.install(program.name, code(EXPORT.main)),
      batchIndex: world.install(program.name, code(EXPORT.batch)),
      closed: false,
      keepCounts: () => {},
    };
    for (let link = 0; link < (workload.links ?? 1); link++) rig.hook.attach(attachable);
    return new HostHelpersEngine(runtime, rig, helpers);
  }

  run(batches: number): number {
    return this.#rig.run(batches, this.#helpers.drain);
  }

  /** Value of 8 bytes that a map has for a key of 4, null: none. */
  valueOf(map: string, key: number): bigint | null {
    const { arena } = this.#runtime.world;
    const place = arena.allocate(4);
    arena.view.setUint32(place, key, true);
    const address = this.#helpers.maps.get(map)?.lookup(place) ?? 0;
    arena.free(place);
    return address === 0 ? null : arena.view.getBigUint64(address, true);
  }

  close(): void {
    this.#runtime.close();
  }
}

/** What belongs to no map stays in Wasm: values of the event and reads of memory. */
const IN_WASM: readonly string[] = [
  "bpf_get_current_pid_tgid",
  "bpf_get_current_uid_gid",
  "bpf_get_current_comm",
  "bpf_probe_read_kernel_str",
];

/** Where lowering does not know the map of a call it neither computes an address in place nor passes a key by value. */
function withoutMaps(program: VerifiedProgram): VerifiedProgram {
  const insns = program.facts.insns.map((facts) => facts && { ...facts, map: null });
  return { ...program, facts: { ...program.facts, insns } };
}

interface Helpers {
  readonly functions: Readonly<Record<string, (...args: never[]) => number | undefined>>;
  readonly maps: ReadonlyMap<string, HostMap>;
  /** takes all records out, returns their bytes */
  readonly drain: () => number;
}

function hostHelpers(arena: Runtime["world"]["arena"], specs: readonly MapSpec[]): Helpers {
  const maps: (HostMap | null)[] = specs.map((spec) => hostMap(arena, spec));
  const rings: (HostRing | null)[] = specs.map((spec) => hostRing(arena, spec));
  /** of the record under way: a submit names no ring */
  let reserved: HostRing | null = null;
  return {
    maps: new Map(specs.flatMap(({ name }, index) => (maps[index] ? [[name, maps[index]]] : []))),
    functions: {
      map_lookup: (map: number, key: number) => maps[map - 1]!.lookup(key),
      map_update: (map: number, key: number, value: number, _flags: bigint) => maps[map - 1]!.update(key, value),
      map_delete: (map: number, key: number) => maps[map - 1]!.delete(key),
      ringbuf_reserve: (map: number, bytes: number, _flags: bigint) => {
        reserved = rings[map - 1]!;
        return reserved.reserve(bytes);
      },
      bpf_ringbuf_submit: (payload: number, _flags: bigint) => {
        reserved!.submit(payload);
        return undefined;
      },
      perf_event_output: (_ctx: number, map: number, _flags: bigint, data: number, bytes: number) =>
        rings[map - 1]!.output(data, bytes),
    },
    drain: () => rings.reduce((bytes, ring) => bytes + (ring?.drain() ?? 0), 0),
  };
}
