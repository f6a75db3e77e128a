/** The workloads of bench/workloads/tools.bpf.c in plain JavaScript, by the rules of js.ts. */
import { FIELD, type Handler, type Input, RECORD_WORDS, reserveWords, TWO_32 } from "./js-input.ts";

interface Start {
  time: number;
}

/** Of struct exec. */
const EXEC_WORDS = 26;

export const TOOL_HANDLERS: Readonly<Record<string, (input: Input) => Handler>> = {
  exec_record: execRecord,
  filter: (input) => {
    const { words } = input;
    const write = execRecord(input);
    const limit = Math.floor(0xffff_ffff / 100);
    return (event) => {
      if (words[event + FIELD.kind]! < limit) write(event);
    };
  },
  runqlat: (input) => {
    const waits = new Uint32Array(27);
    return pairs(
      input,
      pidOf(input),
      (_event, ns) => {
        waits[slotOf(ns)]! += 1;
      },
      "forgets",
    );
  },
  biolatency: (input) => {
    const { words } = input;
    const disks = new Map<number, Uint32Array>();
    // sector and device are numbers below 2^32 and 16, so that one number holds both
    const request = (event: number): number => words[event + FIELD.pid]! * 8 * 16 + (words[event + FIELD.pid]! & 15);
    return pairs(
      input,
      request,
      (event, ns) => {
        const disk = words[event + FIELD.pid]! & 15;
        let slots = disks.get(disk);
        if (slots === undefined) {
          slots = new Uint32Array(27);
          disks.set(disk, slots);
        }
        slots[slotOf(ns)]! += 1;
      },
      "forgets",
    );
  },
  syscount: (input) => {
    const { words } = input;
    const calls = new Map<number, { count: number; ns: number }>();
    return pairs(
      input,
      pidOf(input),
      (event, ns) => {
        const number = words[event + FIELD.pid]! & 255;
        const known = calls.get(number);
        if (known === undefined) {
          calls.set(number, { count: 1, ns });
          return;
        }
        known.count += 1;
        known.ns += ns;
      },
      "keeps",
    );
  },
  one_of_many: ({ words }) => {
    // sums go beyond 2^53 no sooner than the benchmark is over
    const totals = new Float64Array(4);
    const handlers: Handler[] = Array.from({ length: 64 }, () => (event) => {
      totals[words[event + FIELD.kind]! & 3]! +=
        words[event + FIELD.bytesHigh]! * TWO_32 + words[event + FIELD.bytesLow]!;
    });
    return (event) => {
      for (const handler of handlers) handler(event);
    };
  },
};

const pidOf =
  ({ words }: Input) =>
  (event: number): number =>
    words[event + FIELD.pid]!;

/** Odd kinds begin what even ones end; `after` that the time of the first is forgotten or kept, as the program does. */
function pairs(
  { words }: Input,
  keyOf: (event: number) => number,
  onPair: (event: number, ns: number) => void,
  after: "forgets" | "keeps",
): Handler {
  const begun = new Map<number, Start>();
  return (event) => {
    const time = words[event + FIELD.timeHigh]! * TWO_32 + words[event + FIELD.timeLow]!;
    const key = keyOf(event);
    if ((words[event + FIELD.kind]! & 1) === 1) {
      const start = begun.get(key);
      if (start === undefined) begun.set(key, { time });
      else start.time = time;
      return;
    }
    const start = begun.get(key);
    if (start === undefined) return;
    onPair(event, time - start.time);
    if (after === "forgets") begun.delete(key);
  };
}

/** Times between a batch and the next are negative, and very large to the programs. */
const slotOf = (ns: number): number =>
  ns < 0 || ns >= TWO_32 * 1000 ? 26 : Math.min(26, 31 - Math.clz32(Math.floor(ns / 1000) | 1));

/** The task is looked up where the event's source keeps it: here always the same, which only the reader of this code knows. */
const tasks = [{ pid: 0, tgid: 0, uid: 0, comm: new Uint32Array(4) }];

function execRecord({ words, out }: Input): Handler {
  const bytes = new Uint8Array(words.buffer);
  const target = new Uint8Array(out.words.buffer);
  return (event) => {
    const at = reserveWords(out, EXEC_WORDS);
    if (at < 0) return;
    const to = out.words;
    const { pid, tgid, uid, comm } = tasks[words[event]!]!;
    to[at] = words[event + FIELD.timeLow]!;
    to[at + 1] = words[event + FIELD.timeHigh]!;
    to[at + 2] = pid;
    to[at + 3] = tgid;
    to[at + 4] = uid;
    to[at + 5] = words[event + FIELD.kind]!;
    for (let word = 0; word < 4; word++) to[at + 6 + word] = comm[word]!;
    const from = 4 * (event + FIELD.comm);
    const name = 4 * (at + 10);
    for (let index = 0; index < 4 * RECORD_WORDS; index++) {
      const byte = bytes[from + index]!;
      target[name + index] = byte;
      if (byte === 0) break;
    }
  };
}
