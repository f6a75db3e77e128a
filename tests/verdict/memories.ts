/** Statements on memory: values of maps, ring records, packets, the ctx. */
import { ALU, ATOMIC, CLASS, JMP, MODE, SIZE, SIZE_BYTES, SRC } from "../../spec/isa.ts";
import { MAPS, RING } from "./maps.ts";
import { anyRegister, boundedScalar, immediate, SIZES, scalar } from "./scalars.ts";
import { NOTHING, SCALAR, type Writer } from "./writer.ts";

const LOOKUP = 1;
const RESERVE = 131;
const SUBMIT = 132;
const DISCARD = 133;

/** A key on the stack, its address in r2. */
export function key(w: Writer, map: number): void {
  const { keySize } = MAPS[map]!;
  const offset = -8 * w.random.between(1, 4);
  if (w.random.oneIn(3)) w.emit(CLASS.STX | MODE.MEM | SIZE.DW, 10, scalar(w), offset);
  else if (keySize === 8 || w.random.oneIn(2)) w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, offset, w.random.below(6));
  else w.emit(CLASS.ST | MODE.MEM | SIZE.W, 10, 0, offset, w.random.below(6));
  w.slots.set(offset, SCALAR);
  w.stackPointer(2, w.errs() ? offset + 4 : offset);
}

/** Looks an element up; the result goes to a kept register or stays in r0. Mostly checked against null at once. */
export function lookup(w: Writer, maps: readonly number[]): void {
  const { random } = w;
  const map = random.pick(maps);
  key(w, map);
  w.mapPointer(1, map);
  const bytes = MAPS[map]!.valueSize;
  w.helper(LOOKUP, { is: "mapValue", map, orNull: true, bytes });
  keepAndCheck(w);
}

/** Moves r0, a pointer or null, to where it lasts, and checks it. */
function keepAndCheck(w: Writer): void {
  const { random } = w;
  const result = w.registers[0]!;
  let register = 0;
  if (random.oneIn(2)) {
    register = random.between(7, 9);
    w.move(register, 0);
  }
  if (w.errs()) return;
  const present = w.label();
  if (random.oneIn(3)) {
    // if (pointer) …, the other way round: leave, or give up what is held by nobody.
    const absent = w.label();
    w.jumpIf(CLASS.JMP | JMP.JEQ, register, { imm: 0 }, absent);
    markPresent(w, register, result);
    if (result.is === "mapValue") access(w);
    else release(w);
    w.place(absent);
    w.registers[register] = NOTHING;
    w.registers[0] = NOTHING;
    return;
  }
  w.jumpIf(CLASS.JMP | JMP.JNE, register, { imm: 0 }, present);
  leave(w);
  w.place(present);
  markPresent(w, register, result);
}

function markPresent(w: Writer, register: number, belief: Writer["registers"][number]): void {
  if (belief.is !== "mapValue" && belief.is !== "record") return;
  w.registers[register] = { ...belief, orNull: false };
  w.registers[0] = w.registers[register]!;
}

/** Returns from the function. */
export function leave(w: Writer): void {
  const before = w.snapshot();
  for (const register of w.holding("record")) if (!w.errs()) releaseRegister(w, register);
  for (const close of w.open.toReversed()) if (!w.errs()) close();
  w.moveImm(0, w.result === "callback" && !w.errs() ? w.random.below(2) : w.random.between(0, 2));
  w.exit();
  w.restore(before);
}

/** Reads or writes through a pointer that the writer believes to be good. */
export function access(w: Writer): void {
  const { random } = w;
  const pointers = [...w.holding("mapValue"), ...w.holding("record")].filter((register) => {
    const belief = w.registers[register]!;
    return (belief.is === "mapValue" || belief.is === "record") && (!belief.orNull || w.errs());
  });
  if (pointers.length === 0) return;
  const register = random.pick(pointers);
  const belief = w.registers[register]!;
  if (belief.is !== "mapValue" && belief.is !== "record") return;
  const isReadOnly = belief.is === "mapValue" && (MAPS[belief.map]!.flags & 128) !== 0;
  touch(w, register, belief.bytes, isReadOnly && !w.errs());
}

/** One access of `bytes` of memory at a pointer: fixed or variable offset, any size, atomics. */
function touch(w: Writer, register: number, bytes: number, isReadOnly: boolean): void {
  const { random } = w;
  const size = random.pick(SIZES);
  const width = SIZE_BYTES[size]!;
  let pointer = register;
  let offset = width * random.below(Math.max(1, Math.floor(bytes / width)));
  if (w.errs()) offset = random.pick([bytes, -1, bytes - width + 1, -8]);
  if (random.oneIn(3) && bytes > width) {
    const index = boundedScalar(w, bytes - width);
    if (index === register) return;
    pointer = [1, 2, 3, 4, 5].find((free) => free !== index && free !== register)!;
    w.move(pointer, register);
    w.emit(CLASS.ALU64 | (w.errs() ? ALU.SUB : ALU.ADD) | SRC.X, pointer, index);
    // What it points to from here on is not for other statements.
    w.registers[pointer] = NOTHING;
    offset = 0;
  }
  if (isReadOnly || random.oneIn(2)) readMemory(w, pointer, offset, size);
  else writeMemory(w, pointer, offset, size);
}

function readMemory(w: Writer, pointer: number, offset: number, size: number): void {
  const dst = anyRegister(w);
  const isSigned = size !== SIZE.DW && w.random.oneIn(5);
  w.emit(CLASS.LDX | (isSigned ? MODE.MEMSX : MODE.MEM) | size, dst, pointer, offset);
  if (dst !== 10) w.registers[dst] = { is: "scalar", max: isSigned ? null : 2 ** (8 * SIZE_BYTES[size]!) - 1 };
}

const ATOMICS = [
  ...[ATOMIC.ADD, ATOMIC.OR, ATOMIC.AND, ATOMIC.XOR, ATOMIC.ADD | ATOMIC.FETCH, ATOMIC.XOR | ATOMIC.FETCH],
  ...[ATOMIC.XCHG, ATOMIC.CMPXCHG],
];

function writeMemory(w: Writer, pointer: number, offset: number, size: number): void {
  const { random } = w;
  if ((size === SIZE.W || size === SIZE.DW) && random.oneIn(3)) {
    atomic(w, pointer, offset, size);
    return;
  }
  if (random.oneIn(3)) {
    w.emit(CLASS.ST | MODE.MEM | size, pointer, 0, offset, immediate(w));
    return;
  }
  const src = scalar(w);
  // The number may have come from a call, which takes temporary registers with it.
  if (pointer < 6 && w.registers[pointer]!.is === "nothing" && src === 0) return;
  w.emit(CLASS.STX | MODE.MEM | size, pointer, src, offset);
}

function atomic(w: Writer, pointer: number, offset: number, size: number): void {
  const { random } = w;
  const held = w.holding("scalar");
  if (held.length === 0) return;
  const src = random.pick(held);
  const operation = random.pick(ATOMICS);
  if (operation === ATOMIC.CMPXCHG) {
    if (pointer === 0) return;
    w.moveImm(0, 0);
  }
  w.emit(CLASS.STX | MODE.ATOMIC | size, pointer, src, offset, operation);
  if (operation & ATOMIC.FETCH && operation !== ATOMIC.CMPXCHG) w.registers[src] = SCALAR;
}

/** A pointer into a data map. */
export function global(w: Writer, maps: readonly number[]): void {
  const map = w.random.pick(maps);
  const register = w.random.oneIn(2) ? w.random.between(7, 9) : w.random.between(1, 5);
  const { valueSize } = MAPS[map]!;
  w.mapValuePointer(register, map, w.errs() ? valueSize : w.random.oneIn(2) ? 0 : 4 * w.random.below(valueSize / 4));
  access(w);
}

/** What programs do with pointers other than reading through them; some of it is not allowed. */
export function movePointer(w: Writer): void {
  const { random } = w;
  const held = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter(
    (register) => !["nothing", "scalar"].includes(w.registers[register]!.is),
  );
  if (held.length === 0) return;
  const register = random.pick(held);
  const spare = random.below(6);
  if (spare === register) return;
  w.emit(CLASS.ALU64 | ALU.MOV | SRC.X, spare, register);
  w.registers[spare] = NOTHING;
  switch (random.below(7)) {
    case 0:
      w.addImm(spare, random.pick([8, -8, 1, 4096]));
      w.emit(CLASS.LDX | MODE.MEM | random.pick(SIZES), spare, spare, random.pick([0, -8, 8]));
      break;
    case 1:
      w.emit(CLASS.ALU64 | ALU.SUB | SRC.X, spare, random.pick(held));
      break;
    case 2:
      w.emit(
        (w.errs() ? CLASS.ALU : CLASS.ALU64) | random.pick([ALU.ADD, ALU.SUB, ALU.AND]),
        spare,
        0,
        0,
        immediate(w),
      );
      break;
    case 3:
      w.emit(CLASS.ALU | ALU.MOV | SRC.X, spare, register);
      w.registers[spare] = { is: "scalar", max: 0xffff_ffff };
      break;
    case 4:
      comparePointers(w, spare, random.pick(held));
      break;
    case 5: {
      const slot = -8 * random.between(1, 8);
      w.emit(CLASS.STX | MODE.MEM | SIZE.DW, 10, register, slot);
      w.emit(CLASS.LDX | MODE.MEM | SIZE.DW, spare, 10, slot);
      w.slots.set(slot, w.registers[register]!);
      w.registers[spare] = w.registers[register]!;
      break;
    }
    default:
      w.emit(CLASS.ALU64 | ALU.ADD | SRC.X, spare, boundedScalar(w, 7));
  }
}

function comparePointers(w: Writer, left: number, right: number): void {
  const next = w.label();
  const op = w.random.pick([JMP.JEQ, JMP.JNE, JMP.JGT, JMP.JLE]);
  if (w.random.oneIn(2)) w.jumpIf(CLASS.JMP | op | SRC.X, left, { src: right }, next);
  else w.jumpIf(CLASS.JMP | op, left, { imm: 0 }, next);
  contextField(w);
  w.place(next);
}

export function reserve(w: Writer): void {
  const bytes = w.random.pick([8, 16, 24, 40]);
  w.mapPointer(1, RING);
  w.moveImm(2, bytes);
  w.moveImm(3, 0);
  w.helper(RESERVE, { is: "record", bytes, orNull: true });
  const register = w.random.between(7, 9);
  w.move(register, 0);
  w.registers[0] = NOTHING;
  const present = w.label();
  w.jumpIf(CLASS.JMP | JMP.JNE, register, { imm: 0 }, present);
  w.registers[register] = NOTHING;
  leave(w);
  w.place(present);
  w.registers[register] = { is: "record", bytes, orNull: w.errs() };
  for (let times = w.random.below(3); times > 0; times--) access(w);
  if (!w.errs()) release(w);
}

export function release(w: Writer): void {
  const records = w.holding("record");
  if (records.length > 0) releaseRegister(w, w.random.pick(records));
}

function releaseRegister(w: Writer, register: number): void {
  w.move(1, register);
  if (w.errs()) w.addImm(1, 8);
  w.moveImm(2, 0);
  w.helper(w.random.oneIn(2) ? SUBMIT : DISCARD, NOTHING);
  w.registers.forEach((belief, other) => {
    if (belief.is === "record") w.registers[other] = NOTHING;
  });
}

const PACKET_FIELDS: Readonly<Record<string, readonly [data: number, end: number]>> = {
  xdp: [0, 4],
  sched_cls: [76, 80],
  sched_act: [76, 80],
  cgroup_skb: [76, 80],
  lwt_xmit: [76, 80],
  sk_skb: [76, 80],
};

/** Takes the packet's ends from the ctx and compares. */
export function packet(w: Writer): void {
  const fields = PACKET_FIELDS[w.type];
  if (fields === undefined || w.callDepth > 0) {
    contextField(w);
    return;
  }
  const { random } = w;
  const bytes = random.pick([1, 4, 8, 14, 34]);
  const [data, end, past] = random.oneIn(2) ? [7, 8, 1] : [2, 3, 4];
  w.emit(CLASS.LDX | MODE.MEM | SIZE.W, data!, 6, fields[0]);
  w.emit(CLASS.LDX | MODE.MEM | SIZE.W, end!, 6, fields[1]);
  w.registers[end!] = { is: "packetEnd" };
  w.move(past!, data!);
  w.registers[data!] = { is: "packet", range: 0 };
  if (random.oneIn(4)) variableHeader(w, data!, past!);
  w.addImm(past!, bytes);
  const fits = w.label();
  const [left, right, op] = random.oneIn(2)
    ? [past!, end!, random.pick([JMP.JLE, JMP.JLT])]
    : [end!, past!, random.pick([JMP.JGE, JMP.JGT])];
  w.registers[past!] = NOTHING;
  w.jumpIf(CLASS.JMP | op | SRC.X, left, { src: right }, fits);
  leave(w);
  w.place(fits);
  w.registers[data!] = { is: "packet", range: w.errs() ? bytes + 8 : bytes };
  for (let times = random.below(3); times >= 0; times--) accessPacket(w);
}

/** Moves both pointers behind a header of variable length. */
function variableHeader(w: Writer, data: number, past: number): void {
  const length = 5;
  w.emit(CLASS.LDX | MODE.MEM | SIZE.W, length, 6, w.type === "xdp" ? 12 : 0);
  w.emit(CLASS.ALU64 | ALU.AND, length, 0, 0, w.random.pick([0x3c, 0xff, 0xfffc]));
  w.emit(CLASS.ALU64 | ALU.ADD | SRC.X, data, length);
  w.move(past, data);
  w.registers[length] = SCALAR;
}

export function accessPacket(w: Writer): void {
  const pointers = w.holding("packet").filter((register) => {
    const belief = w.registers[register]!;
    return belief.is === "packet" && belief.range > 0;
  });
  if (pointers.length === 0) return;
  const register = w.random.pick(pointers);
  const belief = w.registers[register]!;
  if (belief.is === "packet") touch(w, register, belief.range, false);
}

const SKB_FIELDS: readonly (readonly [offset: number, size: number])[] = [
  [0, SIZE.W],
  [16, SIZE.W],
  [48, SIZE.DW],
  [36, SIZE.W],
];
const CONTEXT_FIELDS: Readonly<Record<string, readonly (readonly [offset: number, size: number])[]>> = {
  sched_act: SKB_FIELDS,
  cgroup_skb: SKB_FIELDS,
  lwt_xmit: SKB_FIELDS,
  sk_skb: [
    [0, SIZE.W],
    [16, SIZE.W],
    [36, SIZE.W],
  ],
  kprobe: [
    [112, SIZE.DW],
    [80, SIZE.DW],
    [0, SIZE.DW],
  ],
  perf_event: [
    [128, SIZE.DW],
    [168, SIZE.DW],
    [176, SIZE.DW],
  ],
  raw_tracepoint_writable: [
    [8, SIZE.DW],
    [16, SIZE.DW],
  ],
  xdp: [
    [12, SIZE.W],
    [16, SIZE.W],
    [8, SIZE.W],
  ],
  sched_cls: [
    [0, SIZE.W],
    [16, SIZE.H],
    [48, SIZE.DW],
    [8, SIZE.W],
    [152, SIZE.DW],
    [0, SIZE.B],
  ],
  socket_filter: [
    [0, SIZE.W],
    [16, SIZE.W],
    [48, SIZE.DW],
    [52, SIZE.H],
    [36, SIZE.W],
    [4, SIZE.B],
  ],
  tracepoint: [
    [8, SIZE.DW],
    [16, SIZE.W],
    [24, SIZE.B],
    [2040, SIZE.DW],
    [12, SIZE.W],
  ],
  raw_tracepoint: [
    [0, SIZE.DW],
    [8, SIZE.DW],
    [88, SIZE.DW],
  ],
};

export function contextField(w: Writer): void {
  const { random } = w;
  if (w.registers[6]!.is !== "ctx") return;
  const [offset, size] = random.pick(CONTEXT_FIELDS[w.type]!);
  const isWrite = (w.type === "sched_cls" || w.type === "socket_filter" || w.errs()) && random.oneIn(3);
  const at = w.errs() ? random.pick([4 * random.below(50), offset + 2, random.below(3000)]) : isWrite ? 48 : offset;
  if (isWrite) {
    if (random.oneIn(3)) w.emit(CLASS.ST | MODE.MEM | SIZE.W, 6, 0, at, immediate(w));
    else w.emit(CLASS.STX | MODE.MEM | SIZE.W, 6, scalar(w), at);
    return;
  }
  const dst = anyRegister(w);
  w.emit(CLASS.LDX | MODE.MEM | size, dst, 6, at);
  if (dst !== 10) w.registers[dst] = { is: "scalar", max: 2 ** (8 * SIZE_BYTES[size]!) - 1 };
}

/** LD_ABS and LD_IND: the packet without pointers; leaves on failure. */
export function legacyLoad(w: Writer): void {
  if ((w.type !== "socket_filter" && w.type !== "sched_cls" && !w.errs()) || w.callDepth > 0) {
    contextField(w);
    return;
  }
  const { random } = w;
  const size = random.pick([SIZE.B, SIZE.H, SIZE.W]);
  if (random.oneIn(3)) w.emit(CLASS.LD | MODE.IND | size, 0, scalar(w), 0, random.below(64));
  else w.emit(CLASS.LD | MODE.ABS | size, 0, 0, 0, random.below(64));
  w.clobber({ is: "scalar", max: null });
}
