/** The fixture: one program a kind of hook, and a kernel in small that it is loaded for. */
import { fileURLToPath } from "node:url";
import {
  type Kernel,
  type KernelTarget,
  kernelObjects,
  type LoadedObject,
  load,
  type MapRecord,
  readKernel,
} from "../../api/index.ts";

const path = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

export const TARGET: KernelTarget = readKernel(path("kernel.bpf.o"));
export const PROBES = path("probes.bpf.o");

export interface Probes {
  readonly object: LoadedObject;
  readonly kernel: Kernel;
  /** what the programs wrote since the last call */
  seen(): MapRecord["fields"][];
}

export async function loadProbes(programs: readonly string[]): Promise<Probes> {
  const object = await load(PROBES, { ...TARGET, programs });
  const seen: MapRecord["fields"][] = [];
  const reading = object.openRecords((record) => seen.push(record.fields), { types: { records: "seen" } });
  return {
    object,
    kernel: kernelObjects(object.runtime, TARGET),
    seen: () => {
      reading.drain();
      return seen.splice(0);
    },
  };
}
