/** What programs are resolved against: split BTF, modules, attach targets, kernels read from files. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type KernelTarget, readKernel, readKernels, verifyObject } from "../../api/index.ts";
import { BpfError, ObjectError, UsageError } from "../../base/index.ts";
import { type Btf, findKernelVersion, type Program, readBtf, readObject } from "../../compiler/index.ts";
import { fixtureBytes } from "../object/libbpf.ts";
import { btfOf, declare } from "./declarations.ts";
import { type CoreCase, writeObject } from "./object.ts";
import { objectOf, writePrograms } from "./programs.ts";

const KERNEL = `
  struct shared { int x; int y; }; typedef int (*any)(void);
  int vfs_read(struct shared *); int bpf_lsm_file_open(int); int bpf_iter_task(int);
  typedef void (*btf_trace_sched_switch)(void *, int); int counter;
`;
const kernelBytes = btfOf(KERNEL);
const kernel = readBtf(kernelBytes);
const baseOf = (btf: Btf) => ({ firstId: btf.typeCount, stringBytes: btf.strings.endOffset });
const moduleBytes = declare(
  "struct own { long pad; int a; }; int mod_function(int); int module_kfunc(int); struct shared { long z; };",
  [],
  baseOf(kernel),
).bytes;
const module = { name: "mod", btf: readBtf(moduleBytes, kernel) };

describe("split BTF", () => {
  it("counts types and strings on from its base", () => {
    const { btf } = module;
    expect(btf.firstId).toBe(kernel.typeCount);
    expect(btf.findByName("vfs_read")).toBe(kernel.findByName("vfs_read"));
    expect(btf.findOwnByName("vfs_read")).toBeNull();
    expect(btf.findByName("own", "struct")).toBeGreaterThanOrEqual(kernel.typeCount);
    expect(btf.nameOf(btf.findByName("own")!)).toBe("own");
    // The base's comes first, its own is there too.
    expect(btf.findByName("shared")).toBe(kernel.findByName("shared"));
    expect(btf.findOwnByName("shared")).not.toBeNull();
    expect(btf.sizeOf(kernel.findByName("shared")!)).toBe(8);
    btf.validate();
  });

  it("cannot be read without its base", () => {
    expect(() => readBtf(moduleBytes).validate()).toThrow(BpfError);
  });

  it("is where CO-RE looks for types that the kernel does not have", () => {
    const relocate = (types: string, type: string, access: string): number | undefined => {
      const bytes = writeObject({ types, kind: "fieldOffset", type, access, form: "mov", held: 0n });
      const [outcome] = readObject(bytes, { targetBtf: kernel, modules: [module] }).programs;
      return outcome?.program?.insns[0]?.imm;
    };
    expect(relocate("struct own { int a; };", "own", "0:0")).toBe(8);
    // The kernel has one: the module's is not looked at.
    expect(relocate("struct shared { int x; };", "shared", "0:0")).toBe(0);
  });
});

describe("kernel functions", () => {
  const call = (name: string, options = {}) =>
    objectOf([{ name: "program", section: "socket", calls: [name] }], `int ${name}(int);`, {
      targetBtf: kernel,
      modules: [module],
      ...options,
    }).programs[0]!;

  it("are called by their id and the number of their module", () => {
    const outcome = call("module_kfunc");
    expect(outcome.ok && outcome.program.insns[0]).toMatchObject({
      opcode: 0x85,
      src: 2,
      off: 1,
      imm: module.btf.findByName("module_kfunc"),
    });
    expect(outcome.ok && outcome.program.modules?.map(({ name }) => name)).toEqual(["mod"]);
    const own = call("bpf_lsm_file_open");
    expect(own.ok && own.program.insns[0]).toMatchObject({ off: 0, imm: kernel.findByName("bpf_lsm_file_open") });
  });

  it("that are missing are named", () => {
    const outcome = call("module_kfunc", { modules: [] });
    expect(!outcome.ok && outcome.error).toMatchObject({ code: "KFUNC_MISSING", where: { symbol: "module_kfunc" } });
    expect(!outcome.ok && outcome.error.message).toContain("module_kfunc");
  });
});

describe("the configuration", () => {
  const whole = (...settings: string[]): string =>
    `#\n# Linux/x86 6.18.0 Kernel Configuration\n#\n${settings.map((setting) => `CONFIG_${setting}=y\n`).join("")}`;
  const call = (helper: number) => [0x85, 0, 0, helper] as const;
  const set = (register: number, value: number) => [0xb7, register, 0, value] as const;
  /** the register points to eight bytes of the stack */
  const stack = (register: number) =>
    [
      [0xbf, 0xa0 | register, 0, 0],
      [0x07, register, 0, -8],
    ] as const;
  const fill = [0x7a, 10, -8, 0] as const;
  const object = writePrograms(
    [
      { name: "bpf_override_return", section: "kprobe/vfs_read", code: [set(2, 0), call(58)] },
      { name: "bpf_probe_write_user", section: "kprobe/vfs_write", code: [fill, ...stack(2), set(3, 8), call(36)] },
      { name: "bpf_get_current_cgroup_id", section: "kprobe/vfs_open", code: [call(80)] },
      {
        name: "bpf_probe_read_kernel",
        section: "kprobe/vfs_fsync",
        code: [...stack(1), set(2, 8), set(3, 0), call(113)],
      },
    ],
    "",
  );
  /** Programs that may not call the helper that they are named after. */
  const refused = async (kconfig?: string): Promise<string[]> => {
    const verdicts = await verifyObject(object, { targetBtf: kernel, ...(kconfig !== undefined && { kconfig }) });
    return verdicts.flatMap(({ program, verdict, message }) => {
      if (verdict === "accepted") return [];
      expect(message).toContain(`program of this type cannot use helper ${program}#`);
      return [program];
    });
  };

  it("takes no helper away where it is not known, or only some settings are given", async () => {
    expect(await refused()).toEqual([]);
    expect(await refused("CONFIG_HZ=250\n")).toEqual([]);
  });

  it("takes away what the kernel is built without", async () => {
    expect(await refused(whole("CGROUPS"))).toEqual(["bpf_override_return"]);
    expect(await refused(whole("BPF_KPROBE_OVERRIDE"))).toEqual(["bpf_get_current_cgroup_id"]);
  });

  it("takes away what the kernel is locked down against", async () => {
    const rest = ["CGROUPS", "BPF_KPROBE_OVERRIDE"];
    expect(await refused(whole(...rest))).toEqual([]);
    expect(await refused(whole(...rest, "LOCK_DOWN_KERNEL_FORCE_INTEGRITY"))).toEqual(["bpf_probe_write_user"]);
    expect(await refused(whole(...rest, "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY"))).toEqual([
      "bpf_probe_write_user",
      "bpf_probe_read_kernel",
    ]);
  });

  it("is what the explanation names then", async () => {
    const [verdict] = await verifyObject(object, { targetBtf: kernel, kconfig: whole("CGROUPS") });
    expect(verdict!.explanation).toMatchObject({
      headline: "the target kernel's configuration takes bpf_override_return() away from programs",
      limits: [{ what: "CONFIG_BPF_KPROBE_OVERRIDE" }],
    });
  });
});

describe("attach targets", () => {
  const attach = (section: string, edit = {}, target: Btf | null = kernel) =>
    objectOf([{ name: "program", section }], "", {
      targetBtf: target,
      modules: [module],
      edits: { programs: { program: edit } },
    }).programs[0]!;
  const attachBtf = (section: string, edit = {}): Program["attachBtf"] => {
    const outcome = attach(section, edit);
    if (!outcome.ok) throw outcome.error;
    return outcome.program.attachBtf;
  };

  it.each([
    ["fentry/vfs_read", "vfs_read", null],
    ["fexit/vmlinux:vfs_read", "vfs_read", null],
    ["fmod_ret.s/vfs_read", "vfs_read", null],
    ["fentry/mod_function", "mod_function", "mod"],
    ["fentry/mod:mod_function", "mod_function", "mod"],
    ["lsm/file_open", "bpf_lsm_file_open", null],
    ["lsm_cgroup/file_open", "bpf_lsm_file_open", null],
    ["iter/task", "bpf_iter_task", null],
    ["tp_btf/sched_switch", "btf_trace_sched_switch", null],
  ])("%s", (section, name, owner) => {
    const { btf } = owner === null ? { btf: kernel } : module;
    expect(attachBtf(section)).toMatchObject({ name, module: owner, id: btf.findByName(name) });
  });

  it("that are missing are named, and the program is there all the same", () => {
    for (const section of ["fentry/nothing", "lsm/nothing", "iter/nothing", "tp_btf/nothing", "fentry/mod:vfs_read"]) {
      const outcome = attach(section);
      expect(!outcome.ok && outcome.error.code, section).toBe("ATTACH_BTF_MISSING");
      expect(!outcome.ok && outcome.error.message).toContain(section.slice(section.indexOf("/") + 1));
      expect(outcome.program?.insns).toHaveLength(2);
    }
    const untold = attach("fentry");
    expect(!untold.ok && untold.error).toMatchObject({ code: "ATTACH_BTF_MISSING" });
    const blind = attach("fentry/vfs_read", {}, null);
    expect(!blind.ok && blind.error).toMatchObject({ code: "BTF_MISSING" });
    const replacement = attach("freplace/main");
    expect(!replacement.ok && replacement.error).toMatchObject({ code: "ATTACH_BTF_MISSING" });
  });

  it("may be said before the load", () => {
    expect(attachBtf("fentry", { attachTarget: "vfs_read" })).toMatchObject({ name: "vfs_read" });
    expect(attachBtf("fentry/nothing", { attachTarget: "vfs_read" })).toMatchObject({ name: "vfs_read" });
    const edit = { type: "tracing", attachType: "trace_raw_tp", attachTarget: "sched_switch" };
    expect(attachBtf("custom", edit)).toMatchObject({ name: "btf_trace_sched_switch" });
  });
});

describe("what is missing", () => {
  const types = "struct shared { int gone; struct { int deep[4]; } in; }; enum none___v2 { A___x = -1 };";
  const missing = (test: Pick<CoreCase, "kind" | "type" | "access" | "form" | "held">) =>
    readObject(writeObject({ types, ...test }), { targetBtf: kernel }).programs[0]?.program?.missing?.get(0);

  it("is said in words", () => {
    const shared = { kind: "fieldOffset", type: "shared", form: "ldx4" } as const;
    expect(missing({ ...shared, access: "0:0", held: 0n })).toEqual({
      kind: "fieldOffset",
      type: "struct shared",
      member: "gone",
      text: "struct shared of the target has no fitting field gone",
    });
    expect(missing({ ...shared, access: "0:1:0:2", held: 12n })?.text).toBe(
      "struct shared of the target has no fitting field in.deep[2]",
    );
    expect(missing({ kind: "enumValue", type: "none___v2", access: "0", form: "mov", held: -1n })?.text).toBe(
      "the target has no enum none",
    );
  });
});

describe("the verdict on what is missing", () => {
  const messageOf = async (name: string, program: string, targetBtf: Btf): Promise<string | null> =>
    (await verifyObject(fixtureBytes(name), { targetBtf, programs: [program] }))[0]!.message;

  it("names it behind the kernel's words", async () => {
    expect(await messageOf("core", "offsets", kernel)).toMatch(
      /^invalid func unknown#195896080: the target has no struct task$/,
    );
    expect(await messageOf("core", "guarded", readBtf(fixtureBytes("core-target")))).toMatch(
      /^invalid func unknown#195896080: the target has no struct missing$/,
    );
    expect(await messageOf("optional", "weak_function", kernel)).toMatch(
      /^invalid func unknown#20020000\d\d: the target has no kernel function weak_kfunc/,
    );
  });
});

describe("kernels in files", () => {
  const folder = mkdtempSync(join(tmpdir(), "bpfjit-kernels-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (path: string, bytes: Uint8Array): string => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), bytes);
    return join(folder, path);
  };

  it("say their version by their name", () => {
    const versions = (kernels: readonly KernelTarget[]) =>
      kernels.map(({ kernel: name, kernelVersion }) => [name, kernelVersion]);
    write("many/6.12.107+deb13-amd64.btf", kernelBytes);
    write("many/vmlinux-6.1.0-50-amd64", kernelBytes);
    write("many/7.2.13/vmlinux", kernelBytes);
    write("many/unnamed", kernelBytes);
    expect(versions(readKernels(join(folder, "many")))).toEqual([
      ["unnamed", undefined],
      ["vmlinux-6.1.0-50-amd64", (6 << 16) | (1 << 8)],
      ["6.12.107+deb13-amd64", (6 << 16) | (12 << 8) | 107],
      ["7.2.13", (7 << 16) | (2 << 8) | 13],
    ]);
  });

  it("come with their modules where they are a directory with vmlinux", () => {
    write("sys/vmlinux", kernelBytes);
    write("sys/mod", moduleBytes);
    const broken = write("sys/zzz", Uint8Array.of(1, 2, 3));
    const target = readKernel(join(folder, "sys"));
    expect(target.modules.map(({ name }) => name)).toEqual(["mod", "zzz"]);
    expect(target.modules[0]!.btf.findOwnByName("module_kfunc")).not.toBeNull();
    // Read when it is needed, and named when it cannot be.
    expect(() => target.modules[1]!.btf).toThrow(broken);
    expect(readKernels(join(folder, "sys"))).toHaveLength(1);
  });

  it("that cannot be read are typed errors", () => {
    expect(() => readKernel(join(folder, "absent"))).toThrow(UsageError);
    expect(() => readKernel(join(folder, "many"))).toThrow(UsageError);
    expect(() => readKernel(write("bad/file.btf", Uint8Array.of(1, 2, 3)))).toThrow(ObjectError);
  });

  it.each([
    ["5.4", (5 << 16) | (4 << 8)],
    ["6.1.0-50-amd64", (6 << 16) | (1 << 8)],
    ["vmlinux-6.18.44-fc-v669", (6 << 16) | (18 << 8) | 44],
    ["4.19.300", (4 << 16) | (19 << 8) | 255],
    ["amd64", null],
    ["v6", null],
  ])("%s is of version %s", (name, version) => {
    expect(findKernelVersion(name)).toBe(version);
  });
});
