/**
 * Scalars that hang together: copies of one value, or one plus a constant. What a branch teaches of one holds for all.
 * Kernel: assign_scalar_id_before_mov(), collect_linked_regs(), sync_linked_regs().
 */
import { ALU } from "../../spec/isa.ts";
import type { Env } from "./env.ts";
import { edit, LINK, REG, type RegState, withoutId } from "./register.ts";
import { isConstant, knownScalar } from "./scalar.ts";
import { alu } from "./scalar-alu.ts";
import { frameInsnIndex, isSpilled, type Place, registerAt, type State, setRegisterAt } from "./state.ts";

/** More registers than this are not kept track of. Kernel: LINKED_REGS_MAX */
const MOST_LINKED = 6;

/** Gives a scalar that is about to be copied an id to recognise it by. Returns the register as it is then. */
export function assignIdBeforeMove(env: Env, register: number): RegState {
  const reg = env.register(register);
  if (reg.type !== REG.SCALAR) return reg;
  const plain = reg.link === LINK.EQUAL ? reg : withoutId(reg);
  if (plain.id === 0 && !isConstant(plain.value)) {
    const named = edit(plain);
    named.id = env.newId();
    env.registers[register] = named;
    return named;
  }
  if (plain !== reg) env.registers[register] = plain;
  return plain;
}

/** Adds the places of all scalars with this id to `places`. Those that do not fit any more lose their id. */
export function collectLinked(env: Env, state: State, id: number, places: Place[]): void {
  for (let f = state.frames.length - 1; f >= 0; f--) {
    const frame = state.frames[f]!;
    const live = env.notes.liveRegisters[frameInsnIndex(state, f)]!;
    for (let r = 0; r < 10; r++) {
      if (live & (1 << r)) collectPlace(state, { frame: f, inRegister: true, index: r }, id, places);
    }
    for (let s = 0; s < frame.stack.length; s++) {
      if (isSpilled(frame.stack[s]!)) collectPlace(state, { frame: f, inRegister: false, index: s }, id, places);
    }
  }
}

function collectPlace(state: State, place: Place, id: number, places: Place[]): void {
  const reg = registerAt(state, place);
  if (reg.type !== REG.SCALAR || reg.id !== id) return;
  if (places.length < MOST_LINKED) places.push(place);
  else setRegisterAt(state, place, withoutId(reg));
}

/** Carries what is known of `known` over to the scalars in `places` that are linked to it. */
export function syncLinked(state: State, known: RegState, places: readonly Place[]): void {
  for (const place of places) {
    const reg = registerAt(state, place);
    if (reg.type !== REG.SCALAR || reg === known || reg.id !== known.id || known.id === 0) continue;
    // An addition in 32 bits and one in 64 bits have no fixed distance.
    if (reg.link !== LINK.EQUAL && known.link !== LINK.EQUAL && reg.link !== known.link) continue;
    setRegisterAt(state, place, derived(reg, known));
  }
}

function derived(reg: RegState, known: RegState): RegState {
  const result = edit(known);
  if (
    (reg.link === LINK.EQUAL && known.link === LINK.EQUAL) ||
    (reg.link === known.link && reg.delta === known.delta)
  ) {
    return result;
  }
  const distance = (reg.link === LINK.EQUAL ? 0 : reg.delta) - (known.link === LINK.EQUAL ? 0 : known.delta);
  result.link = reg.link;
  result.delta = reg.delta;
  const in32Bits = reg.link === LINK.ADD32 || known.link === LINK.ADD32;
  const sum = BigInt.asUintN(64, BigInt(distance));
  result.value = alu(ALU.ADD, in32Bits, known.value, knownScalar(sum));
  return result;
}
