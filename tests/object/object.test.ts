/** What an object says beyond what libbpf can be asked: failures, externs, types, slots, names. */
import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { type BpfObject, readBtf, readObject } from "../../compiler/object/index.ts";
import type { Program } from "../../compiler/program.ts";
import { findSection } from "../../spec/index.ts";
import { fixtureBytes } from "./libbpf.ts";

const read = (name: string, options: Parameters<typeof readObject>[1] = {}): BpfObject =>
  readObject(fixtureBytes(name), { name: `${name}.bpf.o`, ...options });

function programOf(object: BpfObject, name: string): Program {
  for (const outcome of object.programs) if (outcome.ok && outcome.program.name === name) return outcome.program;
  throw new Error(`no program ${name}`);
}

function failureOf(object: BpfObject, name: string): BpfError {
  for (const outcome of object.programs) if (!outcome.ok && outcome.name === name) return outcome.error;
  throw new Error(`no failure ${name}`);
}

function thrownBy(action: () => unknown): BpfError {
  try {
    action();
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("the object's name", () => {
  it.each(["opens.bpf.o", "/tmp/a.b/opens.bpf.o", "C:\\a.b\\opens.bpf.o"])("of %s is opens", (path) => {
    expect(read("refused", { name: path }).name).toBe("opens");
  });
});

describe("a static struct in parts that claim to be the whole", () => {
  const split = read("split");

  it("leaves programs and maps without types, as the kernel refuses them", () => {
    expect(programOf(split, "counts").btf).toBeNull();
    const map = split.maps.find(({ section }) => section === ".bss");
    expect(map?.btf).toBeNull();
  });
});

describe("programs that do not load", () => {
  const refused = read("refused");

  it("leave the others alone", () => {
    expect(programOf(refused, "fine").insns).toHaveLength(2);
  });

  it("have an error each", () => {
    const failures = refused.programs.flatMap((outcome) => (outcome.ok ? [] : [[outcome.name, outcome.error.code]]));
    expect(failures).toEqual([
      ["unknown_section", "SECTION_UNKNOWN"],
      ["static_in_section", "SYMBOL_MALFORMED"],
      ["calls_static", "RELOCATION_UNRESOLVED"],
      ["calls_program", "RELOCATION_UNRESOLVED"],
    ]);
  });

  it("load with a type that the caller gives, by program or by section", () => {
    for (const key of ["unknown_section", "no_such_section"]) {
      const object = read("refused", { types: { [key]: "socket_filter" } });
      expect(programOf(object, "unknown_section").type).toBe("socket_filter");
    }
  });

  it("take the object with them where maps are of the legacy kind", () => {
    const error = thrownBy(() => read("legacy"));
    expect([error.code, error.errno, error.where.section]).toEqual(["LEGACY_MAPS", "EOPNOTSUPP", "maps"]);
  });
});

describe("CO-RE", () => {
  const target = readBtf(fixtureBytes("core-target"));

  it("fails programs that need a target, and only those, where there is none", () => {
    const object = read("core");
    expect(failureOf(object, "offsets").code).toBe("BTF_MISSING");
    expect(programOf(object, "local_only").insns.length).toBeGreaterThan(0);
  });

  it("says which types disagree", () => {
    const error = failureOf(read("core", { targetBtf: target }), "ambiguous");
    expect(error.code).toBe("CORE_AMBIGUOUS");
    expect(error.message).toMatch(/twins/);
    expect(error.where.program).toBe("ambiguous");
  });

  it("poisons what the target lacks", () => {
    const calls = programOf(read("core", { targetBtf: target }), "resized_signed").insns.filter(
      ({ imm }) => imm === 195896080,
    );
    expect(calls).toEqual([{ opcode: 0x85, dst: 0, src: 0, off: 0, imm: 195896080 }]);
  });
});

describe("externs", () => {
  const kconfig =
    'CONFIG_BPF_SYSCALL=y\nCONFIG_HZ=250\n# CONFIG_NONE is not set\nCONFIG_TUN=m\nCONFIG_DEFAULT_HOSTNAME="(none-at-all)"\n';
  const target = readBtf(fixtureBytes("core-target"));

  it("fail the programs that use what is not there, by name", () => {
    const object = read("externs");
    expect(failureOf(object, "required").message).toMatch(/CONFIG_BPF_SYSCALL/);
    expect(failureOf(object, "unconfigured").code).toBe("EXTERN_UNRESOLVED");
    expect(failureOf(object, "strong_address").message).toMatch(/strong_symbol/);
    expect(failureOf(object, "strong_function").code).toBe("BTF_MISSING");
    expect(programOf(object, "configuration").insns.length).toBeGreaterThan(0);
    expect(failureOf(read("externs", { targetBtf: target }), "strong_function").code).toBe("KFUNC_MISSING");
  });

  it("fail every program where the object is judged: libbpf loads it whole or not at all", () => {
    const judged = (options: Parameters<typeof readObject>[1]) => read("externs", { purpose: "judge", ...options });
    const withoutFunction = judged({ targetBtf: target });
    for (const name of ["configuration", "weak_function", "strong_function"])
      expect(failureOf(withoutFunction, name)).toMatchObject({
        code: "KFUNC_MISSING",
        where: { symbol: "strong_kfunc" },
      });
    const withoutSetting = judged({ kconfig, targetBtf: target });
    expect(failureOf(withoutSetting, "weak_function").message).toMatch(/CONFIG_STRONG_AND_NOT_THERE/);
  });

  it("take their values from the configuration", () => {
    const object = read("externs", { kconfig });
    const config = object.maps.find(({ section }) => section === ".kconfig")!;
    const bytes = (name: string) => {
      const { offsetBytes, sizeBytes } = config.variables.find((variable) => variable.name === name)!;
      return [...config.initial!.subarray(offsetBytes, offsetBytes + sizeBytes)];
    };
    expect(bytes("CONFIG_HZ")).toEqual([250, 0, 0, 0]);
    expect(bytes("CONFIG_BPF_SYSCALL")).toEqual([1]);
    expect(bytes("CONFIG_TUN")).toEqual([2, 0, 0, 0]);
    expect(bytes("CONFIG_NOT_THERE")).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(new TextDecoder().decode(Uint8Array.from(bytes("CONFIG_DEFAULT_HOSTNAME")))).toBe("(none-at-al\0");
    expect(programOf(object, "required").insns.length).toBeGreaterThan(0);
    expect(config.frozen).toBe(true);
  });

  it("know the kernel version", () => {
    const versionIn = (options: Parameters<typeof readObject>[1]) => {
      const config = read("data", options).maps.find(({ section }) => section === ".kconfig")!;
      const place = config.variables.find(({ name }) => name === "LINUX_KERNEL_VERSION")!;
      return new DataView(config.initial!.buffer).getUint32(place.offsetBytes, true);
    };
    expect(versionIn({})).toBe(0x61200);
    expect(versionIn({ kernelVersion: 0x50a07 })).toBe(0x50a07);
  });

  it("become addresses and BTF ids of the target", () => {
    const object = read("externs", { targetBtf: target, symbols: new Map([["strong_symbol", 0xffffffff81234567n]]) });
    const [load, high] = programOf(object, "strong_address").insns;
    expect([load!.imm >>> 0, high!.imm >>> 0]).toEqual([0x81234567, 0xffffffff]);
    const call = programOf(object, "weak_function").insns.find(({ opcode }) => opcode === 0x85)!;
    expect([call.src, call.imm, call.off]).toEqual([2, target.findByName("weak_kfunc", "func"), 0]);
  });
});

describe("maps", () => {
  const { maps, types } = read("maps");
  const byName = (name: string) => maps.find((map) => map.name === name)!;

  it("have slots by name", () => {
    expect(byName("tails").programs).toEqual([
      { index: 0, program: "tail_one" },
      { index: 3, program: "tail_two" },
    ]);
    expect(byName("array_of_maps").innerMaps).toEqual([
      { index: 1, map: "inner_two" },
      { index: 4, map: "inner_one" },
    ]);
    expect(byName("hash_of_maps").inner).toMatchObject({
      name: "hash_of_maps.inner",
      type: "hash",
      keySize: 8,
      flags: 1,
    });
  });

  it("have types", () => {
    expect(byName("by_key").keyType).toMatchObject({ kind: "struct", name: "key", size: 20 });
    expect(byName("by_key").valueType).toMatchObject({
      kind: "struct",
      name: "stats_t",
      members: [
        { name: "count", offsetBits: 0, bitfieldBits: 0 },
        { name: "flag", offsetBits: 64, bitfieldBits: 1 },
        { name: "rest", offsetBits: 65, bitfieldBits: 7 },
        { name: "where", type: { kind: "pointer", target: "struct key" } },
      ],
    });
    expect(byName("on_node").valueType).toMatchObject({ kind: "array", size: 24, length: 3, element: { length: 2 } });
    expect(types.key).toMatchObject({ members: [{ name: "pid" }, { type: { element: { encoding: "char" } } }] });
    expect(types.stats_t?.size).toBe(24);
  });

  it("of data say where variables are", () => {
    const object = read("data");
    const variables = object.maps.find(({ section }) => section === ".rodata")!.variables;
    expect(variables.map(({ name, offsetBytes, sizeBytes }) => [name, offsetBytes, sizeBytes])).toEqual([
      ["limit", 0, 4],
      ["origin", 8, 40],
    ]);
    expect(object.kernelVersion).toBe(0x60c00);
    expect(object.license).toBe("Dual MIT/GPL");
  });

  it("of data are named as in the kernel", () => {
    const names = (name: string) => readObject(fixtureBytes("data"), { name }).maps.map((map) => map.name);
    expect(names("/some/where/a-long-object-name.bpf.o").slice(0, 3)).toEqual([
      "a_long_o.rodata",
      "a_long_o.data",
      ".data.own",
    ]);
    expect(names("")[0]).toBe(".rodata");
  });
});

describe("struct_ops", () => {
  it("whose structure the target lacks fail every program where the object is judged", () => {
    const targetBtf = readBtf(fixtureBytes("core-target"));
    expect(programOf(read("struct-ops", { purpose: "judge" }), "undo").insns.length).toBeGreaterThan(0);
    for (const program of ["threshold", "undo"])
      expect(failureOf(read("struct-ops", { purpose: "judge", targetBtf }), program)).toMatchObject({
        code: "ATTACH_BTF_MISSING",
        message: expect.stringContaining("tcp_congestion_ops"),
        where: { section: ".struct_ops" },
      });
  });

  it("are maps whose members are programs", () => {
    const [plain, linked] = read("struct-ops").maps;
    expect(plain).toMatchObject({
      name: "plain",
      type: "struct_ops",
      flags: 0,
      valueType: { name: "tcp_congestion_ops" },
      programs: [
        { index: 0, program: "threshold" },
        { index: 2, program: "undo" },
      ],
    });
    expect(linked).toMatchObject({ name: "linked", flags: 1 << 13, programs: [{ index: 2, program: "undo" }] });
    expect(programOf(read("struct-ops"), "undo")).toMatchObject({ sleepable: true, attachTarget: "undo" });
  });
});

describe("kernel mirrors", () => {
  it("are no record types", () => {
    const { types } = read("core");
    expect(["task", "task___old", "child", "twins"].filter((name) => name in types)).toEqual([]);
  });
});

describe("functions", () => {
  it("are global where the verifier checks them by themselves", () => {
    const program = programOf(read("subprograms"), "second");
    expect(program.functions.map(({ name, linkage }) => [name, linkage])).toEqual([
      ["second", "global"],
      ["hidden_one", "static"],
      ["leaf", "static"],
      ["weak_one", "global"],
      ["global_one", "global"],
      ["middle", "static"],
    ]);
  });

  it("have lines with text", () => {
    const { lines } = programOf(read("subprograms"), "third");
    expect(lines).toEqual([
      { insnIndex: 0, file: "./subprograms.bpf.c", line: 76, column: 2, text: "return 2;", indent: 1 },
    ]);
  });
});

describe("section names", () => {
  it.each([
    ["xdp", "xdp", "xdp"],
    ["xdp/other", null, null],
    ["tracepoint/sched/sched_switch", "tracepoint", null],
    ["tp_btf/sched_switch", "tracing", "trace_raw_tp"],
    ["tp_btff", null, null],
    ["kprobe.multi/vfs_*", "kprobe", "trace_kprobe_multi"],
    ["cgroup/connect4", "cgroup_sock_addr", "cgroup_inet4_connect"],
    ["uretprobe.s//bin/bash:readline", "kprobe", null],
    ["", null, null],
  ])("%s", (name, type, attachType) => {
    const spec = findSection(name);
    expect([spec?.type ?? null, spec?.attachType ?? null]).toEqual([type, attachType]);
  });
});
