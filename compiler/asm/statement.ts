/** The grammar of one statement: tokens → one slot, or two for a 64-bit immediate. Labels stay references. */
import { helperByName } from "../../spec/helpers.ts";
import * as isa from "../../spec/isa.ts";
import { type KernelFunctionName, kernelFunctionByName } from "../../spec/kernel-functions.ts";
import { kfuncByName, OWN_KFUNC } from "../../spec/kfuncs.ts";
import { insnFromQuad } from "./codec.ts";
import type { Insn } from "./instruction.ts";
import { ATOMIC_BY_NAME } from "./names.ts";
import {
  anyRegister,
  atomicSize,
  fitImmediate,
  immediate,
  index,
  isSign,
  matchingRegister,
  type Place,
  parsePlace,
  parseSource,
  placeInParens,
  type Register,
  registerOf,
  sameAtomicRegister,
  sameRegister,
  sizedRegister,
  typeInParens,
  typeName,
  wideRegister,
} from "./operands.ts";
import type { Cursor } from "./scan.ts";

export interface Statement {
  readonly insns: readonly Insn[];
  readonly reference: Reference | null;
}

/** Where a jump, call or function pointer leads. */
export interface Reference {
  /** null: given as a distance, which is in the instruction already */
  readonly label: string | null;
  readonly distance: number | null;
  /** the field that takes the distance from the next slot */
  readonly field: "off" | "imm";
  /** the target begins a subprogram */
  readonly entry: boolean;
}

const slot = (opcode: number, fields: Partial<Insn> = {}): Insn => ({
  opcode,
  dst: fields.dst ?? 0,
  src: fields.src ?? 0,
  off: fields.off ?? 0,
  imm: fields.imm ?? 0,
});
const plain = (...insns: Insn[]): Statement => ({ insns, reference: null });

/** What names in the text stand for. */
export interface Names {
  /** in the order of the program's maps */
  readonly maps: readonly string[];
  /** BTF id of a kernel function in the target; null where it is not known */
  readonly kernelFunction: (name: KernelFunctionName) => number | null;
  readonly kernelVariable: (name: string) => number | null;
  /** BTF id of a struct that the text declares */
  readonly struct: (name: string) => number | null;
}

/** Throws ASM_SYNTAX through the cursor. */
export function parseStatement(cursor: Cursor, names: Names): Statement {
  const statement = parseAny(cursor, names);
  cursor.end();
  return statement;
}

function parseAny(cursor: Cursor, names: Names): Statement {
  if (cursor.accept("*")) return parseStore(cursor);
  const word = cursor.peek();
  const register = word?.kind === "word" ? registerOf(word.text) : null;
  if (register !== null) {
    cursor.next();
    return parseAssignment(cursor, register, names);
  }
  switch (cursor.word("an instruction")) {
    case "exit":
      return plain(slot(isa.CLASS.JMP | isa.JMP.EXIT));
    case "goto":
      return jump(slot(isa.CLASS.JMP | isa.JMP.JA), parseTarget(cursor, "off"));
    case "gotol":
      return jump(slot(isa.CLASS.JMP32 | isa.JMP.JA), parseTarget(cursor, "imm"));
    case "may_goto":
      return jump(slot(isa.CLASS.JMP | isa.JMP.JCOND), parseTarget(cursor, "off"));
    case "gotox":
      return plain(slot(isa.CLASS.JMP | isa.JMP.JA | isa.SRC.X, { dst: wideRegister(cursor) }));
    case "callx":
      return plain(slot(isa.CLASS.JMP | isa.JMP.CALL | isa.SRC.X, { dst: wideRegister(cursor) }));
    case "call":
      return parseCall(cursor, names);
    case "if":
      return parseBranch(cursor);
    case "lock":
      return parseLocked(cursor);
    case "store_release":
      return parseStoreRelease(cursor);
    case ".quad":
      return plain(insnFromQuad(BigInt.asUintN(64, cursor.number("a 64-bit number"))));
    default:
      return cursor.fail(`unknown instruction ${JSON.stringify(word?.text ?? "")}`);
  }
}

// ---- jumps and calls

function jump(insn: Insn, reference: Reference): Statement {
  return { insns: [reference.label === null ? { ...insn, [reference.field]: reference.distance } : insn], reference };
}

/** A label, `+3`, `-2`, or the kernel's `pc+3`. */
function parseTarget(cursor: Cursor, field: Reference["field"], entry = false): Reference {
  const token = cursor.peek();
  if (token?.kind === "word" && !(token.text === "pc" && isSign(cursor, 1))) {
    cursor.next();
    return { label: token.text, distance: null, field, entry };
  }
  cursor.accept("pc");
  const limit = field === "off" ? 0x7fff : 0x7fff_ffff;
  const distance = cursor.numberWithin("distance", -limit - 1, limit);
  return { label: null, distance, field, entry };
}

function parseCall(cursor: Cursor, names: Names): Statement {
  const opcode = isa.CLASS.JMP | isa.JMP.CALL;
  const token = cursor.peek();
  if (token?.kind !== "word") return plain(slot(opcode, { imm: immediate(cursor, 32) }));
  if (token.text === "kfunc" && cursor.peek(1)?.text === "[") {
    cursor.next();
    const imm = index(cursor, 0x7fff_ffff);
    const off = cursor.peek()?.text === "[" ? index(cursor, 0x7fff) : 0;
    return plain(slot(opcode, { src: isa.PSEUDO_CALL.KFUNC, imm, off }));
  }
  const kfunc = kfuncByName(token.text);
  if (kfunc !== undefined) {
    cursor.next();
    return plain(slot(opcode, { src: isa.PSEUDO_CALL.KFUNC, off: OWN_KFUNC, imm: kfunc.id }));
  }
  const helper = helperByName(token.text);
  if (helper !== undefined) {
    cursor.next();
    return plain(slot(opcode, { imm: helper.id }));
  }
  const kernelFunction = kernelFunctionByName(token.text);
  if (kernelFunction !== undefined) {
    cursor.next();
    const imm = names.kernelFunction(kernelFunction.name);
    if (imm === null)
      cursor.fail(`${token.text} is a kernel function: its number is in the kernel's BTF, which is not given`);
    return plain(slot(opcode, { src: isa.PSEUDO_CALL.KFUNC, imm }));
  }
  return jump(slot(opcode, { src: isa.PSEUDO_CALL.SUBPROG }), parseTarget(cursor, "imm", true));
}

const COMPARE: ReadonlyMap<string, number> = new Map(
  Object.entries(isa.JMP_SYMBOL).map(([operation, symbol]) => [symbol, Number(operation)]),
);

function parseBranch(cursor: Cursor): Statement {
  const left = anyRegister(cursor);
  const symbol = cursor.next()?.text ?? "";
  const operation = COMPARE.get(symbol);
  if (operation === undefined) cursor.fail(`${JSON.stringify(symbol)} is no comparison`);
  const group = left.narrow ? isa.CLASS.JMP32 : isa.CLASS.JMP;
  const source = parseSource(cursor, left.narrow);
  cursor.expect("goto");
  const opcode = group | operation | source.opcode;
  return jump(slot(opcode, { dst: left.number, src: source.src, imm: source.imm }), parseTarget(cursor, "off"));
}

// ---- stores and atomics without a result

function parseStore(cursor: Cursor): Statement {
  const { size } = typeInParens(cursor, "u");
  const place = placeInParens(cursor);
  cursor.expect("=");
  const token = cursor.peek();
  if (token?.kind === "word") {
    const register = anyRegister(cursor);
    if (register.narrow && size === isa.SIZE.DW) cursor.fail("a 64-bit store takes an r register");
    const opcode = isa.CLASS.STX | isa.MODE.MEM | size;
    return plain(slot(opcode, { dst: place.register, src: register.number, off: place.off }));
  }
  const imm = immediate(cursor, size === isa.SIZE.DW ? 64 : 32);
  return plain(slot(isa.CLASS.ST | isa.MODE.MEM | size, { dst: place.register, off: place.off, imm }));
}

function parseLocked(cursor: Cursor): Statement {
  cursor.expect("*");
  const size = atomicSize(cursor);
  const place = placeInParens(cursor);
  const symbol = cursor.next()?.text ?? "";
  for (const operation of ATOMIC_BY_NAME.values())
    if (isa.ALU_SYMBOL[operation] === symbol) return atomic(size, place, sizedRegister(cursor, size), operation);
  return cursor.fail(`${JSON.stringify(symbol)} is no atomic operation`);
}

function parseStoreRelease(cursor: Cursor): Statement {
  cursor.expect("(");
  const { size } = typeInParens(cursor, "u");
  const place = placeInParens(cursor);
  cursor.expect(",");
  const source = sizedRegister(cursor, size);
  cursor.expect(")");
  return atomic(size, place, source, isa.ATOMIC.STORE_REL);
}

const atomic = (size: number, place: Place, src: number, imm: number): Statement =>
  plain(slot(isa.CLASS.STX | isa.MODE.ATOMIC | size, { dst: place.register, src, off: place.off, imm }));

// ---- what begins with a register

interface Compound {
  readonly operation: number;
  readonly off: number;
}
const COMPOUND: ReadonlyMap<string, Compound> = new Map<string, Compound>([
  ...Object.entries(isa.ALU_SYMBOL)
    .filter(([, symbol]) => symbol.length > 1 && symbol.endsWith("="))
    .map(([operation, symbol]): [string, Compound] => [symbol, { operation: Number(operation), off: 0 }]),
  ["s/=", { operation: isa.ALU.DIV, off: 1 }],
  ["s%=", { operation: isa.ALU.MOD, off: 1 }],
]);

function parseAssignment(cursor: Cursor, target: Register, names: Names): Statement {
  const group = target.narrow ? isa.CLASS.ALU : isa.CLASS.ALU64;
  const symbol = cursor.next()?.text ?? "";
  const compound = COMPOUND.get(symbol);
  if (compound !== undefined) {
    const { opcode, src, imm } = parseSource(cursor, target.narrow);
    return plain(slot(group | compound.operation | opcode, { dst: target.number, src, imm, off: compound.off }));
  }
  if (symbol !== "=") cursor.fail(`${JSON.stringify(symbol)} is no assignment`);
  if (cursor.accept("*")) return parseLoad(cursor, target);
  if (cursor.accept("(")) return parseSignExtension(cursor, target);
  const token = cursor.peek();
  if (token?.kind === "number" || (isSign(cursor, 0) && cursor.peek(1)?.kind === "number"))
    return parseNumber(cursor, target);
  if (cursor.accept("-")) {
    sameRegister(cursor, target);
    return plain(slot(group | isa.ALU.NEG, { dst: target.number }));
  }
  const register = token?.kind === "word" ? registerOf(token.text) : null;
  if (register !== null) {
    const src = matchingRegister(cursor, target.narrow);
    return plain(slot(group | isa.ALU.MOV | isa.SRC.X, { dst: target.number, src }));
  }
  return parseNamed(cursor, target, cursor.word("a value"), names);
}

/** `5`, or `5 ll` for a 64-bit immediate. */
function parseNumber(cursor: Cursor, target: Register): Statement {
  const group = target.narrow ? isa.CLASS.ALU : isa.CLASS.ALU64;
  const value = cursor.number("a number");
  if (!cursor.accept("ll"))
    return plain(
      slot(group | isa.ALU.MOV, { dst: target.number, imm: fitImmediate(cursor, value, target.narrow ? 32 : 64) }),
    );
  if (value < -0x8000_0000_0000_0000n) cursor.fail(`${value} does not fit 64 bits`);
  return wide(
    cursor,
    target,
    isa.PSEUDO_LD.NONE,
    Number(BigInt.asIntN(32, value)),
    Number(BigInt.asIntN(32, value >> 32n)),
  );
}

function wide(cursor: Cursor, target: Register, src: number, low: number, high: number): Statement {
  if (target.narrow) cursor.fail("a 64-bit immediate goes to an r register");
  return plain(
    slot(isa.CLASS.LD | isa.MODE.IMM | isa.SIZE.DW, { dst: target.number, src, imm: low }),
    slot(0, { imm: high }),
  );
}

function parseLoad(cursor: Cursor, target: Register): Statement {
  const { size, signed } = typeInParens(cursor, "us");
  if (target.narrow && (signed || size === isa.SIZE.DW)) cursor.fail("this load fills an r register");
  if (cursor.accept("skb")) return parsePacketLoad(cursor, target, size, signed);
  const place = placeInParens(cursor);
  if (signed && size === isa.SIZE.DW) cursor.fail("there is no sign-extending 64-bit load");
  const opcode = isa.CLASS.LDX | (signed ? isa.MODE.MEMSX : isa.MODE.MEM) | size;
  return plain(slot(opcode, { dst: target.number, src: place.register, off: place.off }));
}

/** Legacy packet access: `skb[4]`, `skb[r1]`, and `skb[r1 + 4]`. */
function parsePacketLoad(cursor: Cursor, target: Register, size: number, signed: boolean): Statement {
  if (target.number !== 0 || target.narrow || signed || size === isa.SIZE.DW)
    cursor.fail("a packet load is of u8, u16 or u32 to r0");
  cursor.expect("[");
  const byRegister = cursor.peek()?.kind === "word";
  const src = byRegister ? wideRegister(cursor) : 0;
  const imm = byRegister && !isSign(cursor, 0) ? 0 : immediate(cursor, 32);
  cursor.expect("]");
  return plain(slot(isa.CLASS.LD | (byRegister ? isa.MODE.IND : isa.MODE.ABS) | size, { src, imm }));
}

/** `(s8)r2`; the parenthesis is read already. */
function parseSignExtension(cursor: Cursor, target: Register): Statement {
  const { size, signed } = typeName(cursor);
  cursor.expect(")");
  const bits = isa.SIZE_BYTES[size]! * 8;
  if (!signed || bits > (target.narrow ? 16 : 32))
    cursor.fail("only s8, s16 and, to an r register, s32 can be extended");
  const group = target.narrow ? isa.CLASS.ALU : isa.CLASS.ALU64;
  const src = matchingRegister(cursor, target.narrow);
  return plain(slot(group | isa.ALU.MOV | isa.SRC.X, { dst: target.number, src, off: bits }));
}

/** What follows `=` and begins with a word that is no register. */
function parseNamed(cursor: Cursor, target: Register, name: string, names: Names): Statement {
  const swap = /^(be|le|bswap)(16|32|64)$/.exec(name);
  if (swap !== null) return parseSwap(cursor, target, swap[1]!, Number(swap[2]));
  if (name.startsWith("atomic_fetch_")) return parseFetch(cursor, target, name.slice("atomic_fetch_".length));
  switch (name) {
    case "xchg_64":
    case "xchg32_32":
      return parseExchange(cursor, target, name === "xchg_64" ? isa.SIZE.DW : isa.SIZE.W);
    case "cmpxchg_64":
    case "cmpxchg32_32":
      return parseCompareExchange(cursor, target, name === "cmpxchg_64" ? isa.SIZE.DW : isa.SIZE.W);
    case "load_acquire":
      return parseLoadAcquire(cursor, target);
    case "addr_space_cast":
      return parseAddressSpaceCast(cursor, target);
    case "func":
      return parseFunctionPointer(cursor, target);
    case "type":
      return parseTypeId(cursor, target, names);
    case "map":
    case "map_idx":
    case "btf":
      return parsePseudo(cursor, target, name, names);
    default:
      return cursor.fail(`${JSON.stringify(name)} is no value`);
  }
}

/** `r1 = type[node]`: the number of a struct in the program's BTF. */
function parseTypeId(cursor: Cursor, target: Register, names: Names): Statement {
  cursor.expect("[");
  const name = cursor.word("a struct");
  cursor.expect("]");
  const imm = names.struct(name);
  if (imm === null) cursor.fail(`no struct ${name}`);
  const kind = target.narrow ? isa.CLASS.ALU : isa.CLASS.ALU64;
  return plain(slot(kind | isa.ALU.MOV | isa.SRC.K, { dst: target.number, imm }));
}

function parseSwap(cursor: Cursor, target: Register, kind: string, bits: number): Statement {
  if (target.narrow) cursor.fail("a byte swap is of an r register");
  sameRegister(cursor, target);
  const opcode =
    kind === "bswap" ? isa.CLASS.ALU64 : kind === "be" ? isa.CLASS.ALU | isa.SRC.X : isa.CLASS.ALU | isa.SRC.K;
  return plain(slot(opcode | isa.ALU.END, { dst: target.number, imm: bits }));
}

function parseFetch(cursor: Cursor, target: Register, name: string): Statement {
  const operation = ATOMIC_BY_NAME.get(name);
  if (operation === undefined) cursor.fail(`there is no atomic_fetch_${name}`);
  cursor.expect("(");
  const size = atomicSize(cursor);
  const place = placeInParens(cursor);
  cursor.expect(",");
  sameAtomicRegister(cursor, target, size);
  cursor.expect(")");
  return atomic(size, place, target.number, operation | isa.ATOMIC.FETCH);
}

function parseExchange(cursor: Cursor, target: Register, size: number): Statement {
  cursor.expect("(");
  const place = parsePlace(cursor);
  cursor.expect(",");
  sameAtomicRegister(cursor, target, size);
  cursor.expect(")");
  return atomic(size, place, target.number, isa.ATOMIC.XCHG);
}

function parseCompareExchange(cursor: Cursor, target: Register, size: number): Statement {
  if (target.number !== 0) cursor.fail("cmpxchg works on r0");
  cursor.expect("(");
  const place = parsePlace(cursor);
  cursor.expect(",");
  sameAtomicRegister(cursor, target, size);
  cursor.expect(",");
  const source = sizedRegister(cursor, size);
  cursor.expect(")");
  return atomic(size, place, source, isa.ATOMIC.CMPXCHG);
}

function parseLoadAcquire(cursor: Cursor, target: Register): Statement {
  cursor.expect("(");
  const { size } = typeInParens(cursor, "u");
  if (target.narrow === (size === isa.SIZE.DW))
    cursor.fail(`load_acquire of this size goes to ${target.narrow ? "an r" : "a w"} register`);
  const place = placeInParens(cursor);
  cursor.expect(")");
  const opcode = isa.CLASS.STX | isa.MODE.ATOMIC | size;
  return plain(slot(opcode, { dst: target.number, src: place.register, off: place.off, imm: isa.ATOMIC.LOAD_ACQ }));
}

function parseAddressSpaceCast(cursor: Cursor, target: Register): Statement {
  if (target.narrow) cursor.fail("an address space cast is of an r register");
  cursor.expect("(");
  const src = wideRegister(cursor);
  cursor.expect(",");
  const to = cursor.numberWithin("address space", 0, 0xffff);
  cursor.expect(",");
  const from = cursor.numberWithin("address space", 0, 0xffff);
  cursor.expect(")");
  const opcode = isa.CLASS.ALU64 | isa.ALU.MOV | isa.SRC.X;
  return plain(slot(opcode, { dst: target.number, src, off: 1, imm: (to << 16) | from }));
}

function parseFunctionPointer(cursor: Cursor, target: Register): Statement {
  const reference = parseTarget(cursor, "imm", true);
  cursor.expect("ll");
  const load = wide(cursor, target, isa.PSEUDO_LD.FUNC, reference.distance ?? 0, 0);
  return { insns: load.insns, reference };
}

/** `map[name] ll`, `map[name][offset] ll`, `map_idx[…]…`, `btf[id] ll`, `btf[name] ll`, `btf[id][module] ll`. */
function parsePseudo(cursor: Cursor, target: Register, kind: "map" | "map_idx" | "btf", names: Names): Statement {
  const low = kind === "map_idx" ? index(cursor, 0x7fff_ffff) : namedIndex(cursor, kind, names);
  const second = cursor.peek()?.text === "[";
  const high = second ? index(cursor, 0xffff_ffff, kind === "btf" ? 0 : -0x8000_0000) | 0 : 0;
  cursor.expect("ll");
  const src =
    kind === "btf"
      ? isa.PSEUDO_LD.BTF_ID
      : kind === "map"
        ? second
          ? isa.PSEUDO_LD.MAP_VALUE
          : isa.PSEUDO_LD.MAP_FD
        : second
          ? isa.PSEUDO_LD.MAP_IDX_VALUE
          : isa.PSEUDO_LD.MAP_IDX;
  return wide(cursor, target, src, low, high);
}

function namedIndex(cursor: Cursor, kind: "map" | "btf", names: Names): number {
  if (cursor.peek(1)?.kind !== "word") return index(cursor, 0x7fff_ffff);
  cursor.expect("[");
  const name = cursor.word(kind === "map" ? "a map" : "a variable of the kernel");
  cursor.expect("]");
  const found = kind === "map" ? names.maps.indexOf(name) : (names.kernelVariable(name) ?? -1);
  if (found < 0) cursor.fail(kind === "map" ? `no map ${name}` : `no variable ${name} in the BTF of a kernel`);
  return found;
}
