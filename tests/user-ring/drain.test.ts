/**
 * bpf_user_ringbuf_drain against the kernel: what our writer leaves in the ring is given to the kernel's ring as well, and both
 * run the same program. Compared: the result, every sample that the callback saw, the consumer's position. UPDATE=1 records the
 * kernel's answers anew.
 */
import { expect, it } from "vitest";
import { assembleProgram, encodeInsns } from "../../compiler/asm/index.ts";
import { lowerObject } from "../../compiler/lowering/index.ts";
import { verify } from "../../compiler/verifier/index.ts";
import {
  createRuntime,
  type LinkedObject,
  type Sample,
  SampleWriter,
  type UserRingbufMap,
} from "../../runtime/index.ts";
import { type CompiledObject, mapTypeByName, programType, RING } from "../../spec/index.ts";
import { askKernel, isRecordedKernel, type KernelJob, type KernelRun, recordedAnswers } from "../runtime/kernel.ts";
import { withBtf } from "../verdict/btf.ts";

const OUT_BYTES = 2048;
const MOST_NOTED = 120;

/** The context: flags of the drain, and after how many samples the callback stops it, 0: never. */
const program = (bytes: number, inCallback: string, more: string): string => `
; prog: raw_tracepoint name=prog license=GPL
; map: ring user_ringbuf max=${bytes}
; map: out array key=4 value=${OUT_BYTES} max=1
  r6 = *(u64 *)(r1 + 0)
  r7 = *(u64 *)(r1 + 8)
  *(u64 *)(r10 - 8) = r7
  r1 = map[ring] ll
  r2 = func take ll
  r3 = r10
  r3 += -8
  r4 = r6
  call bpf_user_ringbuf_drain
  r1 = map[out][0] ll
  *(u64 *)(r1 + 0) = r0
  exit
take:
  r6 = r2
  r7 = r1
  r8 = map[out][0] ll
  r9 = *(u64 *)(r8 + 8)
  r1 = r9
  r1 += 1
  *(u64 *)(r8 + 8) = r1
  if r9 > ${MOST_NOTED} goto count
  r9 <<= 4
  r8 += r9
  *(u64 *)(r10 - 8) = 0
  r1 = r10
  r1 += -8
  r2 = 8
  r3 = r7
  r4 = 0
  r5 = 0
  call bpf_dynptr_read
  *(u64 *)(r8 + 16) = r0
  r1 = *(u64 *)(r10 - 8)
  *(u64 *)(r8 + 24) = r1
${inCallback}
count:
  r1 = *(u64 *)(r6 + 0)
  r1 -= 1
  *(u64 *)(r6 + 0) = r1
  r0 = 0
  if r1 != 0 goto on
  r0 = 1
on:
  exit
${more}`;

const NESTED = `
  r1 = map[ring] ll
  r2 = func inner ll
  r3 = 0
  r4 = 0
  call bpf_user_ringbuf_drain
  *(u64 *)(r8 + 16) = r0
`;
const INNER = `
inner:
  r0 = 0
  exit
`;

/** What the user does before a run; `raw` writes a header and sets the position, as no good writer does. */
type Step =
  | { readonly write: number }
  | { readonly reserve: number }
  | { readonly submit: number }
  | { readonly discard: number }
  | { readonly raw: { readonly header: number; readonly advance: number } };
interface Round {
  readonly steps: readonly Step[];
  readonly flags?: bigint;
  readonly stopAfter?: number;
}
interface Scenario {
  readonly name: string;
  readonly bytes?: number;
  readonly nested?: true;
  readonly rounds: readonly Round[];
}

const write = (...sizes: readonly number[]): Step[] => sizes.map((size) => ({ write: size }));
const reserve = (...sizes: readonly number[]): Step[] => sizes.map((size) => ({ reserve: size }));
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

const SCENARIOS: readonly Scenario[] = [
  { name: "nothing to drain", rounds: [{ steps: [] }] },
  { name: "samples in order", rounds: [{ steps: write(8, 16, 24, 100) }, { steps: write(9) }, { steps: [] }] },
  { name: "samples shorter than what is read", rounds: [{ steps: write(0, 1, 7, 8) }] },
  {
    name: "a callback that stops",
    rounds: [
      { steps: write(8, 8, 8), stopAfter: 1 },
      { steps: [], stopAfter: 5 },
    ],
  },
  {
    name: "samples that are not submitted yet",
    rounds: [
      { steps: [...write(8), ...reserve(8, 8), ...write(8)] },
      { steps: [{ submit: 1 }] },
      { steps: [{ submit: 0 }] },
    ],
  },
  {
    name: "discarded samples",
    rounds: [
      { steps: [...reserve(8, 16, 24), ...write(8), { discard: 0 }, { discard: 2 }] },
      { steps: [{ discard: 1 }, ...write(16)] },
      { steps: [...reserve(8), { discard: 3 }] },
    ],
  },
  { name: "a drain within a drain", nested: true, rounds: [{ steps: write(8, 8) }] },
  ...[1n, 2n, 3n, 4n, 1n << 63n].map((flags) => ({
    name: `flags ${flags}`,
    rounds: [
      { steps: write(8), flags },
      { steps: [], flags },
    ],
  })),
  {
    name: "a ring that wraps around",
    rounds: times(30, (index) => ({ steps: write(...times(3, (at) => (index * 331 + at * 97) % 1200)) })),
  },
  {
    name: "a full ring",
    rounds: [{ steps: write(...times(128, () => 24)) }, { steps: write(4088) }, { steps: write(8) }],
  },
  {
    name: "a sample longer than what the position says",
    rounds: [{ steps: [...write(8), { raw: { header: 64, advance: 16 } }] }],
  },
  {
    name: "a position that is no multiple of 8",
    rounds: [{ steps: [...write(8), { raw: { header: 8, advance: 12 } }] }],
  },
  {
    name: "a sample longer than the ring",
    rounds: [{ steps: [...write(8), { raw: { header: 8192, advance: 16_384 } }] }, { steps: [] }],
  },
  {
    name: "a discarded sample longer than the ring",
    rounds: [{ steps: [{ raw: { header: 8192 + RING.discard, advance: 16_384 } }] }],
  },
  {
    name: "more samples than one drain passes",
    bytes: 1 << 21,
    rounds: [{ steps: [{ raw: { header: 0, advance: 8 * 140_000 } }] }, { steps: [] }, { steps: [] }],
  },
];

interface Answer {
  readonly retval: number;
  readonly consumer: number;
}
interface Outcome {
  readonly rounds: readonly Answer[];
  readonly out: string;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const trimmed = (text: string): string => text.replace(/(00)+$/, "");
const textOf = ({ bytes = 4096, nested }: Scenario): string =>
  program(bytes, nested ? NESTED : "", nested ? INNER : "");
const contextOf = ({ flags = 0n, stopAfter = 0 }: Round): Uint8Array =>
  new Uint8Array(BigUint64Array.from([flags, BigInt(stopAfter)]).buffer);

/** Our ring, and what there is to give to the kernel's. */
class Ring {
  readonly map: UserRingbufMap;
  readonly #writer: SampleWriter;
  readonly #samples: Sample[] = [];
  #written = 0;

  constructor(object: LinkedObject) {
    this.map = object.maps.ring as UserRingbufMap;
    this.#writer = new SampleWriter(this.map);
  }

  step(step: Step): void {
    if ("raw" in step) this.#raw(step.raw.header, step.raw.advance);
    else if ("submit" in step) this.#samples[step.submit]!.submit();
    else if ("discard" in step) this.#samples[step.discard]!.discard();
    else {
      const sample = this.#writer.reserve("write" in step ? step.write : step.reserve)!;
      sample.bytes.forEach((_, index) => {
        sample.bytes[index] = this.#written * 31 + index + 1;
      });
      this.#written++;
      if ("write" in step) sample.submit();
      else this.#samples.push(sample);
    }
  }

  #raw(header: number, advance: number): void {
    const { view } = this.map.world.arena;
    view.setUint32(this.map.ring + RING.data + (this.producer % this.map.maxEntries), header, true);
    view.setBigUint64(this.map.ring + RING.producer, BigInt(this.producer + advance), true);
  }

  get producer(): number {
    return Number(this.map.world.arena.view.getBigUint64(this.map.ring + RING.producer, true));
  }
  get consumer(): number {
    return Number(this.map.world.arena.view.getBigUint64(this.map.ring + RING.consumer, true));
  }

  /** All that lies between the positions, in one piece. */
  get samples(): NonNullable<KernelRun["samples"]> {
    const { arena } = this.map.world;
    const start = this.map.ring + RING.data;
    const records: [number, string][] = [];
    for (let position = this.consumer; position < this.producer; ) {
      const at = start + (position % this.map.maxEntries);
      const length = arena.view.getUint32(at, true) & ~(RING.busy | RING.discard);
      // of a sample that cannot be the header alone
      const whole = Math.ceil((length + 8) / 8) * 8;
      const total = whole > this.map.maxEntries ? 8 : whole;
      if (length > 0 || arena.view.getUint32(at, true) !== 0)
        records.push([position, hex(arena.bytes.slice(at, at + total))]);
      position += total;
    }
    return { map: 0, producer: this.producer, records };
  }
}

function assembled(scenario: Scenario) {
  return withBtf(assembleProgram(textOf(scenario)).program);
}

async function compile(scenario: Scenario): Promise<CompiledObject> {
  const program = assembled(scenario);
  const result = verify(program, { logLevel: 1 });
  if (result.verdict !== "accepted") throw result.error;
  const { maps, license } = program;
  return lowerObject({ name: "test", license, maps, types: {}, programs: [result.program] }, { optimize: 0 });
}

/** Runs all rounds here; notes what the kernel is to be given. */
async function ours(scenario: Scenario): Promise<{ outcome: Outcome; runs: KernelRun[] }> {
  await using runtime = createRuntime();
  await using object = await runtime.link(await compile(scenario));
  const ring = new Ring(object);
  const rounds: Answer[] = [];
  const runs: KernelRun[] = [];
  for (const round of scenario.rounds) {
    for (const step of round.steps) ring.step(step);
    runs.push({ ctxIn: hex(contextOf(round)), samples: ring.samples });
    const { retval } = object.programs.prog!.testRun({ ctxIn: contextOf(round) });
    rounds.push({ retval, consumer: ring.consumer });
  }
  const out = trimmed(hex(object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array));
  return { outcome: { rounds, out }, runs };
}

function jobOf(scenario: Scenario, runs: readonly KernelRun[]): KernelJob {
  const program = assembled(scenario);
  return {
    type: programType(program.type).id,
    license: program.license,
    insns: hex(encodeInsns(program.insns)),
    btf: hex(program.btf!.bytes),
    functions: program.functions.map(({ insnIndex, type }) => [insnIndex, type!]),
    maps: program.maps.map((map) => ({
      type: mapTypeByName(map.type)!.id,
      key: map.keySize,
      value: map.valueSize,
      entries: map.maxEntries,
      flags: map.flags,
      data: null,
      freeze: false,
    })),
    runs,
    read: [1],
  };
}

function kernelOutcomes(jobs: readonly KernelJob[]): Outcome[] {
  return askKernel(jobs).map(({ load, log, runs, values }) => {
    if (load !== 0) throw new Error(`the kernel refuses a program: ${log}`);
    const failed = runs.find(({ errno }) => errno !== 0);
    if (failed) throw new Error(`the kernel does not run a program: ${failed.errno}`);
    return {
      rounds: runs.map(({ retval, consumer }) => ({ retval, consumer: consumer! })),
      out: trimmed(values["1"]!),
    };
  });
}

const own = await Promise.all(SCENARIOS.map(ours));
const jobs = SCENARIOS.map((scenario, index) => jobOf(scenario, own[index]!.runs));
const recorded = recordedAnswers(new URL("./recorded/drain.json", import.meta.url), () => kernelOutcomes(jobs));

it.each(SCENARIOS.map(({ name }, index) => ({ name, index })))("$name", ({ index }) => {
  expect(own[index]!.outcome).toEqual(recorded[index]);
});

it.skipIf(!isRecordedKernel)("the recorded answers are this kernel's", () => {
  expect(kernelOutcomes(jobs)).toEqual(recorded);
});
