/** What the manifest says of a program: what it calls, uses, reads of its ctx and writes to rings. */
import { CTX, helperById, type ProgramManifest, programType } from "../../spec/index.ts";
import { CLASS, JMP, PSEUDO_CALL, SIZE_BYTES } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import type { InsnFacts, Program, ProgramFacts } from "../program.ts";
import { argumentBytes } from "./kernel-facts.ts";
import { factsOf, forEachReached, type LowerableProgram, mapOf } from "./lower.ts";

export function describeProgram(program: LowerableProgram): ProgramManifest {
  const facts = factsOf(program);
  const helpers = new Set<string>();
  const maps = new Set<number>();
  const records = new Map<string, ProgramManifest["records"][number]>();
  /** a record is written to a map that is not known: to any of them */
  let isAnywhere = false;
  forEachReached(program, facts, (insnIndex) => {
    const insn = program.insns[insnIndex]!;
    const map = mapOf(program, insnIndex);
    if (map !== null) maps.add(map);
    const name = helperName(insn);
    if (name === null) return;
    helpers.add(name);
    if (!writesRecord(name)) return;
    const record = recordOf(name, facts?.insns[insnIndex] ?? null);
    if (record === null) isAnywhere = true;
    else records.set(`${record.map} ${record.sizeBytes}`, record);
  });
  if (isAnywhere)
    for (const map of maps)
      if (RECORD_MAPS.has(program.maps[map]!.type)) records.set(`${map} null`, { map, sizeBytes: null, type: null });
  const passed = argumentBytes(program);
  return {
    name: program.name,
    section: program.section,
    type: program.type,
    attachType: program.attachType,
    attachTarget: program.attachTarget,
    autoload: program.autoload,
    insns: program.insns.length,
    ...(program.architecture !== undefined && { architecture: program.architecture }),
    ...(program.type === "raw" ? { memoryBytes: program.memoryBytes } : {}),
    ...(isOfOpenLength(program) ? { ctxBytes: ctxBytesRead(program, facts) } : {}),
    ...(isTracepoint(program) && program.ctxType !== undefined ? { ctxType: program.ctxType } : {}),
    ...(passed !== undefined && { argumentBytes: passed }),
    ...(facts !== null && hasBuffers(program) && { bufferBytes: facts.bufferBytes }),
    helpers: [...helpers].sort(),
    maps: [...maps].sort((a, b) => a - b),
    records: [...records.values()].sort((a, b) => a.map - b.map || (a.sizeBytes ?? 0) - (b.sizeBytes ?? 0)),
  };
}

function helperName(insn: Insn): string | null {
  if (insn.opcode !== (CLASS.JMP | JMP.CALL) || insn.src !== PSEUDO_CALL.HELPER) return null;
  return helperById(insn.imm)?.name ?? null;
}

/** Register that holds the size of the record, by helper. */
const RECORD_SIZE: Readonly<Record<string, number>> = {
  bpf_ringbuf_output: 3,
  bpf_ringbuf_reserve: 2,
  bpf_ringbuf_reserve_dynptr: 2,
  bpf_perf_event_output: 5,
};

const RECORD_MAPS: ReadonlySet<string> = new Set(["ringbuf", "perf_event_array"]);

/** Whatever is not known to write none may write one of any size. */
const writesRecord = (name: string): boolean =>
  RECORD_SIZE[name] !== undefined || (name.startsWith("bpf_ringbuf_") && !/_(query|submit|discard)/.test(name));

/** Null where the map is not known. The struct's name never is: the verifier tracks memory, not C types. */
function recordOf(name: string, facts: InsnFacts | null): ProgramManifest["records"][number] | null {
  const register = RECORD_SIZE[name];
  if (facts === null || facts.map === null) return null;
  const size = register === undefined ? null : (facts.constants[register - 1] ?? null);
  return { map: facts.map, sizeBytes: size === null ? null : Number(size), type: null };
}

/** The ctx is as long as the event makes it. */
function isOfOpenLength({ type }: Program): boolean {
  const { ctx } = programType(type);
  return type !== "raw" && ctx !== null && CTX[ctx].size === null;
}
const isTracepoint = (program: Program): boolean => program.type === "tracepoint" || program.type === "raw_tracepoint";

/** Where the last byte of the ctx that some path reads lies. Kernel: check_ctx_access(), max_ctx_offset. */
function ctxBytesRead(program: Program, facts: ProgramFacts | null): number {
  return program.insns.reduce((most, insn, index) => {
    const offset = facts?.insns[index]?.ctxOffset ?? null;
    return offset === null ? most : Math.max(most, offset + SIZE_BYTES[insn.opcode & 0x18]!);
  }, 0);
}

const hasBuffers = ({ type, attachType }: Program): boolean =>
  attachType === "trace_iter" || type === "raw_tracepoint_writable";
