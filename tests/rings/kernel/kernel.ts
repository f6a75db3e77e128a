/** The kernel's answers to scenarios (tests/rings/scenario.ts). Null where bpf(), perf_event_open() or a C compiler cannot be had. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { assembleProgram, encodeInsns } from "../../../compiler/asm/index.ts";
import { compileC } from "../../kernel/compile-c.ts";
import {
  DATA_BYTES,
  PERF_PROGRAM,
  packetOf,
  perfRecords,
  RING_BYTES,
  RING_PROGRAM,
  ringRecords,
  type Scenario,
  type Step,
} from "../scenario.ts";

export interface Answers {
  /** what the kernel numbered its events, in order of their steps, and the process that ran the programs */
  readonly ids: readonly string[];
  readonly pid: number;
  /** one a step */
  readonly steps: readonly unknown[];
}

const SOURCE = fileURLToPath(new URL("./rings.c", import.meta.url));
const PAGE = 4096;
const RAW = 1024;

let reader: string | null | undefined;

function readerPath(): string | null {
  if (reader !== undefined) return reader;
  const path = compileC(SOURCE);
  reader = path !== null && answersOf(path, SETUP) !== null ? path : null;
  return reader;
}

/** The maps of the programs, in their order, and the data. */
const SETUP: readonly string[] = [
  "map 4 4 4 4 0",
  `map 2 4 ${DATA_BYTES} 1 0`,
  `map 27 0 0 ${RING_BYTES} 0`,
  "fill 1",
  "pid",
];

/** Answers without their `ok`; null where one fails. */
function answersOf(path: string, commands: readonly string[]): string[] | null {
  const input = `${commands.join("\n")}\n`;
  const { stdout } = spawnSync(path, { input, encoding: "utf8", maxBuffer: 1 << 28 });
  const answers = stdout.trimEnd().split("\n");
  const allWork = answers.length === commands.length && answers.every((answer) => answer.startsWith("ok"));
  return allWork ? answers.map((answer) => answer.slice(3)) : null;
}

const program = (text: string): string =>
  `prog 1 ${Buffer.from(encodeInsns(assembleProgram(text).program.insns)).toString("hex")}`;

export function askKernel({ steps }: Scenario): Answers | null {
  const path = readerPath();
  if (path === null) return null;
  let loaded = "";
  const commands = steps.flatMap((step): string[] => {
    const wanted = "output" in step ? PERF_PROGRAM : "ring" in step ? RING_PROGRAM : loaded;
    const load = wanted === loaded ? [] : [program(wanted)];
    loaded = wanted;
    return [...load, command(step)];
  });
  const answers = answersOf(path, [...SETUP, ...commands]);
  // bpf() without perf_event_open(), or a machine of one CPU
  if (answers === null) return null;
  const told = answers.slice(SETUP.length).filter((_, index) => !commands[index]!.startsWith("prog"));
  let sampleType = RAW;
  let pages = 0;
  return {
    pid: Number(answers[SETUP.length - 1]),
    ids: told.filter((_, index) => "buffer" in steps[index]!),
    steps: steps.map((step, index) => {
      if ("buffer" in step) {
        sampleType = step.buffer.sampleType ?? RAW;
        pages = step.buffer.pages;
      }
      return answer(step, told[index]!, sampleType, pages);
    }),
  };
}

function command(step: Step): string {
  if ("buffer" in step) {
    const { slot, cpu = slot, pages, sampleType = RAW, wakeupEvents = 1, wakeupBytes, overwrite } = step.buffer;
    const wake = wakeupBytes === undefined ? `${wakeupEvents} 0` : `${wakeupBytes} 1`;
    return `perf 0 ${slot} ${cpu} ${pages} ${sampleType} ${wake} ${overwrite === true ? "1 0" : "0 1"}`;
  }
  if ("output" in step || "ring" in step) {
    const { packet, linear } = packetOf(step);
    return `run ${Buffer.from(packet).toString("hex")} ${linear === packet.length ? 0 : linear}`;
  }
  if ("seen" in step) return "seen";
  if ("dump" in step) return "dump";
  if ("tail" in step) return `tail ${step.tail}`;
  if ("ringDump" in step) return "ring 2";
  return `consume 2 ${step.consume}`;
}

function answer(step: Step, text: string, sampleType: number, pages: number): unknown {
  if ("output" in step || "ring" in step || "seen" in step) return Number(text) | 0;
  if (!("dump" in step) && !("ringDump" in step)) return null;
  const [first = "0", second = "0", hex = ""] = text.split(" ");
  const data = Buffer.from(hex, "hex");
  const length = "dump" in step ? pages * PAGE : RING_BYTES;
  const bytesAt = (position: bigint, bytes: number): Uint8Array =>
    Uint8Array.from({ length: bytes }, (_, index) => data[Number((position + BigInt(index)) & BigInt(length - 1))]!);
  const [to, from] = [BigInt(first), BigInt(second)];
  if ("ringDump" in step) return { producer: first, consumer: second, records: ringRecords(from, to, bytesAt) };
  // written backward: from the head on, as far as it holds
  if (to > 1n << 63n) return backward(to, length, sampleType, bytesAt);
  return { head: first, tail: second, records: perfRecords(from, to, sampleType, bytesAt) };
}

/** All whole records from the head on. */
export function backward(
  head: bigint,
  length: number,
  sampleType: number,
  bytesAt: (position: bigint, bytes: number) => Uint8Array,
): unknown {
  const written = Number(BigInt.asUintN(64, -head));
  const end = head + BigInt(Math.min(written, length));
  return { head: String(head), records: perfRecords(head, end, sampleType, bytesAt) };
}
