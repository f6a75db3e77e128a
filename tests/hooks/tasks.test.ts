/** Tasks that run on this machine, as programs see their kernel objects: held to what other files of /proc say. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { kernelObjects, load, readKernel, readTask } from "../../api/index.ts";

const OBJECT = fileURLToPath(new URL("fixtures/tasks.bpf.o", import.meta.url));
const KERNEL = "/sys/kernel/btf/vmlinux";
const CAN_RUN = existsSync(KERNEL) && existsSync("/proc/self/ns");

const inode = (link: string): number => Number(/\d+/.exec(readlinkSync(`/proc/self/ns/${link}`))![0]);
const text = (path: string): string => readFileSync(path, "utf8").trim();
const parentOf = (pid: number): number =>
  Number(execFileSync("ps", ["-o", "ppid=", "-p", String(pid)], { encoding: "utf8" }));

/** What ps does not tell, as it should be seen. */
function expected(): Record<string, unknown> {
  const path = text("/proc/self/cgroup").split("0::")[1]?.split("\n")[0];
  return {
    pid: process.pid,
    tgid: process.pid,
    parent: process.ppid,
    grandparent: parentOf(process.ppid),
    number: process.pid,
    euid: process.geteuid!(),
    uts: inode("uts"),
    mnt: inode("mnt"),
    net: inode("net"),
    user: inode("user"),
    children: inode("pid_for_children"),
    comm: text("/proc/self/comm"),
    parent_comm: text(`/proc/${process.ppid}/comm`),
    cgroup: path?.split("/").at(-1),
    cgroup_level: path?.split("/").filter(Boolean).length,
  };
}

async function tasks() {
  const target = readKernel(KERNEL);
  const object = await load(OBJECT, target);
  object.attach();
  const seen = () => object.map("found").get(0) as Record<string, unknown>;
  return {
    object,
    seen,
    hook: object.program("on_current").links[0]!.hook,
    kernel: kernelObjects(object.runtime, target),
  };
}

describe.skipIf(!CAN_RUN)("a task that runs", () => {
  it("is the current one of an event that is fired for it", async () => {
    const { hook, seen, kernel } = await tasks();
    // its parents are known where somebody tells of them
    kernel.currentTask();
    const task = readTask()!;
    hook.fire([0, 0], { task });
    expect(seen()).toMatchObject(expected());
    expect(seen()).toMatchObject({
      cgroup_id: task.cgroupId,
      cgroup_directory: task.cgroupId,
      start: task.startTimeNs,
    });
  });

  it("is an object that arguments and other objects can point to", async () => {
    const { object, seen, kernel } = await tasks();
    const current = kernel.currentTask();
    object.program("on_argument").links[0]!.hook.fire([current, 0, 0]);
    expect(seen()).toMatchObject({ ...expected(), cgroup_id: 0n });
    expect(current.view.pid).toBe(process.pid);
    expect(kernel.taskFromProc(process.ppid).pointer).toBe(current.view.real_parent);
    expect(() => kernel.taskFromProc(2 ** 22 + 1)).toThrow(expect.objectContaining({ errno: "ESRCH" }));
  });

  it("started when ps says, in the cgroup whose directory has its id", () => {
    const task = readTask(process.ppid)!;
    const started = Number(process.hrtime.bigint() - task.startTimeNs) / 1e9;
    const elapsed = Number(execFileSync("ps", ["-o", "etimes=", "-p", String(process.ppid)], { encoding: "utf8" }));
    expect(Math.abs(started - elapsed)).toBeLessThan(2);
    const mount = /^\S+ (\S+) cgroup2 /m.exec(text("/proc/mounts"))?.[1];
    const id = mount === undefined ? undefined : statSync(`${mount}${task.cgroupPath}`, { bigint: true }).ino;
    expect(task.cgroupId).toBe(id);
  });
});

describe("a task that does not run, or no /proc", () => {
  it("is null", () => {
    expect([readTask(2 ** 22 + 1), readTask(process.pid, "/nowhere")]).toEqual([null, null]);
  });

  it("is parsed from files that others wrote: names with parentheses, threads, nested namespaces", async () => {
    const { mkdtempSync, mkdirSync, symlinkSync, writeFileSync } = await import("node:fs");
    const root = mkdtempSync("/tmp/bpfjit-proc-");
    const folder = `${root}/12`;
    mkdirSync(`${folder}/ns`, { recursive: true });
    const fields = `S 5 12 12 0 -1 4194560 ${"0 ".repeat(12)}777 0`;
    writeFileSync(`${folder}/stat`, `12 (a) S 1 (b) ${fields}`);
    writeFileSync(
      `${folder}/status`,
      "Name:\ta\nTgid:\t10\nPid:\t12\nPPid:\t5\nUid:\t1000\t0\t0\t0\nGid:\t100\t50\t50\t50\nNSpid:\t12\t3\n",
    );
    writeFileSync(`${folder}/cgroup`, "3:cpu:/x\n0::/system.slice/a b.service\n");
    symlinkSync("pid:[4026531836]", `${folder}/ns/pid`);
    symlinkSync("net:[4026531833]", `${folder}/ns/net`);
    expect(readTask(12, root)).toEqual({
      pid: 12,
      tgid: 10,
      ppid: 5,
      uid: 1000,
      euid: 0,
      gid: 100,
      egid: 50,
      pids: [12, 3],
      comm: "a) S 1 (b",
      flags: 4194560,
      startTimeNs: 7_770_000_000n,
      startBootTimeNs: 7_770_000_000n,
      namespaces: { pid: 4026531836, net: 4026531833 },
      cgroupPath: "/system.slice/a b.service",
    });
  });
});
