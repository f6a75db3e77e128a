/**
 * What a link of an iterator walks, checked when the link is made. Kernel: bpf_iter_link_attach(), attach_target of each
 * bpf_iter_reg.
 */
import { AttachError, UnsupportedError } from "../../base/index.ts";
import { type ErrnoName, iteratorByName } from "../../spec/index.ts";
import { callingTask } from "../host.ts";
import type { KernelObject } from "../kernel/index.ts";
import { ArrayMap } from "../maps/array.ts";
import { HashMap } from "../maps/hash.ts";
import type { BpfMap } from "../maps/map.ts";
import type { TaskInfo } from "../task.ts";
import { type GivenElement, givenTarget } from "./given.ts";
import { walkElements, walkMaps } from "./maps.ts";
import { tasksToWalk, walkTasks } from "./tasks.ts";
import { type IteratorTarget, requireBuffers, type WalkWorld } from "./walk.ts";

/** Of the iterator that the program's section names; the others are not looked at. */
export interface IteratorOptions {
  /** bpf_map_elem: a hash or an array of any kind */
  readonly map?: BpfMap | { readonly raw: BpfMap } | undefined;
  /** task: those that there are; default: the calling process alone */
  readonly tasks?: readonly (KernelObject | TaskInfo)[] | undefined;
  /** task: only this thread, or only the threads of this process. Kernel: bpf_iter_link_info.task */
  readonly tid?: number | undefined;
  readonly pid?: number | undefined;
  /** any iterator: the arguments behind the meta, of each element in order, in place of what bpfjit would walk */
  readonly elements?: readonly GivenElement[] | undefined;
}

/** Throws AttachError for what the kernel refuses, UnsupportedError for an iterator whose elements have to be given. */
export function iteratorTarget(world: WalkWorld, name: string, options: IteratorOptions): IteratorTarget {
  const fitsAll = (): void => {};
  const { elements } = options;
  if (elements !== undefined) return givenTarget(world, name, elements);
  switch (name) {
    case "task": {
      const tasks = tasksToWalk(options.tasks ?? [callingTask()], options);
      return { requireFit: fitsAll, walk: () => walkTasks(world, tasks) };
    }
    case "bpf_map":
      return { requireFit: fitsAll, walk: () => walkMaps(world) };
    case "bpf_map_elem": {
      const map = requireMap(options.map);
      const { keySize, valueSize, perCpu } = map;
      const has = { readOnly: keySize, writable: perCpu ? roundUp(valueSize) * world.arena.cpus : valueSize };
      return {
        requireFit: (program) => requireBuffers(program, has, `map ${map.name}`),
        walk: () => walkElements(world, map),
      };
    }
  }
  if (iteratorByName(name) === undefined) refuse(`there is no iterator ${name}`, "ENOENT");
  throw new UnsupportedError(
    "UNSUPPORTED_FEATURE",
    `iterator ${name}`,
    `bpfjit has nothing for iterator ${name} to walk`,
    {
      hint: "give its elements: program.attach({ elements })",
    },
  );
}

const roundUp = (bytes: number): number => Math.ceil(bytes / 8) * 8;

const refuse = (message: string, errno: ErrnoName): never => {
  throw new AttachError("ATTACH_FAILED", message, { errno });
};

function requireMap(given: IteratorOptions["map"]): BpfMap {
  if (given === undefined) return refuse("the iterator needs a map", "EBADF");
  const map = "raw" in given ? given.raw : given;
  if (map.closed) return refuse(`map ${map.name} is closed`, "EBADF");
  if (!(map instanceof ArrayMap || map instanceof HashMap)) {
    return refuse(`map ${map.name} is of type ${map.type.name}: a hash or an array is needed`, "EINVAL");
  }
  return map;
}
