/** Accesses outside of map values, buffers, packets and the stack. */
import { CLASS } from "../../../../spec/isa.ts";
import { LIMITS } from "../../../../spec/limits.ts";
import { baseType, isPacketPointer, REG, type RegState } from "../../register.ts";
import { constantOf } from "../../scalar.ts";
import { copySteps } from "../copies.ts";
import { quoted, variableOf } from "../names.ts";
import type { Account, Rule, Scene, Step } from "../scene.ts";
import { between, registerOf, stepAt, trailOfRegister } from "../scene.ts";
import { type Offset, offsetOf, offsetSteps, originSteps } from "../steps.ts";
import type { TrailEvent } from "../trail.ts";
import { calleeName, holdsWords, memoryWords, numberWords, plural, rangeOf, rangeWords } from "../words.ts";

export const BOUNDS_RULES: readonly Rule[] = [
  {
    message: /^R(\d+) (?:min|max) value is outside of the allowed memory range$/,
    explain: (scene, [, r]) => outside(scene, Number(r)),
  },
  {
    message: /^R(\d+) unbounded memory access, make sure to bounds check any such access$/,
    explain: (scene, [, r]) => outside(scene, Number(r)),
  },
  {
    message: /^R(\d+) min value is negative, either use unsigned index or do a if \(index >=0\) check\.$/,
    explain: (scene, [, r]) => outside(scene, Number(r)),
  },
  { message: /^R(\d+) offset is outside of the packet$/, explain: (scene, [, r]) => outsidePacket(scene, Number(r)) },
  {
    message: /^invalid(?: (read from|write to))? stack R(\d+) off=(-?\d+) size=(\d+)$/,
    explain: (scene, [, , r, off, size]) =>
      outsideStack(scene, Number(r), { min: Number(off), max: Number(off), size: Number(size) }),
  },
  {
    message:
      /^invalid variable-offset(?: (?:read from|write to))? stack R(\d+) var_off=\S+(?: \S+)? off=(-?\d+) size=(\d+)$/,
    explain: (scene, [, r, off, size]) => outsideStackVariable(scene, Number(r), Number(off), Number(size)),
  },
  {
    message: /^invalid unbounded variable-offset(?: (?:read from|write to))? stack R(\d+)$/,
    explain: (scene, [, r]) => outsideStackVariable(scene, Number(r), 0, 1),
  },
  {
    message: /^misaligned (.*?) ?access off .* size (\d+)$/,
    explain: (scene, [, what, size]) => misaligned(scene, what!, Number(size)),
  },
];

interface Access {
  /** offset of the instruction or the argument, the register's fixed part included */
  readonly off: number;
  readonly size: number;
  readonly verb: string;
}

/** What the instruction at fault accesses through `register`; helpers say the size in the line before the message. */
function accessOf(scene: Scene, register: number, reg: RegState): Access {
  const insn = scene.env.insns[scene.insnIndex]!;
  const kind = insn.opcode & 7;
  const callee = calleeName(scene.env, scene.insnIndex);
  if (callee !== null) {
    const said = scene.lines.map((line) => / size=(\d+)/.exec(line)).find((match) => match !== null);
    return { off: reg.off, size: Number(said?.[1] ?? 0), verb: `${callee}() accesses` };
  }
  const isWrite = kind !== CLASS.LDX || (register === insn.dst && register !== insn.src);
  const size = { 0: 4, 8: 2, 16: 1, 24: 8 }[insn.opcode & 0x18] ?? 0;
  return { off: insn.off + reg.off, size, verb: isWrite ? "writes" : "reads" };
}

const bytesWords = (first: bigint, last: bigint): string =>
  first === last ? `byte ${numberWords(first)}` : `bytes ${numberWords(first)} … ${numberWords(last)}`;

function outside(scene: Scene, register: number): Account | null {
  const reg = registerOf(scene, register);
  if (isPacketPointer(reg.type)) return outsidePacket(scene, register);
  if (reg.type === REG.STACK) return null;
  const memory = memoryWords(reg);
  if (memory === null) return null;
  const trail = trailOfRegister(scene, register);
  const { off, size, verb } = accessOf(scene, register, reg);
  const variable = rangeOf(reg.value);
  const first = variable.min + BigInt(off);
  const last = variable.max + BigInt(off) + BigInt(size) - 1n;
  const isBounded = variable.max < BigInt(LIMITS.variableOffset) && reg.value.smin > -BigInt(LIMITS.variableOffset);
  const index = offsetOf(scene, trail);
  const name = index === null ? null : variableOf(scene, index.trail);
  const room = `${memory.name} has ${plural(memory.bytes, "byte")}`;
  const headline = isBounded
    ? `this ${verb.startsWith("b") ? "call" : "line"} may touch ${bytesWords(first, last)}, but ${room}`
    : `${name === null ? "the offset" : quoted(name)} has no ${reg.value.smin < 0n ? "lower" : "upper"} bound here, but ${room}`;
  return {
    kind: baseType(reg.type) === REG.MAP_VALUE ? "map-value-bounds" : "memory-bounds",
    headline,
    steps: [...originSteps(scene, trail), ...offsetSteps(scene, trail), ...lostSteps(scene, index)],
    fault: isBounded
      ? `${verb} ${bytesWords(first, last)}; it has only ${bytesWords(0n, BigInt(memory.bytes) - 1n)}`
      : `${verb} ${plural(size, "byte")} at an offset that can be ${rangeWords(reg.value)}`,
    limits: [
      {
        what: "offset of the first byte",
        allowed: between(0n, BigInt(Math.max(memory.bytes - size, 0))),
        found: between(first, variable.max + BigInt(off)),
      },
    ],
  };
}

/** Where the offset seems to be checked, and is not. */
const lostSteps = (scene: Scene, offset: Offset | null): Step[] =>
  offset === null ? [] : copySteps(scene, offset.trail, offset.moved.at);

function outsidePacket(scene: Scene, register: number): Account | null {
  const reg = registerOf(scene, register);
  if (!isPacketPointer(reg.type)) return null;
  const trail = trailOfRegister(scene, register);
  const name = variableOf(scene, trail);
  const { off, size, verb } = accessOf(scene, register, reg);
  const known = Math.max(reg.range, 0);
  const isVariable = constantOf(reg.value) === null;
  const from = isVariable ? "behind the variable offset" : "of the packet";
  const steps: Step[] = [
    ...originSteps(scene, trail),
    ...offsetSteps(scene, trail),
    ...checkSteps(scene, register, reg, trail),
  ];
  const proven =
    reg.range < 0
      ? "on this path the packet is known to be too short"
      : known === 0
        ? `nothing on this path says that ${size === 1 ? "it exists" : "they exist"}: no comparison with \`data_end\` does`
        : `this path has only checked that ${known === 1 ? "the first byte exists" : `the first ${known} bytes exist`}`;
  const last = BigInt(off + size - 1);
  const accessed = `${bytesWords(BigInt(off), last)} ${from}`;
  return {
    kind: "packet-bounds",
    headline: `${accessed} ${size === 1 ? "is" : "are"} accessed${name === null ? "" : ` through ${quoted(name)}`}, but ${proven}`,
    steps,
    fault: `${verb} ${accessed}`,
    limits: [
      { what: `bytes ${from} known to exist`, allowed: between(off + size, 0xffff), found: between(known, known) },
    ],
  };
}

/** The comparison that proved what is known, or the last one with the packet's end. */
function checkSteps(scene: Scene, _register: number, reg: RegState, trail: readonly TrailEvent[]): Step[] {
  const own = trail.find(
    ({ kind, before, after }) => kind === "compared" && before !== null && before.range !== after.range,
  );
  if (own !== undefined) {
    const { range } = own.after;
    const rest = own.after.id === reg.id ? "and no more" : "but not behind a variable offset that is added later";
    const text =
      range < 0
        ? "on this path the comparison found that the packet ends before"
        : `this comparison proves that ${range === 1 ? "1 byte is" : `${range} bytes are`} there, ${rest}`;
    return [stepAt(scene, own.at, "check", text)];
  }
  const { path, env } = scene;
  for (let at = path.length - 2; at >= 0; at--) {
    const { frames, insnIndex } = path[at]!;
    const insn = env.insns[insnIndex]!;
    if ((insn.opcode & 7) !== CLASS.JMP || (insn.opcode & 8) === 0) continue;
    const registers = frames.at(-1)!.registers;
    const sides = [registers[insn.dst]!, registers[insn.src]!];
    if (!sides.some(({ type }) => type === REG.PACKET_END) || !sides.some(({ type }) => isPacketPointer(type)))
      continue;
    const pointer = isPacketPointer(sides[0]!.type) ? insn.dst : insn.src;
    const found = path[at + 1]!.frames.at(-1)!.registers[pointer];
    const isTooShort = found !== undefined && isPacketPointer(found.type) && found.range < 0;
    const text = isTooShort
      ? "on this path it found that the packet ends at this pointer or before"
      : registers[pointer]!.id === reg.id
        ? "this comparison with `data_end` proves nothing on this path"
        : "this comparison with `data_end` is about another pointer, without the variable offset of this one";
    return [stepAt(scene, at, "check", text)];
  }
  return [];
}

function outsideStack(
  scene: Scene,
  register: number,
  at: { readonly min: number; readonly max: number; readonly size: number },
): Account {
  const { min, max, size } = at;
  const reg = registerOf(scene, register);
  const isCall = calleeName(scene.env, scene.insnIndex);
  const verb = isCall === null ? accessOf(scene, register, reg).verb : `${isCall}() accesses`;
  const trail = trailOfRegister(scene, register);
  const above = max + size > 0;
  const side = above
    ? "beyond the end of the function's stack"
    : `below the ${LIMITS.stackBytes} bytes of stack that there are`;
  return {
    kind: "stack-bounds",
    headline: `this ${isCall === null ? "line" : "call"} may access ${size === 1 ? "a byte" : `${size} bytes`} ${side}`,
    steps: [...offsetSteps(scene, trail), ...lostSteps(scene, offsetOf(scene, trail))],
    fault: `${verb} ${plural(size, "byte")} at an offset of ${min === max ? min : `${min} … ${max}`} from the end of the stack`,
    limits: [
      {
        what: "offset from the end of the stack",
        allowed: between(-LIMITS.stackBytes, -size),
        found: between(min, max),
      },
    ],
  };
}

function outsideStackVariable(scene: Scene, register: number, off: number, size: number): Account {
  const reg = registerOf(scene, register);
  const { smin, smax } = reg.value;
  const isBounded = smin > -BigInt(LIMITS.variableOffset) && smax < BigInt(LIMITS.variableOffset);
  if (isBounded) {
    return outsideStack(scene, register, { min: Number(smin) + off, max: Number(smax) + off, size });
  }
  const trail = trailOfRegister(scene, register);
  const index = offsetOf(scene, trail);
  const name = index === null ? null : variableOf(scene, index.trail);
  return {
    kind: "stack-bounds",
    headline: `${name === null ? "the index" : quoted(name)} into an array on the stack has no bound: it can be ${rangeWords(reg.value)}`,
    steps: [...offsetSteps(scene, trail), ...lostSteps(scene, index)],
    fault: "the stack is accessed at an offset that is not bounded",
    limits: [
      {
        what: "offset from the end of the stack",
        allowed: between(-LIMITS.stackBytes, -size),
        found: between(smin, smax),
      },
    ],
  };
}

function misaligned(scene: Scene, what: string, size: number): Account {
  const insn = scene.env.insns[scene.insnIndex]!;
  const register = (insn.opcode & 7) === CLASS.LDX ? insn.src : insn.dst;
  const reg = registerOf(scene, register);
  return {
    kind: "misaligned-access",
    headline: `${plural(size, "byte")} are accessed at an address that is not a multiple of ${size}`,
    steps: offsetSteps(scene, trailOfRegister(scene, register)),
    fault: `${plural(size, "byte")} at offset ${reg.off + insn.off}${constantOf(reg.value) === 0n ? "" : " and a variable part"} ${what === "" ? `through ${holdsWords(reg)}` : `in the ${what}`}`,
    limits: [{ what: "offset", allowed: [`multiples of ${size}`], found: [String(reg.off + insn.off)] }],
  };
}
