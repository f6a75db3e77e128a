/**
 * What helpers and kernel functions on dynptrs answer and do, against the kernel's test runs: every answer, every byte read,
 * memory and packets afterwards. UPDATE=1 records the kernel's answers anew.
 */
import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { assembleProgram, encodeInsns } from "../../compiler/asm/index.ts";
import { lowerObject } from "../../compiler/lowering/index.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { createRuntime } from "../../runtime/index.ts";
import { type CompiledObject, mapTypeByName, programType } from "../../spec/index.ts";
import { targetBtf } from "../filetests/runner/target.ts";
import { askKernel, isRecordedKernel, type KernelJob, recordedAnswers } from "../runtime/kernel.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";

interface Answer {
  readonly retval: number;
  /** the packet afterwards, by its hash where it is long */
  readonly packet: string;
  readonly out: string;
  readonly data: string;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const trimmed = (text: string): string => text.replace(/(00)+$/, "");
const shortened = (text: string): string =>
  text.length <= 256 ? text : `${text.length / 2}:${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;

const XDP_HAS_FRAGS = 1 << 5;
const PACKET_OUT_BYTES = 80_000;

/** struct xdp_md: no metadata, `linear` bytes in the first part. */
function context(linear: number | undefined): Uint8Array | undefined {
  if (linear === undefined) return undefined;
  return new Uint8Array(Uint32Array.from([0, linear, 0, 0, 0, 0]).buffer);
}

function jobsOf({ text, inputs }: Scenario): KernelJob[] {
  const { program } = assembleProgram(text, { targetBtf: targetBtf() });
  return inputs.map(({ packet, linear }) => ({
    type: programType(program.type).id,
    license: program.license,
    progFlags: program.section === "xdp.frags" ? XDP_HAS_FRAGS : 0,
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
    runs: [
      {
        dataIn: hex(packet),
        dataOut: PACKET_OUT_BYTES,
        ...(linear !== undefined && { ctxIn: hex(context(linear)!) }),
      },
    ],
    read: [0, 1],
  }));
}

function kernelAnswers(): Answer[] {
  return askKernel(SCENARIOS.flatMap(jobsOf)).map(({ load, log, runs, values }) => {
    if (load !== 0) throw new Error(`the kernel refuses a program: ${log}`);
    const { errno, retval, dataOut } = runs[0]!;
    if (errno !== 0) throw new Error(`the kernel does not run a program: ${errno}`);
    return {
      retval,
      packet: shortened(dataOut!),
      out: trimmed(values["0"]!),
      data: trimmed(values["1"]!),
    };
  });
}

function compile(text: string): Promise<CompiledObject> {
  const { program } = assembleProgram(text, { targetBtf: targetBtf() });
  const result = verify(program, { logLevel: 1 });
  if (result.verdict !== "accepted") throw result.error;
  const { maps, license } = program;
  return lowerObject({ name: "test", license, maps, types: {}, programs: [result.program] }, { optimize: 0 });
}

async function ourAnswer(compiled: CompiledObject, { packet, linear }: Scenario["inputs"][number]): Promise<Answer> {
  await using runtime = createRuntime();
  await using object = await runtime.link(compiled);
  const { retval, dataOut } = object.programs.prog!.testRun({ dataIn: packet, ctxIn: context(linear) });
  const contents = (map: string): string => trimmed(hex(object.maps[map]!.lookup(new Uint8Array(4)) as Uint8Array));
  return { retval, packet: shortened(hex(dataOut!)), out: contents("out"), data: contents("data") };
}

const recorded = recordedAnswers(new URL("./recorded/dynptr.json", import.meta.url), kernelAnswers);
let next = 0;

// Kernel functions are called by their number in the running kernel's BTF.
describe.skipIf(targetBtf() === null).each(SCENARIOS)("$name", (scenario) => {
  const first = next;
  next += scenario.inputs.length;
  let compiled: CompiledObject;
  beforeAll(async () => {
    compiled = await compile(scenario.text);
  });
  it.each(scenario.inputs.map((input, index) => ({ input, index, bytes: input.packet.length, linear: input.linear })))(
    "a packet of $bytes, $linear in front",
    async ({ input, index }) => {
      expect(await ourAnswer(compiled, input)).toEqual(recorded[first + index]);
    },
  );
});

it.skipIf(!isRecordedKernel)("the recorded answers are this kernel's", () => {
  expect(kernelAnswers()).toEqual(recorded);
});
