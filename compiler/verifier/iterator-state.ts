/** What is asked of iterators on the stack when states are compared and printed. The rules of their life: iterators.ts. */
import type { IteratorInfo } from "./register.ts";
import { objectSlot } from "./stack-object.ts";
import { BYTE, byteKind, type State } from "./state.ts";

/** Of the names of the structs that iterators are. */
export const ITERATOR_PREFIX = "bpf_iter_";
export const iteratorName = ({ btf, btfType }: IteratorInfo): string => {
  const name = btf.nameOf(btfType);
  return name.startsWith(ITERATOR_PREFIX) ? name.slice(ITERATOR_PREFIX.length) : name;
};

/** A loop that steps an iterator is no endless one. Kernel: iter_active_depths_differ() */
export function iteratorsStepped(old: State, state: State): boolean {
  return old.frames.some((frame, f) =>
    frame.stack.some(({ kinds, reg }, s) => {
      if (byteKind(kinds, 0) !== BYTE.ITERATOR || reg.iterator?.state !== "active") return false;
      return state.frames[f]?.slot(s).reg.iterator?.depth !== reg.iterator.depth;
    }),
  );
}

/** Whether r1 of a state that is about to call a step names an iterator that may have more. */
export function isActiveIterator(state: State): boolean {
  const reg = state.registers[1]!;
  const off = reg.off + Number(BigInt.asIntN(64, reg.value.tnum.value));
  return state.frames[reg.frame]!.slot(objectSlot(off)).reg.iterator?.state === "active";
}
