/** Statements that call: helpers, callbacks, subprograms. */
import { ALU, CLASS, MODE, SIZE } from "../../spec/isa.ts";
import { ARRAY, CONSTANT, HASH, MAPS, PERCPU, PERF, PROGRAMS, RING } from "./maps.ts";
import { key, leave } from "./memories.ts";
import { boundedScalar, immediate, scalar } from "./scalars.ts";
import { NOTHING, SCALAR, type Writer } from "./writer.ts";

const HELPER = {
  update: 2,
  delete: 3,
  probeRead: 4,
  ktime: 5,
  printk: 6,
  cpu: 8,
  tailCall: 12,
  pidTgid: 14,
  comm: 16,
  perfOutput: 25,
  probeReadKernel: 113,
  ringOutput: 130,
  ringQuery: 134,
  forEach: 164,
  snprintf: 165,
  loop: 181,
  strncmp: 182,
} as const;

/** Stack memory of some length, initialised but by mistake; the pointer goes to `register`. Returns its length. */
function buffer(w: Writer, register: number, isWritten: boolean): number {
  const words = w.random.between(1, 3);
  const base = -8 * (words + w.random.below(2));
  const bytes = words * 8 - (w.random.oneIn(3) ? w.random.below(7) : 0);
  if (isWritten && !w.errs()) {
    for (let i = 0; i < words; i++) w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, base + 8 * i, immediate(w));
  }
  for (let i = 0; i < words; i++) w.slots.set(base + 8 * i, SCALAR);
  w.stackPointer(register, base);
  return w.errs() ? bytes + 520 : bytes;
}

/** A constant length, or one that is only bounded. The pointer beside it must survive, so no call may come between. */
function length(w: Writer, register: number, bytes: number): void {
  const held = w.holding("scalar").filter((other) => other >= 7);
  if (held.length === 0 || w.random.oneIn(2)) {
    w.moveImm(register, w.errs() ? -1 : bytes);
    return;
  }
  w.move(register, w.random.pick(held));
  w.emit(CLASS.ALU64 | ALU.AND, register, 0, 0, 2 ** Math.floor(Math.log2(bytes + 1)) - 1);
  if (!w.errs()) w.addImm(register, bytes > 1 && w.random.oneIn(2) ? 1 : 0);
}

export function update(w: Writer): void {
  const map = w.random.pick([ARRAY, HASH, PERCPU]);
  key(w, map);
  const slots = MAPS[map]!.valueSize / 8;
  const base = -8 * (slots + 4);
  for (let i = 0; i < slots; i++) w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, base + 8 * i, i);
  w.stackPointer(3, w.errs() ? -8 : base);
  w.mapPointer(1, map);
  w.moveImm(4, w.random.below(3));
  w.helper(w.random.oneIn(4) && map === HASH ? HELPER.delete : HELPER.update, SCALAR);
}

export function simple(w: Writer): void {
  const { random } = w;
  const isTracing = w.type === "tracepoint" || w.type === "raw_tracepoint";
  const choices: (() => void)[] = [
    () => w.helper(HELPER.ktime, SCALAR),
    () => w.helper(HELPER.cpu, SCALAR),
    () => printk(w),
  ];
  if (isTracing || w.errs())
    choices.push(
      () => w.helper(HELPER.pidTgid, SCALAR),
      () => comm(w),
      () => probeRead(w),
    );
  choices.push(
    () => ringOutput(w),
    () => perfOutput(w),
    () => strncmp(w),
    () => snprintf(w),
    () => ringQuery(w),
  );
  random.pick(choices)();
}

function printk(w: Writer): void {
  if (w.random.oneIn(2)) {
    w.mapValuePointer(1, CONSTANT, 0);
    w.moveImm(2, 11);
  } else {
    const bytes = buffer(w, 1, true);
    w.moveImm(2, bytes);
  }
  w.moveImm(3, 1);
  w.moveImm(4, 2);
  w.moveImm(5, 3);
  w.helper(HELPER.printk, SCALAR);
}

function comm(w: Writer): void {
  const bytes = buffer(w, 1, false);
  length(w, 2, bytes);
  w.helper(HELPER.comm, SCALAR);
}

function probeRead(w: Writer): void {
  const source = scalar(w);
  if (source >= 1 && source <= 2) w.move(3, source);
  const bytes = buffer(w, 1, false);
  length(w, 2, bytes);
  if (source === 0 || source >= 3) w.move(3, source);
  w.helper(w.random.pick([HELPER.probeRead, HELPER.probeReadKernel]), SCALAR);
}

function ringOutput(w: Writer): void {
  const bytes = buffer(w, 2, true);
  length(w, 3, bytes);
  w.mapPointer(1, w.errs() ? PERF : RING);
  w.moveImm(4, 0);
  w.helper(HELPER.ringOutput, SCALAR);
}
function ringQuery(w: Writer): void {
  w.mapPointer(1, RING);
  w.moveImm(2, w.random.below(4));
  w.helper(HELPER.ringQuery, SCALAR);
}

function perfOutput(w: Writer): void {
  if (w.registers[6]!.is !== "ctx") return;
  const bytes = buffer(w, 4, true);
  length(w, 5, bytes);
  w.move(1, w.errs() ? 10 : 6);
  w.mapPointer(2, w.errs() ? RING : PERF);
  w.wide(3, 0, -1, 0);
  w.registers[3] = SCALAR;
  w.helper(HELPER.perfOutput, SCALAR);
}

function strncmp(w: Writer): void {
  const bytes = buffer(w, 1, true);
  length(w, 2, bytes);
  w.mapValuePointer(3, CONSTANT, w.errs() ? 20 : 0);
  w.helper(HELPER.strncmp, SCALAR);
}

function snprintf(w: Writer): void {
  const bytes = buffer(w, 1, false);
  w.moveImm(2, bytes);
  w.mapValuePointer(3, CONSTANT, w.errs() ? 4 : 0);
  const offset = -64;
  w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, offset, 5);
  w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, offset + 8, 6);
  w.stackPointer(4, offset);
  w.moveImm(5, w.errs() ? 8 : 16);
  w.helper(HELPER.snprintf, SCALAR);
}

export function tailCall(w: Writer): void {
  if (w.registers[6]!.is !== "ctx" || (w.callDepth > 0 && !w.errs())) {
    simple(w);
    return;
  }
  w.move(1, 6);
  w.mapPointer(2, w.errs() ? ARRAY : PROGRAMS);
  if (w.random.oneIn(2)) w.moveImm(3, w.random.below(6));
  else {
    const index = scalar(w);
    if (index <= 5) return;
    w.move(3, index);
  }
  w.helper(HELPER.tailCall, NOTHING);
}

/** A callback: its context is a piece of our stack. */
export function callback(w: Writer, block: () => void): void {
  const { random } = w;
  if (w.callDepth > 1) {
    simple(w);
    return;
  }
  const context = -8 * random.between(1, 4);
  w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, context, 0);
  w.slots.set(context, SCALAR);
  const isForEach = random.oneIn(2);
  const map = random.pick([ARRAY, HASH]);
  const bytes = MAPS[map]!.valueSize;
  const body = w.declare("static", () =>
    writeFunction(w, block, {
      depth: 2,
      // bpf_loop: index, context; bpf_for_each_map_elem: map, key, value, context.
      registers: isForEach
        ? { 1: { is: "mapPointer" }, 3: { is: "mapValue", map, orNull: false, bytes } }
        : { 1: { is: "scalar", max: null } },
      result: "callback",
    }),
  );
  const bound = isForEach ? -1 : random.oneIn(2) ? boundedScalar(w, 20) : -1;
  if (isForEach) w.mapPointer(1, map);
  else if (bound >= 0) w.move(1, bound);
  else w.moveImm(1, random.between(0, 12));
  w.functionPointer(2, body);
  if (random.oneIn(4)) w.moveImm(3, 0);
  else w.stackPointer(3, context);
  w.moveImm(4, w.errs() ? 1 : 0);
  w.helper(isForEach ? HELPER.forEach : HELPER.loop, SCALAR);
}

/** A function of ours: numbers in, a number out. */
export function subprogram(w: Writer, block: () => void): void {
  const { random } = w;
  if (w.callDepth > 1) {
    simple(w);
    return;
  }
  const isGlobal = random.oneIn(4);
  const isContext = !isGlobal && w.registers[6]!.is === "ctx" && random.oneIn(2);
  const pointers = isGlobal
    ? []
    : [...w.holding("mapValue"), ...w.holding("packet")].filter((register) => register >= 6);
  const passed = pointers.length > 0 && random.oneIn(2) ? random.pick(pointers) : -1;
  const belief = passed >= 0 ? w.registers[passed]! : SCALAR;
  const body = w.declare(isGlobal ? "global" : "static", () =>
    writeFunction(w, block, {
      depth: 1 + w.callDepth,
      registers: isGlobal
        ? { 1: SCALAR, 2: SCALAR, 3: SCALAR, 4: SCALAR, 5: SCALAR }
        : { 1: isContext ? { is: "ctx" } : SCALAR, 2: belief, 3: SCALAR },
      result: "any",
    }),
  );
  for (let register = isGlobal ? 5 : 3; register >= 1; register--) w.moveImm(register, immediate(w));
  if (passed >= 0) w.move(2, passed);
  if (isContext) w.move(1, 6);
  w.call(body);
  if (random.oneIn(3)) w.call(body);
}

interface FunctionStart {
  readonly depth: number;
  readonly registers: Parameters<Writer["begin"]>[0];
  readonly result: Writer["result"];
}

function writeFunction(w: Writer, block: () => void, start: FunctionStart): void {
  w.begin(start.registers);
  w.callDepth = start.depth;
  w.loopDepth = 0;
  w.stackBytes = w.errs() ? 512 : w.random.pick([64, 96, 96, 256]);
  w.result = start.result;
  if (start.registers[1]?.is === "ctx") w.move(6, 1);
  block();
  leave(w);
}
