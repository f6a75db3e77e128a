/** Statements that call any helper of the table with what its arguments ask for, sockets, dynptrs, maps of maps. */
import { HELPERS, type NamedHelper } from "../../spec/helpers.ts";
import { ALU, CLASS, JMP, MODE, SIZE, SRC } from "../../spec/isa.ts";
import { CONSTANT, GLOBALS, MAPS, mapNamed, RING } from "./maps.ts";
import { leave } from "./memories.ts";
import { scalar } from "./scalars.ts";
import { NOTHING, SCALAR, type Writer } from "./writer.ts";

type Arg = NamedHelper["args"][number];

/** Maps by the helpers that want one of a kind. */
const WANTED: readonly (readonly [names: RegExp, map: string])[] = [
  [/perf_event|skb_output|xdp_output/, "perf"],
  [/ringbuf_/, "ring"],
  [/get_stackid/, "traces"],
  [/under_cgroup/, "cgroups"],
  [/bpf_redirect_map/, "devices"],
  [/sk_redirect_map|msg_redirect_map|sock_map_update|map_delete_elem/, "sockets"],
  [/_hash$|hash_update/, "socket_hash"],
  [/map_(push|pop|peek)/, "queue"],
  [/percpu_elem/, "percpu"],
  [/sk_storage/, "storage"],
];
const wantedMap = (w: Writer, { name }: NamedHelper): number =>
  w.errs() ? w.random.below(MAPS.length) : mapNamed(WANTED.find(([names]) => names.test(name))?.[1] ?? "hash");

const MAKEABLE: readonly Arg["is"][] = [
  ...(["anything", "scalar", "ctx", "constMapPtr", "mapKey", "mapValue", "mem"] as const),
  ...(["constSize", "constSizeOrZero", "constStr"] as const),
];
/** Called by statements of their own, or with too much around them. */
const OTHERS =
  /tail_call|ringbuf_reserve|override_return|probe_write_user|send_signal|spin_|timer_|dynptr|for_each|bpf_loop|task_btf|get_func_ip/;

function callable(w: Writer): NamedHelper[] {
  return HELPERS.filter(
    ({ name, args, audience, sleepable }) =>
      !OTHERS.test(name) &&
      !sleepable &&
      args.every((arg) => MAKEABLE.includes(arg.is)) &&
      (audience === "all" || audience.includes(w.type)),
  );
}

const BUFFER = -64;

/** A call of any helper; now and then one of its arguments is something else. */
export function anyHelper(w: Writer): void {
  const { random } = w;
  const helper = random.pick(callable(w));
  if (w.registers[6]!.is !== "ctx" && helper.args.some(({ is }) => is === "ctx")) return;
  const held = w.holding("scalar").filter((register) => register >= 7);
  for (let offset = BUFFER; offset < 0; offset += 8)
    w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, offset, random.below(4));
  for (let offset = BUFFER; offset < 0; offset += 8) w.slots.set(offset, SCALAR);
  helper.args.forEach((arg, index) => {
    if (w.errs()) substitute(w, index + 1);
    else argument(w, helper, arg, index + 1, held);
  });
  w.helper(helper.id, helper.ret === "void" ? NOTHING : SCALAR);
  if (!["int", "u32", "u64"].includes(helper.ret)) w.registers[0] = NOTHING;
}

function argument(w: Writer, helper: NamedHelper, arg: Arg, register: number, held: readonly number[]): void {
  const { random } = w;
  switch (arg.is) {
    case "ctx":
      w.move(register, 6);
      return;
    case "constMapPtr":
      w.mapPointer(register, wantedMap(w, helper));
      return;
    case "mapKey":
    case "mapValue":
      w.stackPointer(register, BUFFER + 8 * random.below(2));
      return;
    case "mem":
      if (random.oneIn(4)) w.mapValuePointer(register, GLOBALS, 0);
      else w.stackPointer(register, BUFFER);
      return;
    case "constStr":
      w.mapValuePointer(register, CONSTANT, 0);
      return;
    case "constSize":
    case "constSizeOrZero":
      if (held.length > 0 && random.oneIn(3)) {
        w.move(register, random.pick(held));
        w.emit(CLASS.ALU64 | ALU.AND, register, 0, 0, 31);
        w.addImm(register, arg.is === "constSize" ? 1 : 0);
      } else w.moveImm(register, random.pick([8, 16, 32, 64, 4]));
      return;
    default:
      if (held.length > 0 && random.oneIn(3)) w.move(register, random.pick(held));
      else w.moveImm(register, random.below(3));
  }
}

/** Something that may be wrong there. */
function substitute(w: Writer, register: number): void {
  const { random } = w;
  switch (random.below(7)) {
    case 0:
      w.moveImm(register, random.pick([0, 8, -1]));
      return;
    case 1:
      w.stackPointer(register, random.pick([-8, -512, 0]));
      return;
    case 2:
      w.move(register, 6);
      return;
    case 3:
      w.mapPointer(register, random.below(MAPS.length));
      return;
    case 4:
      w.mapValuePointer(register, GLOBALS, 32);
      return;
    case 5:
      w.move(register, random.pick([7, 8, 9]));
      return;
    default:
  }
}

const FULL_SOCKET = 95;
const TCP_SOCKET = 96;
const LOOKUP_TCP = 84;
const LOOKUP_UDP = 85;
const RELEASE = 86;

/** A socket of the context, or one that is looked up and given back. */
export function socket(w: Writer): void {
  if (w.registers[6]!.is !== "ctx" || !["sched_cls", "sched_act", "cgroup_skb", "xdp"].includes(w.type)) {
    anyHelper(w);
    return;
  }
  if (w.type === "xdp" || w.random.oneIn(2)) lookedUp(w);
  else ofContext(w);
}

const skipIfNull = (w: Writer, register: number): number => {
  const label = w.label();
  if (!w.errs()) w.jumpIf(CLASS.JMP | JMP.JEQ, register, { imm: 0 }, label);
  return label;
};
const readField = (w: Writer, from: number): void => {
  const { random } = w;
  const offset = w.errs() ? random.pick([0, 8, 400, 13, -4]) : 4;
  w.emit(CLASS.LDX | MODE.MEM | (w.errs() ? random.pick([SIZE.B, SIZE.H, SIZE.DW]) : SIZE.W), 3, from, offset);
};

function ofContext(w: Writer): void {
  w.emit(CLASS.LDX | MODE.MEM | SIZE.DW, 1, 6, 168);
  const absent = skipIfNull(w, 1);
  readField(w, 1);
  if (w.random.oneIn(2)) {
    w.helper(w.random.pick([FULL_SOCKET, TCP_SOCKET]), NOTHING);
    const none = skipIfNull(w, 0);
    readField(w, 0);
    w.place(none);
  }
  w.place(absent);
  w.clobber(NOTHING);
}

function lookedUp(w: Writer): void {
  const { random } = w;
  for (const offset of [-16, -8]) w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, offset, 0);
  for (const offset of [-16, -8]) w.slots.set(offset, SCALAR);
  w.move(1, 6);
  w.stackPointer(2, -16);
  w.moveImm(3, w.errs() ? 40 : 12);
  w.moveImm(4, -1);
  w.moveImm(5, 0);
  w.helper(random.pick([LOOKUP_TCP, LOOKUP_UDP]), NOTHING);
  const absent = skipIfNull(w, 0);
  const kept = random.between(7, 9);
  w.move(kept, 0);
  readField(w, kept);
  w.move(1, kept);
  if (random.oneIn(3)) {
    w.helper(FULL_SOCKET, NOTHING);
    const none = skipIfNull(w, 0);
    readField(w, 0);
    w.place(none);
    w.move(1, kept);
  }
  if (!w.errs()) w.helper(RELEASE, NOTHING);
  w.place(absent);
  w.registers[kept] = NOTHING;
  w.clobber(NOTHING);
}

const DYNPTR = { fromMemory: 197, reserve: 198, submit: 199, discard: 200, read: 201, write: 202, data: 203 } as const;
const SLOTS = -96;

/** A dynptr on the stack: made, read or written, looked into, given back. */
export function dynptr(w: Writer): void {
  const { random } = w;
  if (w.callDepth > 0) {
    anyHelper(w);
    return;
  }
  const at = w.errs() ? SLOTS + 8 : SLOTS;
  const isRecord = random.oneIn(2);
  if (isRecord) w.mapPointer(1, RING);
  else w.mapValuePointer(1, GLOBALS, 0);
  w.moveImm(2, w.errs() ? 65 : 32);
  w.moveImm(3, 0);
  w.stackPointer(4, SLOTS);
  w.helper(isRecord ? DYNPTR.reserve : DYNPTR.fromMemory, SCALAR);
  w.slots.delete(SLOTS);
  w.slots.delete(SLOTS + 8);
  for (let times = random.below(3); times > 0; times--) useDynptr(w, at);
  if (isRecord && !w.errs()) {
    w.stackPointer(1, at);
    w.moveImm(2, 0);
    w.helper(random.oneIn(2) ? DYNPTR.submit : DYNPTR.discard, NOTHING);
  }
}

function useDynptr(w: Writer, at: number): void {
  const { random } = w;
  w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, -8, 1);
  w.slots.set(-8, SCALAR);
  switch (random.below(3)) {
    case 0:
      w.stackPointer(1, -8);
      w.moveImm(2, 8);
      w.stackPointer(3, at);
      w.moveImm(4, random.below(4));
      w.moveImm(5, 0);
      w.helper(DYNPTR.read, SCALAR);
      return;
    case 1:
      w.stackPointer(1, at);
      w.moveImm(2, random.below(4));
      w.stackPointer(3, -8);
      w.moveImm(4, 8);
      w.moveImm(5, 0);
      w.helper(DYNPTR.write, SCALAR);
      return;
    default: {
      w.stackPointer(1, at);
      w.moveImm(2, 0);
      w.moveImm(3, 16);
      w.helper(DYNPTR.data, NOTHING);
      const none = skipIfNull(w, 0);
      w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 0, 0, w.errs() ? 16 : 8 * random.below(2), 7);
      w.place(none);
      w.clobber(NOTHING);
    }
  }
}

/** A map inside a map, and what is in it. */
export function innerMap(w: Writer): void {
  const { random } = w;
  w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, -8, random.below(3));
  w.slots.set(-8, SCALAR);
  w.stackPointer(2, -8);
  w.mapPointer(1, mapNamed("tables"));
  w.helper(1, NOTHING);
  const present = w.label();
  w.jumpIf(CLASS.JMP | JMP.JNE, 0, { imm: 0 }, present);
  leave(w);
  w.place(present);
  w.emit(CLASS.ALU64 | ALU.MOV | SRC.X, 1, 0);
  w.stackPointer(2, -8);
  w.helper(1, NOTHING);
  const none = skipIfNull(w, 0);
  w.emit(CLASS.LDX | MODE.MEM | SIZE.DW, 3, 0, w.errs() ? 8 : 0);
  w.place(none);
  w.clobber(NOTHING);
  if (random.oneIn(3)) scalar(w);
}
