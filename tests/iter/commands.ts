/** The commands of a scenario, answered by bpfjit in the words of kernel.c. */
import { fileURLToPath } from "node:url";
import { type BpfMap, type Iteration, type KernelTarget, type Link, type LoadedObject, load } from "../../api/index.ts";
import { BpfError } from "../../base/index.ts";
import { ERRNO, MAP_TYPES } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";

export const OBJECT = fileURLToPath(new URL("fixtures/iterators.bpf.o", import.meta.url));
/** CPUs of the machine that the kernel's answers were recorded on */
export const CPUS = 2;

export const loadIterators = (target: KernelTarget): Promise<LoadedObject> =>
  load(OBJECT, { ...target, runtimeOptions: { cpus: CPUS } });

export async function answersOf(target: KernelTarget, commands: readonly string[]): Promise<string[]> {
  await using object = await loadIterators(target);
  const state: State = { object, map: null, link: null, walk: null };
  return commands.map((command) => {
    try {
      return `ok ${run(state, command.split(" "))}`.trimEnd();
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno === null) throw error;
      return `err ${ERRNO[error.errno]} ${command.split(" ")[0]}`;
    }
  });
}

interface State {
  readonly object: LoadedObject;
  map: BpfMap | null;
  link: Link | null;
  walk: Iteration | null;
}

function run(state: State, [name, first = "", ...rest]: string[]): string {
  switch (name) {
    case "map": {
      const [keySize, valueSize, maxEntries] = rest.map(Number) as [number, number, number];
      const type = MAP_TYPES.find(({ id }) => id === Number(first))!.name;
      state.map = state.object.runtime.createMap(mapSpec({ name: "walked", type, keySize, valueSize, maxEntries }));
      return "";
    }
    case "set": {
      const { map } = state;
      const value = bytesOf(rest[0]!);
      const stride = value.length / CPUS;
      const each = Array.from({ length: CPUS }, (_, cpu) => value.slice(cpu * stride, (cpu + 1) * stride));
      map!.update(bytesOf(first), map!.perCpu ? each : value);
      return "";
    }
    case "get": {
      const value = state.map!.lookup(bytesOf(first))!;
      return hexOf(value instanceof Uint8Array ? value : Buffer.concat(value));
    }
    case "global": {
      const bss = globals(state);
      const value = bss.lookup(ZERO) as Uint8Array;
      new DataView(value.buffer).setBigUint64(Number(first), BigInt(rest[0]!), true);
      bss.update(ZERO, value);
      return "";
    }
    case "globals":
      return hexOf(globals(state).lookup(ZERO) as Uint8Array);
    case "attach": {
      state.walk?.close();
      state.walk = null;
      state.link?.detach();
      state.link = null;
      state.link = state.object.program(first).attach({ map: state.map ?? undefined });
      state.walk = state.link.iterate();
      return "";
    }
    default:
      return hexOf(state.walk!.read(Number(first)));
  }
}

const ZERO = new Uint8Array(4);
const globals = ({ object }: State): BpfMap =>
  Object.values(object.maps).find(({ name }) => name.endsWith(".bss"))!.raw;
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
