/** Iterators over tasks, the runtime's maps, and elements that are given; links of iterators; the command. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  AttachError,
  type Kernel,
  kernelObjects,
  type LoadedObject,
  readTasks,
  UnsupportedError,
} from "../../api/index.ts";
import { iteratorTarget } from "../../runtime/iter/index.ts";
import { bpfjit, jsonLines } from "../command/command.ts";
import { loadIterators } from "./commands.ts";
import { TARGET } from "./target.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function caught(action: () => unknown): { errno: unknown; code: unknown } {
  try {
    action();
  } catch (error) {
    if (error instanceof AttachError || error instanceof UnsupportedError)
      return { errno: error.errno, code: error.code };
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("an iterator", () => {
  let object: LoadedObject;
  let kernel: Kernel;
  beforeAll(async () => {
    object = await loadIterators(TARGET);
    kernel = kernelObjects(object.runtime, TARGET);
  });
  afterAll(() => object.close());

  it("walks tasks by their number, whatever they are given as", () => {
    const shell = kernel.task_struct!({ pid: 42, tgid: 42, comm: "sh", real_parent: { tgid: 1 } });
    const tasks = [{ pid: 77, tgid: 70, ppid: 42, comm: "worker" }, shell];
    const dump = object.program("dump_tasks");
    expect(text(dump.attach({ tasks }).read())).toBe("42 42 sh, of 1\n77 70 worker, of 42\nend 1\n");
    expect(text(dump.attach({ tasks, pid: 70 }).read())).toBe("77 70 worker, of 42\nend 0\n");
    expect(text(dump.attach({ tasks, tid: 42 }).read())).toBe("42 42 sh, of 1\nend 0\n");
    expect(text(dump.attach({ tasks: [] }).read())).toBe("end 0\n");
    expect(caught(() => dump.attach({ tasks, tid: 42, pid: 70 })).errno).toBe("EINVAL");
  });

  it("walks the calling process where no tasks are given", () => {
    expect(text(object.program("dump_tasks").attach().read())).toMatch(
      new RegExp(`^${process.pid} ${process.pid} node, of ${process.ppid}\nend 0\n$`),
    );
  });

  it.skipIf(process.platform !== "linux")("walks the tasks of this machine", () => {
    const lines = text(object.program("dump_tasks").attach({ tasks: readTasks() }).read()).split("\n");
    expect(lines.some((line) => line.startsWith(`${process.pid} ${process.pid} `))).toBe(true);
    const numbers = lines.slice(0, -2).map((line) => Number.parseInt(line, 10));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  });

  it("walks the maps of the runtime", () => {
    const lines = text(object.program("dump_maps").attach().read()).trimEnd().split("\n");
    expect(lines).toHaveLength(Object.keys(object.maps).length);
    expect(lines).toContainEqual(expect.stringMatching(/\.bss type=2 key=4 value=32 max_entries=1$/));
  });

  it("walks what it is given", () => {
    const task = kernel.task_struct!({ comm: "cat" });
    const elements = [
      [task, 3, kernel.file!({ f_pos: 12n })],
      [task, 4, kernel.file!({ f_pos: -1n })],
    ];
    const link = object.program("dump_files").attach({ elements });
    expect(text(link.read())).toBe("cat 3 at 12\ncat 4 at -1\n");
    expect(caught(() => object.program("dump_files").attach())).toEqual({
      errno: "EOPNOTSUPP",
      code: "UNSUPPORTED_FEATURE",
    });
  });

  it("is given buffers as bytes, none shorter than what its program uses", () => {
    const key = Uint8Array.of(1, 0, 0, 0);
    const value = Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0);
    const dump = object.program("dump_elements");
    expect(text(dump.attach({ elements: [[kernel.bpf_map!({ name: "given" }), key, value]] }).read())).toBe(
      "given of type 0\n0: 1 is 7\n0 elements of 0 and 0 bytes, 26\n",
    );
    expect(caught(() => dump.attach({ elements: [[null, key, value.subarray(1)]] })).errno).toBe("EACCES");
    expect(() => dump.attach({ elements: [[null, 4, value]] })).toThrow("is bytes");
    expect(() => dump.attach({ elements: [[key, key, value]] })).toThrow("is no bytes");
  });

  it("is nothing that other programs attach to, and fires nothing", () => {
    const link = object.program("dump_tasks").attach({ tasks: [] });
    expect(() => link.hook.fire([])).toThrow("not fired");
    expect(caught(() => object.program("dump_maps").attach({ hook: link.hook })).errno).toBe("EINVAL");
    expect(caught(() => iteratorTarget(object.runtime.world, "nothing", {})).errno).toBe("ENOENT");
    link.detach();
    expect(caught(() => link.iterate()).errno).toBe("ENOLINK");
  });

  it("counts its runs, and goes on with another program after an update", () => {
    const map = object.maps[Object.keys(object.maps).find((name) => name.endsWith(".bss"))!]!;
    const link = object.program("dump_errors").attach({ map });
    link.read();
    expect(link.runs).toBe(2);
    expect(caught(() => link.update(object.program("dump_long_keys"))).errno).toBe("EACCES");
    expect(caught(() => link.update(object.program("dump_tasks"))).errno).toBe("EINVAL");
    link.update(object.program("double_values"));
    expect(link.read()).toHaveLength(8);
    expect([link.runs, link.info.kind, link.info.target]).toEqual([4, "iter", "bpf_map_elem"]);
    link.detach();
  });

  it("leaves nothing in memory behind", () => {
    const { arena } = object.runtime.world;
    const link = object.program("dump_tasks").attach({ tasks: [{ pid: 1 }] });
    link.read();
    const before = arena.usedBytes;
    for (let round = 0; round < 100; round++) link.read();
    const open = link.iterate();
    open.read(1);
    open.close();
    expect(arena.usedBytes).toBe(before);
  });

  it("is left alone by attach()", () => {
    expect(object.attach()).toEqual([]);
  });
});

describe("bpfjit iter", () => {
  const OBJECT = "tests/iter/fixtures/iterators.bpf.o";
  const BTF = ["--btf", "tests/iter/fixtures/kernel.bpf.o"];

  it("prints the text of an iterator, or a JSON line of it", async () => {
    const only = ["--prog", "dump_tasks", "--pid", "2147483647"];
    expect(await bpfjit(["iter", OBJECT, ...BTF, ...only])).toMatchObject({ code: 0, stdout: "end 0\n", stderr: "" });
    const { stdout } = await bpfjit(["iter", OBJECT, ...BTF, ...only, "--json"]);
    expect(jsonLines(stdout)).toEqual([{ type: "text", program: "dump_tasks", target: "task", text: "end 0\n" }]);
  });

  it("walks a map by name, and asks for one where none is named", async () => {
    const dump = ["iter", OBJECT, ...BTF, "--prog", "double_values"];
    const bss = await bpfjit([...dump, "--map", "iterator.bss", "--json"]);
    expect(jsonLines(bss.stdout)).toMatchObject([{ target: "bpf_map_elem" }]);
    const nothing = await bpfjit(dump);
    expect(nothing).toMatchObject({ code: 2, stderr: expect.stringContaining("--map NAME") });
    const none = await bpfjit(["iter", "examples/opens.bpf.o"]);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("has no iterators") });
  });
});
