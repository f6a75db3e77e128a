/**
 * What of a task only its kernel object shows: namespaces, numbers in PID namespaces, cgroup, flags. Each is an instance of its
 * own, the same for the same identity, so that two tasks of a namespace point to one.
 */
import { NAMESPACES } from "../../spec/index.ts";
import type { TaskDetails } from "../task.ts";
import type { Instances } from "./instances.ts";

/** Sets what is known, and to null what may have been known before. */
export function fillDetails(space: Instances, task: number, details: TaskDetails): void {
  const namespaces = namespaceProxy(space, details);
  const pid = pidNumbers(space, details);
  const cgroups = cgroupSet(space, details);
  space.setPointer(task, "task_struct", "nsproxy", namespaces);
  space.setPointer(task, "task_struct", "thread_pid", pid);
  space.setPointer(task, "task_struct", "cgroups", cgroups);
  space.setNumber(task, "task_struct", "flags", details.flags ?? 0);
}

/** Address of the user namespace, 0: it is not known. */
export const userNamespace = (space: Instances, { namespaces }: TaskDetails): number =>
  namespaceOf(space, "user_namespace", namespaces?.user);

function namespaceOf(space: Instances, struct: string, number: number | undefined): number {
  if (number === undefined) return 0;
  const address = space.instance(struct, number);
  if (address !== 0) space.setNumber(address, struct, "ns.inum", number);
  return address;
}

function namespaceProxy(space: Instances, { namespaces, pids }: TaskDetails): number {
  if (namespaces === undefined) return 0;
  const known = NAMESPACES.flatMap(({ name, struct, member }) =>
    member === null || namespaces[name] === undefined ? [] : [{ member, struct, number: namespaces[name] }],
  );
  const proxy = space.instance("nsproxy", known.map(({ member, number }) => `${member}=${number}`).join());
  if (proxy === 0) return 0;
  for (const { member, struct, number } of known) {
    const address = namespaceOf(space, struct, number);
    if (address !== 0 && member === "pid_ns_for_children") {
      space.setNumber(address, struct, "level", (pids?.length ?? 1) - 1);
    }
    space.setPointer(proxy, "nsproxy", member, address);
  }
  return proxy;
}

/** The struct pid of a thread; of the namespaces in it only the innermost is known. */
function pidNumbers(space: Instances, { pids, namespaces }: TaskDetails): number {
  if (pids === undefined || pids.length === 0) return 0;
  const address = space.instance("pid", pids.join());
  if (address === 0) return 0;
  const own = namespaceOf(space, "pid_namespace", namespaces?.pid);
  space.setNumber(address, "pid", "level", pids.length - 1);
  for (const [level, number] of pids.entries()) space.setNumber(address, "pid", `numbers.${level}.nr`, number);
  space.setPointer(address, "pid", `numbers.${pids.length - 1}.ns`, own);
  return address;
}

function cgroupSet(space: Instances, { cgroupPath, cgroupId }: TaskDetails): number {
  if (cgroupPath === undefined) return 0;
  const names = cgroupPath.split("/").filter(Boolean);
  const set = space.instance("css_set", cgroupPath);
  if (set === 0) return 0;
  const group = space.instance("cgroup", cgroupPath);
  const node = directory(space, names);
  if (cgroupId !== undefined) space.setNumber(node, "kernfs_node", "id", cgroupId);
  space.setPointer(group, "cgroup", "kn", node);
  space.setNumber(group, "cgroup", "level", names.length);
  space.setPointer(set, "css_set", "dfl_cgrp", group);
  return set;
}

/** The node of a directory and those above it; the root's name is empty. */
function directory(space: Instances, names: readonly string[]): number {
  let parent = 0;
  for (let depth = 0; depth <= names.length; depth++) {
    const node = space.instance("kernfs_node", `/${names.slice(0, depth).join("/")}`);
    const name = space.textOf(depth === 0 ? "" : names[depth - 1]!);
    space.setPointer(node, "kernfs_node", "name", name);
    // it was renamed in Linux 6.15
    for (const path of ["parent", "__parent"]) space.setPointer(node, "kernfs_node", path, parent);
    parent = node;
  }
  return parent;
}
