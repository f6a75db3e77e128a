/**
 * Plain JavaScript as an engine: each workload done by hand over the same bytes, as a Node engineer who knows V8 would write it:
 * typed arrays, Maps of counters that are changed in place, records copied word by word into a buffer that is used again.
 * 64-bit numbers are doubles where these hold them, halves where they do not.
 */
import { EVENT_COUNT } from "./events.ts";
import {
  FIELD,
  type Handler,
  type Input,
  makeOutput,
  type Output,
  RECORD_WORDS,
  reserveWords,
  TWO_32,
  WORDS,
} from "./js-input.ts";
import { TOOL_HANDLERS } from "./js-tools.ts";
import { median } from "./statistics.ts";
import type { Workload } from "./workloads.ts";

interface Counter {
  count: number;
}

/** Header of a perf record, with the length of its payload. */
const HEAD_WORDS = 4;

export class JsEngine {
  readonly #handler: Handler;
  readonly #loop = ownLoop();
  readonly #output = makeOutput();

  private constructor(make: (input: Input) => Handler, payload: Uint8Array) {
    const words = new Uint32Array(payload.slice().buffer);
    this.#handler = make({ words, out: this.#output });
  }

  /** Null for workloads that stand for no job that a program does: the rows of record sizes. */
  static start({ program }: Workload, payload: Uint8Array): JsEngine | null {
    const make = Object.hasOwn(HANDLERS, program) ? HANDLERS[program]! : null;
    return make === null ? null : new JsEngine(make, payload);
  }

  /** As BpfjitEngine.run(). */
  run(batches: number): number {
    const times: number[] = [];
    for (let batch = 0; batch < batches; batch++) {
      const started = process.hrtime.bigint();
      this.#loop(this.#handler, EVENT_COUNT * WORDS, WORDS);
      times.push(Number(process.hrtime.bigint() - started) / EVENT_COUNT);
      this.#output.read = this.#output.written;
    }
    return median(times);
  }

  close(): void {}
}

type Loop = (handler: Handler, end: number, step: number) => void;

let loops = 0;

/**
 * A loop that V8 compiles for this engine alone, with the handler inside, as in a program that has one job. A loop that all engines of a
 * process shared would call each handler as one of many. V8 keeps what it learnt by source text: so each has its own.
 */
function ownLoop(): Loop {
  const body = `for (let event = 0; event < end; event += step) handler(event); // ${loops++}`;
  return new Function("handler", "end", "step", body) as Loop;
}

const HANDLERS: Readonly<Record<string, (input: Input) => Handler>> = {
  empty: () => () => {},
  counter: () => {
    const counters = new Float64Array(4);
    return () => {
      counters[1]! += 1;
    };
  },
  counter_atomic: () => {
    const counters = new BigUint64Array(new SharedArrayBuffer(32));
    return () => {
      Atomics.add(counters, 1, 1n);
    };
  },
  percpu_counter: () => {
    const counters = [new Float64Array(4)];
    const cpu = 0;
    return () => {
      counters[cpu]![1]! += 1;
    };
  },
  hash_count: ({ words }) => countBy((event) => words[event + FIELD.pid]!),
  hash_count_atomic: ({ words }) => countBy((event) => words[event + FIELD.pid]!),
  percpu_hash_count: ({ words }) => countBy((event) => words[event + FIELD.pid]!),
  lru_count: ({ words }) => countRecent(words, 16_384),
  lru_full: ({ words }) => countRecent(words, 512),
  hash_update: ({ words }) => {
    const times = new Map<number, number>();
    return (event) => {
      times.set(words[event + FIELD.pid]!, words[event + FIELD.timeHigh]! * TWO_32 + words[event + FIELD.timeLow]!);
    };
  },
  hash_comm: ({ words }) => countByComm(words),
  ring:
    ({ words, out }) =>
    (event) => {
      if ((words[event + FIELD.kind]! & 3) !== 3) putRecord(words, event, out, 0);
    },
  perf_output:
    ({ words, out }) =>
    (event) => {
      // type, size in the upper half, and the length of what follows
      const at = putRecord(words, event, out, HEAD_WORDS);
      if (at < 0) return;
      out.words[at] = 9;
      out.words[at + 1] = (4 * (RECORD_WORDS + HEAD_WORDS)) << 16;
      out.words[at + 2] = 4 * RECORD_WORDS;
      out.words[at + 3] = 0;
    },
  histogram: ({ words }) => {
    const slots = new Float64Array(64);
    return (event) => {
      const high = words[event + FIELD.bytesHigh]!;
      const slot = high !== 0 ? 63 - Math.clz32(high) : 31 - Math.clz32(words[event + FIELD.bytesLow]! | 1);
      slots[slot]! += 1;
    };
  },
  compute: ({ words }) => mix(words),
  compute_percpu: ({ words }) => mix(words),
  ...TOOL_HANDLERS,
};

function countBy<Key>(keyOf: (event: number) => Key): Handler {
  const counters = new Map<Key, Counter>();
  return (event) => {
    const key = keyOf(event);
    const counter = counters.get(key);
    if (counter === undefined) counters.set(key, { count: 1 });
    else counter.count += 1;
  };
}

/** Strings as keys cost ten times as much, so 16 bytes are hashed and compared as the four words that they are. */
function countByComm(words: Uint32Array): Handler {
  const slots = 32_768;
  const keys = new Uint32Array(4 * slots);
  const counts = new Float64Array(slots);
  return (event) => {
    const a = words[event + FIELD.comm]!;
    const b = words[event + FIELD.comm + 1]!;
    const c = words[event + FIELD.comm + 2]!;
    const d = words[event + FIELD.comm + 3]!;
    let hash = Math.imul(
      a ^ Math.imul(b ^ Math.imul(c ^ Math.imul(d, 0x9e3779b1), 0x85ebca6b), 0xc2b2ae35),
      0x27d4eb2f,
    );
    hash ^= hash >>> 15;
    for (let slot = hash & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
      const at = 4 * slot;
      if (counts[slot] === 0) keys.set([a, b, c, d], at);
      else if (keys[at] !== a || keys[at + 1] !== b || keys[at + 2] !== c || keys[at + 3] !== d) continue;
      counts[slot]! += 1;
      return;
    }
  };
}

/** A Map keeps the order of insertion, which makes it an LRU cache: the first key is the one used longest ago. */
function countRecent(words: Uint32Array, most: number): Handler {
  const counters = new Map<number, number>();
  return (event) => {
    const pid = words[event + FIELD.pid]!;
    const count = counters.get(pid) ?? 0;
    if (count > 0) counters.delete(pid);
    else if (counters.size >= most) counters.delete(counters.keys().next().value!);
    counters.set(pid, count + 1);
  };
}

/** The record of the workloads: 64 bytes, all of them of the event but the last 8, behind `headWords`. Returns where the head begins. */
function putRecord(words: Uint32Array, event: number, out: Output, headWords: number): number {
  const { words: to } = out;
  const start = reserveWords(out, headWords + RECORD_WORDS);
  if (start < 0) return start;
  const at = start + headWords;
  to[at] = words[event + FIELD.timeLow]!;
  to[at + 1] = words[event + FIELD.timeHigh]!;
  to[at + 2] = words[event + FIELD.pid]!;
  to[at + 3] = words[event + FIELD.kind]!;
  for (let word = 4; word < 14; word++) to[at + word] = words[event + word + 2]!;
  to[at + 14] = 0;
  to[at + 15] = 0;
  return start;
}

/** FNV-1a's prime is 2^40 + 0x1b3: products of 16 bits fit integers, so neither doubles nor bigint are needed. */
function mix(words: Uint32Array): Handler {
  // as signed integers: V8 makes doubles of unsigned ones
  const ints = new Int32Array(words.buffer);
  let [sumHigh, sumLow] = [0, 0];
  const result = new Uint32Array(2);
  return (event) => {
    let high = 0xcbf29ce4 | 0;
    let low = 0x84222325 | 0;
    for (let round = 0; round < 4; round++) {
      for (let word = 2; word < WORDS; word += 2) {
        low ^= ints[event + word]!;
        high ^= ints[event + word + 1]!;
        const right = Math.imul(low & 0xffff, 0x1b3);
        const left = Math.imul(low >>> 16, 0x1b3) + (right >>> 16);
        high = (Math.imul(high, 0x1b3) + (low << 8) + (left >>> 16)) | 0;
        low = (left << 16) | (right & 0xffff);
        low ^= (low >>> 29) | (high << 3);
        high ^= high >>> 29;
      }
    }
    sumLow ^= low;
    sumHigh ^= high;
    result[0] = sumLow;
    result[1] = sumHigh;
  };
}
