/** Everything one verification shares: the program, its tables, what is known per instruction, counters, pending paths. */

import { type CtxSpec, ctxSpec } from "../../spec/ctx.ts";
import type { MapSpec } from "../../spec/map-types.ts";
import { type ProgramTypeSpec, programType } from "../../spec/program-types.ts";
import { ATTACH_TYPES, type AttachTypeName } from "../../spec/sections.ts";
import type { SpecialField } from "../../spec/special-fields.ts";
import type { Insn } from "../asm/instruction.ts";
import { registersBytesOf } from "../object/architecture.ts";
import type { Program } from "../program.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { FactsBuilder } from "./facts.ts";
import type { Hook } from "./hook-prototype.ts";
import type { KernelFunction } from "./kernel-function.ts";
import { Log } from "./log.ts";
import type { SccVisits } from "./loops.ts";
import type { Recorder } from "./recorder.ts";
import type { RegState } from "./register.ts";
import type { StackLiveness } from "./stack-liveness.ts";
import type { Frame, HistoryEntry, State } from "./state.ts";

/** A subprogram as the verifier sees it; index 0 is the main function. */
export interface Subprogram {
  readonly start: number;
  /** first slot behind it */
  readonly end: number;
  readonly name: string;
  readonly linkage: "static" | "global";
  /** index in program.functions, -1 where that does not list it */
  readonly functionIndex: number;
  stackBytes: number;
  isCallback: boolean;
  /** a callback that runs later, with a stack of its own */
  isDeferred: boolean;
  hasTailCall: boolean;
  hasLegacyPacketAccess: boolean;
  changesPacket: boolean;
  mightSleep: boolean;
  /** global: some verified path calls it, so it is verified on its own */
  called: boolean;
}

/** What cfg.ts and liveness.ts find out per slot. */
export interface InsnNotes {
  /** states are compared and may be pruned here */
  readonly prunePoint: Uint8Array;
  /** arrivals are written to the history */
  readonly jumpPoint: Uint8Array;
  readonly forceCheckpoint: Uint8Array;
  readonly callsCallback: Uint8Array;
  readonly stepsIterator: Uint8Array;
  /** strongly connected component, 0: none */
  readonly component: Int32Array;
  /** bit per register that may be read before it is written */
  readonly liveRegisters: Uint16Array;
}

/** A path that was put off. */
export interface Pending {
  readonly state: State;
  readonly insnIndex: number;
  readonly previousIndex: number;
  readonly logPosition: number;
}

export class Env {
  readonly program: Program;
  readonly insns: readonly Insn[];
  readonly type: ProgramTypeSpec;
  readonly ctx: CtxSpec;
  /** the expected attach type, or what the kernel takes an absent one for */
  readonly attachType: AttachTypeName | null;
  /** programs whose context is a function's arguments: that function */
  hook: Hook | null = null;
  readonly maps: readonly MapSpec[];
  readonly log: Log;
  /** null: not known */
  readonly cpus: number | null;
  readonly notes: InsnNotes;
  readonly facts: FactsBuilder;
  /** some path calls a kernel function that was not found */
  callsMissingFunction = false;
  /** by slot: the type of pointer that it accessed memory through. See pointer-use.ts */
  readonly pointerTypes: Int32Array;
  subprograms: Subprogram[] = [];
  /** those that the program calls, by `off` and `imm` of the call. See kernel-function.ts */
  readonly kernelFunctions = new Map<string, KernelFunction>();
  /** special fields of allocated objects, by type in the program's BTF. See value-fields.ts */
  readonly objectFields = new Map<number, readonly SpecialField[] | null>();
  /** the arena that the program uses */
  arena: MapSpec | null = null;
  /** index of the subprogram that exceptions end in, -1: none */
  exceptionCallback = -1;
  /** index into `subprograms` by first slot */
  readonly subprogramAt = new Map<number, number>();

  state!: State;
  insnIndex = 0;
  previousIndex = -1;
  pending: Pending[] = [];
  readonly explored = new Map<number, Checkpoint[]>();
  scc!: SccVisits;
  stackLiveness!: StackLiveness;
  /** history entry of the instruction under way, once it has one */
  historyEntry: HistoryEntry | null = null;
  lastId = 0;
  /** by slot of a bpf_loop call: its callback, null once there were several or flags. See callback.ts */
  readonly inlinedLoops = new Map<number, number | null>();

  processedInsns = 0;
  processedJumps = 0;
  /** at the last checkpoint */
  insnsAtCheckpoint = 0;
  jumpsAtCheckpoint = 0;
  totalStates = 0;
  exploredStates = 0;
  /** checkpoints that are out of use but have open paths */
  evictedStates = 0;
  peakStates = 0;
  mostStatesPerInsn = 0;

  /** registers and slots of the current frame written since the state was printed last */
  scratchedRegisters = 0;
  readonly scratchedSlots = new Set<number>();
  allScratched = true;
  /** log position behind the last printed instruction, and the length of its text */
  insnEnd = -1;
  insnTextLength = 0;
  lastLine: unknown = null;
  /** set where a rejection is explained, see explain/; what is accepted is verified without */
  recorder: Recorder | null = null;

  constructor(program: Program, logLevel: number, cpus: number | null) {
    this.cpus = cpus;
    this.program = program;
    this.insns = program.insns;
    this.type = programType(program.type);
    this.ctx = ctxOf(program, this.type);
    const isAbsent = program.attachType === null || program.attachType === ATTACH_TYPES[0];
    this.attachType = (isAbsent ? this.type.attachDefault : undefined) ?? program.attachType;
    this.maps = program.maps;
    this.log = new Log(logLevel);
    const slots = program.insns.length;
    this.notes = {
      prunePoint: new Uint8Array(slots),
      jumpPoint: new Uint8Array(slots),
      forceCheckpoint: new Uint8Array(slots),
      callsCallback: new Uint8Array(slots),
      stepsIterator: new Uint8Array(slots),
      component: new Int32Array(slots),
      liveRegisters: new Uint16Array(slots),
    };
    this.facts = new FactsBuilder(slots);
    this.pointerTypes = new Int32Array(slots);
  }

  newId(): number {
    return ++this.lastId;
  }
  get registers(): RegState[] {
    return this.state.registers;
  }
  register(number: number): RegState {
    return this.state.registers[number]!;
  }
  setRegister(number: number, reg: RegState): void {
    this.state.registers[number] = reg;
    this.scratchedRegisters |= 1 << number;
  }
  scratchRegister(number: number): void {
    this.scratchedRegisters |= 1 << number;
  }

  scratchSlot(frame: Frame, index: number): void {
    if (frame === this.state.frame) this.scratchedSlots.add(index);
  }

  /** The subprogram that `slot` lies in. Kernel: find_containing_subprog(). */
  subprogramOf(slot: number): Subprogram {
    let low = 0;
    let high = this.subprograms.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.subprograms[middle]!.start <= slot) low = middle;
      else high = middle - 1;
    }
    return this.subprograms[low]!;
  }
}

function ctxOf({ architecture, targetBtf }: Program, type: ProgramTypeSpec): CtxSpec {
  const registersBytes = architecture === undefined || !targetBtf ? undefined : registersBytesOf(targetBtf);
  return ctxSpec(type.ctx ?? "raw", architecture, registersBytes);
}
