/** Call chains that are given with an event, as perf records them: EVENT_CHAIN_MASK in spec/library.ts says how. */
import { CHAIN_CONTEXT } from "../spec/index.ts";

/** Where the event came from: addresses, the innermost first. A part that is not given is empty. */
export interface EventStack {
  readonly kernel?: readonly (bigint | number)[] | undefined;
  readonly user?: readonly (bigint | number)[] | undefined;
}

interface ChainRoom {
  readonly view: DataView;
  allocate(bytes: number, alignment?: number): number;
}

const WORD_BYTES = 8;

/** Address of the chain in memory of the room. */
export function writeCallChain(room: ChainRoom, { kernel = [], user = [] }: EventStack): number {
  const words = [
    ...(kernel.length > 0 ? [CHAIN_CONTEXT.KERNEL, ...kernel] : []),
    ...(user.length > 0 ? [CHAIN_CONTEXT.USER, ...user] : []),
  ];
  const address = room.allocate((1 + words.length) * WORD_BYTES);
  for (const [index, word] of [words.length, ...words].entries()) {
    room.view.setBigUint64(address + index * WORD_BYTES, BigInt.asUintN(64, BigInt(word)), true);
  }
  return address;
}
