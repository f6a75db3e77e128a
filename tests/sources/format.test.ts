/** Tracepoint formats as tracefs prints them, and programs whose struct does or does not fit. */
import { describe, expect, it } from "vitest";
import { compareLayout, parseFormat, requireLayout } from "../../runtime/sources/index.ts";
import type { CMember, CType } from "../../spec/index.ts";

const HEAD = `	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
`;
const format = (name: string, id: number, fields: string): string =>
  `name: ${name}\nID: ${id}\nformat:\n${HEAD}\n${fields}\nprint fmt: "x=%d", REC->x\n`;

const WAKEUP = format(
  "sched_wakeup",
  374,
  `	field:char comm[16];	offset:8;	size:16;	signed:0;
	field:pid_t pid;	offset:24;	size:4;	signed:1;
	field:int prio;	offset:28;	size:4;	signed:1;`,
);
const MIXED = format(
  "mixed",
  7,
  `	field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;
	field:__rel_loc u8[] data;	offset:12;	size:4;	signed:0;
	field:const char * name;	offset:16;	size:8;	signed:0;
	field:unsigned long args[6];	offset:24;	size:48;	signed:0;
	field:bool done;	offset:72;	size:1;	signed:0;
	field:struct in6_addr saddr;	offset:80;	size:16;	signed:0;`,
);

describe("parseFormat", () => {
  it("reads name, id, offsets, sizes and signs", () => {
    const parsed = parseFormat(WAKEUP, "sched");
    expect(parsed).toMatchObject({ system: "sched", name: "sched_wakeup", id: 374, sizeBytes: 32 });
    expect(parsed.fields.map((field) => [field.name, field.offsetBytes, field.sizeBytes, field.signed])).toEqual([
      ["common_type", 0, 2, false],
      ["common_flags", 2, 1, false],
      ["common_preempt_count", 3, 1, false],
      ["common_pid", 4, 4, true],
      ["comm", 8, 16, false],
      ["pid", 24, 4, true],
      ["prio", 28, 4, true],
    ]);
  });

  it("makes types of the fields", () => {
    const { type, fields } = parseFormat(MIXED, "test");
    if (type.kind !== "struct") throw new Error("a record is a struct");
    const members = Object.fromEntries(type.members.map((member) => [member.name, member.type]));
    expect(members.filename).toMatchObject({ kind: "int", size: 4, signed: false });
    expect(members.name).toMatchObject({ kind: "pointer", target: "const char" });
    expect(members.args).toMatchObject({ kind: "array", length: 6, element: { kind: "int", size: 8 } });
    expect(members.done).toMatchObject({ kind: "int", encoding: "bool" });
    expect(members.saddr).toEqual({ kind: "opaque", name: "struct in6_addr", size: 16 });
    expect(fields.find((field) => field.name === "filename")!.location).toBe("absolute");
    expect(fields.find((field) => field.name === "data")!.location).toBe("relative");
  });

  it.each([
    ["nothing", ""],
    ["no id", "name: x\nformat:\n"],
    ["an id that is no number", "name: x\nID: abc\n"],
    ["a field without an offset", "name: x\nID: 1\n\tfield:int a;\tsize:4;\n"],
    ["a field beyond any record", "name: x\nID: 1\n\tfield:int a;\toffset:99999;\tsize:4;\tsigned:1;\n"],
  ])("refuses %s", (_, text) => {
    expect(() => parseFormat(text, "test")).toThrow(expect.objectContaining({ code: "CAPTURE_MALFORMED" }));
  });
});

const int = (size: number): CType => ({ kind: "int", name: "int", size, signed: true, encoding: "int" });
const member = (name: string, offsetBytes: number, type: CType): CMember => ({
  name,
  offsetBits: offsetBytes * 8,
  bitfieldBits: 0,
  type,
});
const struct = (members: readonly CMember[]): CType => ({ kind: "struct", name: "ctx", size: 64, members });

describe("a program's ctx struct", () => {
  const recorded = parseFormat(WAKEUP, "sched").type;
  const entry = member("ent", 0, struct([member("type", 0, int(2)), member("pid", 4, int(4))]));

  it("fits where offsets agree, whatever else it names", () => {
    const compiled = struct([entry, member("pid", 24, int(4)), member("padding", 32, int(8))]);
    expect(compareLayout(compiled, recorded)).toEqual([]);
  });

  it("may read the low half of a wider field", () => {
    expect(compareLayout(struct([member("prio", 28, int(2))]), recorded)).toEqual([]);
  });

  it("may take a field for as wide as its padding, but not for wider", () => {
    const padded = parseFormat(
      format(
        "padded",
        9,
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;",
      ),
      "test",
    ).type;
    expect(compareLayout(struct([member("__syscall_nr", 8, int(8))]), padded)).toEqual([]);
    expect(compareLayout(struct([member("__syscall_nr", 8, int(16))]), padded)).toHaveLength(1);
  });

  it("is refused by field where they differ", () => {
    const compiled = struct([entry, member("pid", 28, int(4)), member("prio", 28, int(8))]);
    expect(compareLayout(compiled, recorded).map((difference) => difference.field)).toEqual(["pid", "prio"]);
    expect(() => requireLayout("handle", compiled, "sched/sched_wakeup", recorded)).toThrow(
      expect.objectContaining({
        code: "CAPTURE_LAYOUT",
        message:
          "sched/sched_wakeup differs from what handle was compiled for: " +
          "pid is 4 bytes at 24, not 4 at 28; prio is 4 bytes at 28, not 8 at 28",
      }),
    );
  });

  it("finds __data_loc fields under vmlinux.h's names, and fields of anonymous structs", () => {
    const mixed = parseFormat(MIXED, "test").type;
    const anonymous = member("", 8, struct([member("__data_loc_filename", 4, int(4))]));
    expect(compareLayout(struct([anonymous]), mixed)).toEqual([
      {
        field: "filename",
        expected: { offsetBytes: 12, sizeBytes: 4 },
        recorded: { offsetBytes: 8, sizeBytes: 4 },
      },
    ]);
  });
});
