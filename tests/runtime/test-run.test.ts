/**
 * testRun() against BPF_PROG_TEST_RUN of the kernel: the same programs, inputs and outputs. Programs note what they see of
 * their context in the map `out`.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { assembleProgram, encodeInsns } from "../../compiler/asm/index.ts";
import { createRuntime, type TestRunInput } from "../../runtime/index.ts";
import { type CompiledObject, ERRNO, mapTypeByName, programType } from "../../spec/index.ts";
import { compile } from "./compile.ts";
import { askKernel, isRecordedKernel, type KernelJob, recordedAnswers } from "./kernel.ts";

interface Answer {
  readonly errno: number;
  readonly retval: number;
  readonly dataOut: string | null;
  readonly ctxOut: string | null;
  /** value of `out` afterwards; the maps that no program wrote to stay as they were */
  readonly noted: string;
}

interface Input {
  readonly dataIn?: string;
  readonly ctxIn?: string;
  /** bytes; what the kernel gives back beyond is no matter here */
  readonly ctxOut?: number;
}

interface Case {
  readonly name: string;
  readonly text: string;
  readonly inputs: readonly Input[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const zeros = (bytes: number): string => "00".repeat(bytes);
const words = (...values: number[]): string => hex(new Uint8Array(Uint32Array.from(values).buffer));

/** Fields of a context into `out`, eight bytes each. */
function note(fields: readonly (readonly [offset: number, size: 1 | 2 | 4 | 8])[]): string {
  const loads = fields.map(([offset, size], index) => {
    const type = `u${8 * size}`;
    return `  r2 = *(${type} *)(r6 + ${offset})\n  *(u64 *)(r7 + ${8 * index}) = r2`;
  });
  return `  r6 = r1\n  r7 = map[out][0] ll\n${loads.join("\n")}\n`;
}
const program = (type: string, body: string): string =>
  `; prog: ${type} name=prog\n; map: out array key=4 value=256 max=1\n${body}`;

/** __sk_buff: len pkt_type mark queue_mapping protocol vlan… priority ingress_ifindex ifindex tc_index cb0-4 hash napi gso… */
const SOCKET_FIELDS = [
  ...[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 84, 164, 176].map((at) => [at, 4] as const),
];
const CLASSIFIER_FIELDS = [
  ...SOCKET_FIELDS,
  [72, 4] as const,
  [152, 8] as const,
  [160, 4] as const,
  [180, 1] as const,
  [184, 8] as const,
];

const SKB = {
  mark: 8,
  priority: 32,
  ingress_ifindex: 36,
  ifindex: 40,
  tc_index: 44,
  cb0: 48,
  cb4: 64,
  hash: 68,
  tstamp: 152,
  wire_len: 160,
  gso_segs: 164,
  sk: 168,
  gso_size: 176,
  tstamp_type: 180,
  hwtstamp: 184,
  len: 0,
} as const;
function skb(fields: Partial<Record<keyof typeof SKB, number>>, bytes = 192): string {
  const context = Buffer.alloc(bytes);
  for (const [name, value] of Object.entries(fields)) {
    const at = SKB[name as keyof typeof SKB];
    if (name === "tstamp" || name === "hwtstamp") context.writeBigUInt64LE(BigInt(value), at);
    else if (name === "tstamp_type") context.writeUInt8(value, at);
    else context.writeUInt32LE(value, at);
  }
  return context.toString("hex");
}

const ETHERNET = "112233445566" + "778899aabbcc";
const IPV4 = `${ETHERNET}080045${zeros(30)}`;
const OTHER = `${ETHERNET}88b5${zeros(5)}`;

const SKB_PACKETS: readonly Input[] = [
  ...[0, 13, 14, 15, 3712, 3713, 5000].map((bytes) => ({ dataIn: zeros(bytes) })),
  ...[33, 34].map((bytes) => ({ dataIn: `${ETHERNET}0800${zeros(bytes - 14)}` })),
  ...[53, 54].map((bytes) => ({ dataIn: `${ETHERNET}86dd${zeros(bytes - 14)}` })),
  { dataIn: IPV4 },
  { dataIn: IPV4, ctxOut: 192 },
  { dataIn: `ffffffffffff778899aabbcc88b5${zeros(5)}` },
  { dataIn: `000000000000778899aabbcc88b5${zeros(5)}` },
  { dataIn: "000000000000778899aabbcc0005ffff" },
  { dataIn: "000000000000778899aabbcc0005ffff01" },
  { dataIn: "010000000000778899aabbcc0005ff" },
  { dataIn: "010000000000778899aabbcc0005" },
  { dataIn: "010000000000778899aabbcc05ff0102" },
  { dataIn: "010000000000778899aabbcc06000102" },
];
const SKB_CONTEXTS: readonly Input[] = [
  skb({
    ...{ mark: 7, priority: 9, ingress_ifindex: 1, ifindex: 1, cb0: 5, cb4: 6, tstamp: 123_456_789_012 },
    ...{ wire_len: 1000, gso_segs: 3, gso_size: 8, hwtstamp: 99 },
  }),
  ...[{ ingress_ifindex: 77 }, { ifindex: 0 }, { ifindex: 7777 }, { wire_len: 3 }, { wire_len: 65_536 }].map((fields) =>
    skb(fields),
  ),
  ...[{ wire_len: 65_537 }, { gso_segs: 65_535 }, { gso_segs: 65_536 }, { gso_size: 70_000 }].map((fields) =>
    skb(fields),
  ),
  ...[{ len: 1 }, { sk: 1 }, { tstamp_type: 1 }, { tc_index: 1 }, { hash: 1 }].map((fields) => skb(fields)),
  skb({ mark: 3 }, 150),
  skb({ mark: 3 }, 4096),
  skb({ mark: 3 }, 4097),
  `${skb({ mark: 3 })}01`,
].map((ctxIn) => ({ dataIn: IPV4, ctxIn, ctxOut: 192 }));

const XDP_NOTE = `
  r6 = r1
  r7 = map[out][0] ll
  r1 = *(u32 *)(r6 + 0)
  r2 = *(u32 *)(r6 + 4)
  r3 = *(u32 *)(r6 + 8)
  r4 = r2
  r4 -= r1
  *(u64 *)(r7 + 0) = r4
  r4 = r1
  r4 -= r3
  *(u64 *)(r7 + 8) = r4
  r4 = *(u32 *)(r6 + 12)
  *(u64 *)(r7 + 16) = r4
  r4 = *(u32 *)(r6 + 16)
  *(u64 *)(r7 + 24) = r4
`;

/** xdp_md as user space gives it: data data_end data_meta ingress_ifindex rx_queue_index egress_ifindex */
const XDP_CONTEXTS: readonly (readonly [packetBytes: number, ...fields: number[]])[] = [
  [60, 0, 60, 0, 0, 0, 0],
  [60, 0, 0, 0, 0, 0, 0],
  [60, 8, 60, 0, 0, 0, 0],
  [60, 8, 40, 0, 0, 0, 0],
  [60, 8, 61, 0, 0, 0, 0],
  [60, 7, 60, 0, 0, 0, 0],
  [60, 44, 60, 0, 0, 0, 0],
  [60, 48, 60, 0, 0, 0, 0],
  [60, 50, 60, 0, 0, 0, 0],
  [60, 20, 10, 0, 0, 0, 0],
  [60, 20, 20, 0, 0, 0, 0],
  [60, 0, 60, 4, 0, 0, 0],
  [60, 0, 13, 0, 0, 0, 0],
  [10, 0, 10, 0, 0, 0, 0],
  [300, 32, 300, 0, 0, 0, 0],
  [300, 216, 300, 0, 0, 0, 0],
  [300, 220, 300, 0, 0, 0, 0],
  [300, 256, 300, 0, 0, 0, 0],
  [60, 0, 60, 0, 1, 0, 0],
  [60, 0, 60, 0, 1, 1, 0],
  [60, 0, 60, 0, 7777, 0, 0],
  [60, 0, 60, 0, 0, 1, 0],
  [60, 0, 60, 0, 0, 0, 1],
  [4000, 0, 4000, 0, 0, 0, 0],
  [4000, 100, 4000, 0, 0, 0, 0],
];

const CONTEXT_CASES: readonly Case[] = [
  {
    name: "a socket filter sees the packet behind its Ethernet header",
    text: program("socket_filter", `${note(SOCKET_FIELDS)}  r0 = 5\n  exit\n`),
    inputs: [...SKB_PACKETS, ...SKB_CONTEXTS],
  },
  {
    name: "a classifier sees the whole packet",
    text: program("sched_cls", `${note(CLASSIFIER_FIELDS)}  r0 = -1\n  exit\n`),
    inputs: [...SKB_PACKETS, ...SKB_CONTEXTS],
  },
  {
    name: "a classifier changes packet and context",
    text: program(
      "sched_cls",
      `
  r2 = *(u32 *)(r1 + 76)
  r3 = *(u32 *)(r1 + 80)
  r4 = r2
  r4 += 16
  if r4 > r3 goto out
  r5 = 0x1234
  *(u16 *)(r2 + 14) = r5
  *(u8 *)(r2 + 0) = r5
out:
  r5 = 77
  *(u32 *)(r1 + 8) = r5
  *(u32 *)(r1 + 32) = r5
  *(u32 *)(r1 + 44) = r5
  *(u32 *)(r1 + 52) = r5
  *(u32 *)(r1 + 72) = r5
  *(u64 *)(r1 + 152) = r5
  *(u32 *)(r1 + 12) = r5
  r0 = *(u32 *)(r1 + 0)
  exit
`,
    ),
    inputs: [
      { dataIn: OTHER },
      { dataIn: OTHER, ctxOut: 192 },
      { dataIn: zeros(15), ctxIn: skb({ mark: 1 }), ctxOut: 192 },
    ],
  },
  {
    name: "an xdp program sees the packet",
    text: program("xdp", `${XDP_NOTE}  r0 = 2\n  exit\n`),
    inputs: [
      ...[0, 13, 14, 15, 60, 3519, 3520, 3521, 4096, 7617, 73_152, 73_153].map((bytes) => ({ dataIn: zeros(bytes) })),
      ...[14, 3520, 3521, 69_632, 69_633].map((bytes) => ({ dataIn: zeros(bytes), ctxOut: 24 })),
      ...XDP_CONTEXTS.map(([bytes, ...fields]) => ({ dataIn: zeros(bytes), ctxIn: words(...fields), ctxOut: 24 })),
      { dataIn: zeros(60), ctxIn: `${words(0, 60, 0, 0, 0, 0)}00000001` },
      { dataIn: zeros(60), ctxIn: words(0, 60), ctxOut: 24 },
    ],
  },
  {
    name: "an xdp program changes packet and metadata",
    text: program(
      "xdp",
      `
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = r2
  r4 += 14
  r0 = 1
  if r4 > r3 goto out
  r5 = *(u8 *)(r2 + 0)
  r5 += 1
  *(u8 *)(r2 + 13) = r5
  r3 = *(u32 *)(r1 + 8)
  r4 = r3
  r4 += 4
  r0 = 3
  if r4 > r2 goto out
  r5 = 0x01020304
  *(u32 *)(r3 + 0) = r5
  r0 = 4
out:
  exit
`,
    ),
    inputs: [
      { dataIn: `7f${zeros(20)}` },
      { dataIn: `7f${zeros(40)}`, ctxIn: words(8, 41), ctxOut: 24 },
      { dataIn: `7f${zeros(40)}`, ctxIn: words(8, 20), ctxOut: 24 },
    ],
  },
  {
    name: "a raw tracepoint sees its arguments",
    text: program(
      "raw_tracepoint",
      `
  r7 = map[out][0] ll
  r2 = *(u64 *)(r1 + 8)
  *(u64 *)(r7 + 0) = r2
  r2 = *(u64 *)(r1 + 0)
  *(u64 *)(r7 + 8) = r2
  r0 = r2
  exit
`,
    ),
    inputs: [
      { ctxIn: "11000000ffffffff2200000001000080" },
      { ctxIn: "11000000ffffffff22000000010000" },
      { ctxIn: "11000000ffffffff" },
      {},
      { ctxIn: `11000000ffffffff2200000001000080${zeros(80)}` },
      { ctxIn: `11000000ffffffff2200000001000080${zeros(81)}` },
      { ctxIn: "11000000ffffffff2200000001000080", ctxOut: 16 },
      { ctxIn: "11000000ffffffff2200000001000080", dataIn: "00" },
    ],
  },
];

/** LD_ABS and LD_IND: a load outside the packet ends the program with 0. */
const LEGACY_LOADS: readonly Case[] = ["socket_filter", "sched_cls"].flatMap((type) =>
  [
    ["the first bytes", "r0 = *(u16 *)skb[0]"],
    ["a word", "r0 = *(u32 *)skb[3]"],
    ["at an offset in a register", "r7 = 2\n  r0 = *(u8 *)skb[r7 + 1]"],
    ["the last byte", "r0 = *(u8 *)skb[18]"],
    ["behind the end", "r0 = *(u8 *)skb[19]"],
    ["across the end", "r0 = *(u32 *)skb[16]"],
    ["from the network header", "r0 = *(u32 *)skb[-0x100000]"],
    ["from the link header", "r0 = *(u32 *)skb[-0x200000]"],
    ["behind the link header", "r0 = *(u32 *)skb[-0x1fffff]"],
  ].map(([what, load]) => ({
    name: `${type} loads ${what}`,
    text: program(type, `  r6 = r1\n  r0 = 99\n  ${load}\n  exit\n`),
    inputs: [{ dataIn: `${ETHERNET}88b50102030405` }, { dataIn: `${ETHERNET}88b5` }],
  })),
);

const CASES = [...CONTEXT_CASES, ...LEGACY_LOADS];
const DATA_OUT_BYTES = 80_000;

function jobsOf({ text, inputs }: Case): KernelJob[] {
  const { program } = assembleProgram(text);
  return inputs.map((input) => ({
    type: programType(program.type).id,
    license: "GPL",
    insns: hex(encodeInsns(program.insns)),
    maps: program.maps.map((map) => ({
      type: mapTypeByName(map.type)!.id,
      key: map.keySize,
      value: map.valueSize,
      entries: map.maxEntries,
      flags: map.flags,
      data: null,
      freeze: false,
    })),
    runs: [{ ...input, ...(program.type === "raw_tracepoint" ? {} : { dataOut: DATA_OUT_BYTES }) }],
    read: [0],
  }));
}

function kernelAnswers(): Answer[] {
  return askKernel(CASES.flatMap(jobsOf)).map(({ load, log, runs, values }) => {
    if (load !== 0) throw new Error(`the kernel refuses a test program: ${log}`);
    const { errno, retval, dataOut, ctxOut } = runs[0]!;
    const failed = { errno, retval: 0, dataOut: null, ctxOut: null };
    return {
      ...(errno === 0 ? { errno, retval, dataOut: short(dataOut), ctxOut } : failed),
      noted: trimmed(values["0"]!),
    };
  });
}

/** Large outputs are zeros here: their length says it all. */
const short = (text: string | null): string | null =>
  text !== null && text.length > 200 && /^0*$/.test(text) ? `${text.length / 2} zeros` : text;
const trimmed = (text: string): string => text.replace(/(00)+$/, "");

async function ourAnswer(compiled: CompiledObject, input: Input): Promise<Answer> {
  await using runtime = createRuntime();
  await using object = await runtime.link(compiled);
  const given: TestRunInput = {
    dataIn: input.dataIn === undefined ? undefined : Buffer.from(input.dataIn, "hex"),
    ctxIn: input.ctxIn === undefined ? undefined : Buffer.from(input.ctxIn, "hex"),
    ctxOut: input.ctxOut !== undefined,
  };
  const noted = (): string => trimmed(hex(object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array));
  try {
    const { retval, dataOut, ctxOut } = object.programs.prog!.testRun(given);
    const context = ctxOut === null ? null : hex(ctxOut);
    return { errno: 0, retval, dataOut: dataOut && short(hex(dataOut)), ctxOut: context, noted: noted() };
  } catch (error) {
    if (!(error instanceof BpfError) || error.code !== "USAGE") throw error;
    return { errno: ERRNO[error.errno!], retval: 0, dataOut: null, ctxOut: null, noted: noted() };
  }
}

const recorded = recordedAnswers(new URL("./recorded/test-run.json", import.meta.url), kernelAnswers);
let next = 0;

describe.each(CASES)("$name", ({ text, inputs }) => {
  const first = next;
  next += inputs.length;
  let compiled: CompiledObject;
  beforeAll(async () => {
    compiled = await compile(text);
  });
  it.each(inputs.map((input, index) => ({ input, index, shown: shownInput(input) })))(
    "$shown",
    async ({ input, index }) => {
      expect(await ourAnswer(compiled, input)).toEqual(recorded[first + index]);
    },
  );
});

it.skipIf(!isRecordedKernel)("the recorded answers are this kernel's", () => {
  expect(kernelAnswers()).toEqual(recorded);
});

function shownInput({ dataIn, ctxIn, ctxOut }: Input): string {
  const data = dataIn === undefined ? "no data" : `${dataIn.length / 2} bytes ${dataIn.slice(0, 32)}`;
  const context = ctxIn === undefined ? "" : `, ctx of ${ctxIn.length / 2} ${ctxIn.replace(/(00)+$/, "").slice(-24)}`;
  return `${data}${context}${ctxOut === undefined ? "" : ", ctx out"}`;
}
