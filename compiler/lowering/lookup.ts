/**
 * bpf_map_lookup_elem() where the map is known: in arrays the address is computed in place, in hashes a key of 4, 8 or 16 bytes
 * goes to the library by value, out of the locals that hold it (slots.ts) or out of memory.
 */
import { arrayStrides, CPU, LOOKUP_BY_VALUE, type MapSpec } from "../../spec/index.ts";
import { addressOf } from "./address.ts";
import { type Body, factsAt } from "./body.ts";
import type { Expr } from "./emit.ts";
import { OFFSET_LIMIT } from "./known.ts";
import { tagged } from "./pointer.ts";
import { setResult } from "./result.ts";
import { type Slot, spillSlots } from "./slots.ts";
import { storageOf } from "./storage.ts";

/** Null: the key goes by address. */
export function lowerLookup(body: Body, insnIndex: number): Expr[] | null {
  const index = factsAt(body, insnIndex)?.map ?? null;
  const storage = index === null ? null : storageOf(body.program, index);
  if (index === null || storage === null) return null;
  const map = body.program.maps[index]!;
  const way = LOOKUP_BY_VALUE[storage][map.keySize];
  if (way === undefined) return null;
  const slots = body.slots.keyAt(insnIndex);
  const spilled = slots === null ? spillSlots(body.wasm, body.frame, body.slots.readBy(insnIndex)) : [];
  const words = keyWords(body, slots, map.keySize, insnIndex);
  if (way !== "inline") {
    const call = body.unit.library(way, [body.unit.mapAddress(index, "descriptor"), ...words]);
    return [...spilled, setResult(body, "mapValueOrNull", call)];
  }
  const key = slots?.length === 1 ? body.known.numberIn(slots[0]!) : null;
  return [...spilled, arrayLookup(body, index, map, words[0]!, key)];
}

/** `key` is the word's value where it is known. */
function arrayLookup(body: Body, index: number, map: MapSpec, word: Expr, key: bigint | null): Expr {
  const { frame, unit, wasm } = body;
  const { m } = wasm;
  const { strideBytes, cpuStrideBytes } = arrayStrides(map);
  const values = (): Expr => unit.mapAddress(index, "value");
  const ofCpu = (address: Expr): Expr =>
    cpuStrideBytes === 0
      ? address
      : m.i32.add(address, m.i32.mul(m.i32.load(CPU.id, 4, unit.cpu()), m.i32.const(cpuStrideBytes)));
  if (key === null) {
    const at = frame.temp(wasm.i32);
    const address = ofCpu(m.i32.add(values(), m.i32.mul(at.tee(word), m.i32.const(strideBytes))));
    const isInside = m.i32.lt_u(at.get(), m.i32.const(map.maxEntries | 0));
    return setResult(body, "mapValueOrNull", m.select(isInside, address, m.i32.const(0)));
  }
  if (key >= map.maxEntries) return frame.setReg(0, m.i64.const(0n));
  const offsetBytes = Number(key) * strideBytes;
  const address = ofCpu(m.i32.add(values(), m.i32.const(offsetBytes | 0)));
  if (cpuStrideBytes > 0) return setResult(body, "mapValue", address);
  if (offsetBytes < OFFSET_LIMIT) body.known.set(0, { base: { kind: "mapValue", map: index }, offsetBytes });
  return frame.setReg(0, tagged(body, address));
}

/** The key as the library takes it: an i32 of 4 bytes, else an i64 for each 8 bytes. */
function keyWords(body: Body, slots: readonly Slot[] | null, keyBytes: number, insnIndex: number): Expr[] {
  const wordBytes = Math.min(keyBytes, 8);
  const words: Expr[] = [];
  let rest = slots ?? [];
  for (let at = 0; at < keyBytes; at += wordBytes) {
    if (slots === null) {
      words.push(wordInMemory(body, at, wordBytes, insnIndex));
      continue;
    }
    const taken: Slot[] = [];
    for (let bytes = 0; bytes < wordBytes; bytes += taken.at(-1)!.bytes) taken.push(rest[taken.length]!);
    rest = rest.slice(taken.length);
    words.push(wordBytes === 4 ? joined32(body, taken) : joined64(body, taken));
  }
  return words;
}

function joined32(body: Body, slots: readonly Slot[]): Expr {
  const { i32 } = body.wasm.m;
  return slots
    .slice(1)
    .reduce(
      (word, { offset, local }) => i32.or(word, i32.shl(local.get(), i32.const(8 * (offset - slots[0]!.offset)))),
      slots[0]!.local.get(),
    );
}

function joined64(body: Body, slots: readonly Slot[]): Expr {
  const { i64 } = body.wasm.m;
  if (slots.length === 1) return slots[0]!.local.get();
  const [first, ...others] = slots;
  return others.reduce(
    (word, { offset, local }) =>
      i64.or(word, i64.shl(i64.extend_u(local.get()), i64.const(BigInt(8 * (offset - first!.offset))))),
    i64.extend_u(first!.local.get()),
  );
}

/**
 * Of the key that r2 points to. On the stack in two loads of 32 bits: programs fill keys field by field, and a load that spans
 * two recent stores waits for both to leave the store buffer.
 */
function wordInMemory(body: Body, at: number, bytes: number, insnIndex: number): Expr {
  const { i32, i64 } = body.wasm.m;
  const part = (offset: number, size: number): [number, number, Expr] => {
    const address = addressOf(body, KEY_REGISTER, offset, size, insnIndex);
    return [address.offsetBytes, 1, address.pointer];
  };
  if (bytes === 4) return i32.load(...part(at, 4));
  if (body.known.of(KEY_REGISTER)?.base.kind !== "stack") return i64.load(...part(at, 8));
  return i64.or(i64.load32_u(...part(at, 4)), i64.shl(i64.load32_u(...part(at + 4, 4)), i64.const(32n)));
}

const KEY_REGISTER = 2;
