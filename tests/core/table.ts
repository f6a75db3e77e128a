/**
 * The table of cases.txt. A block has a title, the program's and the target's types, and lines of cases:
 *
 *     == fields that moved
 *     local  struct s { int a; int b; };
 *     target struct s { long pad; int b; };
 *     fieldOffset s 0:1 | mov imm=8 | ldx4 off=8 | st8:12 error
 *
 * A line names kind, type and access; then an instruction form each with what becomes of it. `form:N`: the instruction holds
 * N before, instead of what the compiler would have put there. Results: imm=, off= (size= where it changed), value= (64-bit
 * loads), poison, error.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CORE_KINDS, type CoreKind } from "../../compiler/object/core/kinds.ts";
import { parseSpec } from "../../compiler/object/core/spec.ts";
import { coreValue } from "../../compiler/object/core/value.ts";
import { readBtf } from "../../compiler/object/index.ts";
import { SIZE_BYTES } from "../../spec/isa.ts";
import { btfOf, declare } from "./declarations.ts";
import { type CoreCase, FORMS, type FormName } from "./object.ts";

const FILE = fileURLToPath(new URL("cases.txt", import.meta.url));

export interface Block {
  readonly title: string;
  readonly local: string;
  readonly target: string;
  readonly lines: readonly Line[];
}

export interface Line {
  /** `fieldOffset s 0:1` */
  readonly access: string;
  readonly cells: { readonly form: string; readonly test: CoreCase; result: string }[];
}

export function readTable(): Block[] {
  return readFileSync(FILE, "utf8").split(/^== /m).slice(1).map(readBlock);
}

function readBlock(text: string): Block {
  const [title, ...rest] = text.trimEnd().split("\n");
  const types = { local: "", target: "" };
  const lines: Line[] = [];
  let side: "local" | "target" = "local";
  for (const line of rest) {
    const start = /^(local|target)\s/.exec(line);
    if (start !== null) side = start[1] as "local" | "target";
    if (start !== null || /^\s+\S/.test(line)) types[side] += `${line.replace(/^(local|target)/, "")}\n`;
    else if (line.trim() !== "" && !line.startsWith("#")) lines.push(readLine(line, types.local));
  }
  return { title: title!, ...types, lines };
}

function readLine(line: string, types: string): Line {
  const [access, ...cells] = line.split("|").map((cell) => cell.trim());
  const [kind, type, path] = access!.split(" ") as [CoreKind, string, string];
  if (!CORE_KINDS.includes(kind)) throw new Error(`no relocation kind ${kind}`);
  return {
    access: access!,
    cells: cells.map((cell) => {
      const [form, ...result] = cell.split(" ");
      const [name, held] = form!.split(":") as [FormName, string | undefined];
      if (FORMS[name] === undefined) throw new Error(`no instruction form ${name}`);
      const before = held === undefined ? compiled(types, kind, type, path) : BigInt(held);
      return {
        form: form!,
        test: { types, kind, type, access: path, form: name, held: before },
        result: result.join(" "),
      };
    }),
  };
}

/** What clang would put into the instruction; 0 where the access is none. */
function compiled(types: string, kind: CoreKind, type: string, access: string): bigint {
  try {
    const { bytes, idOf } = declare(types);
    const spec = parseSpec(readBtf(bytes), kind, idOf(type), access);
    return coreValue(kind, spec, spec).original;
  } catch {
    return 0n;
  }
}

export const targetOf = (block: Block): Uint8Array => btfOf(block.target);

/** Writes the table with the results that its cells now have. */
export function writeTable(blocks: readonly Block[]): void {
  const head = readFileSync(FILE, "utf8").split(/^== /m)[0]!;
  const texts = blocks.map(({ title, local, target, lines }) =>
    [
      `== ${title}`,
      `local ${local.trimEnd()}`,
      `target ${target.trimEnd()}`,
      ...lines.map(({ access, cells }) =>
        [access, ...cells.map(({ form, result }) => `${form} ${result}`)].join(" | "),
      ),
      "",
    ]
      .map((line) => line.replace(/^(local|target)\s+/, (_, side) => `${side.padEnd(6)} `))
      .join("\n"),
  );
  writeFileSync(FILE, head + texts.join("\n"));
}

/** What became of the first instruction of a program. */
export function resultOf(code: Uint8Array, form: FormName): string {
  const view = new DataView(code.buffer, code.byteOffset, code.length);
  const opcode = view.getUint8(0);
  const imm = view.getInt32(4, true);
  if (opcode === 0x85 && imm === 0xbad2310)
    return form === "lddw" && view.getInt32(12, true) !== imm ? "half" : "poison";
  if (form.startsWith("lddw")) {
    const value = (BigInt(view.getUint32(12, true)) << 32n) | BigInt(imm >>> 0);
    return `value=${value > 0xffffn ? `0x${value.toString(16)}` : value}`;
  }
  if ((opcode & 7) > 3) return `imm=${imm}`;
  const before = FORMS[form](0n)[0]![0];
  const size = (opcode ^ before) & 0x18 ? ` size=${SIZE_BYTES[opcode & 0x18]}` : "";
  return `off=${view.getInt16(2, true)}${size}`;
}
