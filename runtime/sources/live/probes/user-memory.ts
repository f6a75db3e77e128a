/**
 * Memory of the traced processes as programs read it: what was fetched for the event at its moment, else, where that is allowed,
 * what /proc/PID/mem says now, which is counted. Nothing known: the read fails with EFAULT.
 */
import type { WantedHook } from "../../../source.ts";
import { ArenaMemory } from "../../memory.ts";
import type { LiveEvent, LivePlace, LiveProber, LiveRecord, UserMemory } from "../events.ts";
import type { UserMemoryMode, UserReads } from "../options.ts";
import { CapturedMemory } from "./captured.ts";
import { hasProbeEvents, ProbeGroup, type ProbeLine } from "./definition.ts";
import { FetchEvent, type FetchShape, type FetchTarget, numberFilter, WORDS_MAX } from "./fetch.ts";
import { openProbes } from "./prober.ts";
import { ProcessMemory } from "./process-memory.ts";
import { codeFiles, NUMBERED_WORDS, planCalls, wantedCalls } from "./system-calls.ts";

/** Probes in user code, and the memory that they and system calls bring. */
export interface Probing {
  readonly prober: LiveProber;
  userMemory(place: LivePlace, wanted: readonly WantedHook[]): UserMemory;
  readonly reads: UserReads;
}

export function makeProbing(mode: UserMemoryMode): Probing {
  const captured = mode === "capture" || mode === "strict" ? new CapturedMemory() : null;
  const processes = mode === "capture" || mode === "proc" ? new ProcessMemory() : null;
  const reads = { captured: 0, late: 0, unknown: 0 };
  return {
    reads,
    prober: {
      kinds: ["uprobe", "uretprobe", "usdt"],
      open: (place, wanted) => openProbes(place, wanted, captured),
    },
    userMemory: (place, wanted) => openUserMemory({ place, wanted, captured, processes, reads }),
  };
}

interface Opening {
  readonly place: LivePlace;
  readonly wanted: readonly WantedHook[];
  readonly captured: CapturedMemory | null;
  readonly processes: ProcessMemory | null;
  readonly reads: { -readonly [Name in keyof UserReads]: UserReads[Name] };
}

function openUserMemory({ place, wanted, captured, processes, reads }: Opening): UserMemory {
  const { world } = place;
  const group = new ProbeGroup(place.tracefs, place.owner);
  const canFetch = captured !== null && hasProbeEvents(place.tracefs);
  const events = !canFetch ? [] : callEvents(place, wanted, captured, group);
  return {
    events,
    fired: ({ payload, tid, timeLow }: LiveRecord, event, systemCall) => {
      if (captured === null || systemCall === null) return;
      const { view } = world;
      const number = view.getUint32(payload + NUMBER_FIELD, true);
      captured.joinCall(tid, number, view.getUint16(payload, true), timeLow, event);
    },
    release: () => captured?.release(),
    read: (event, tgid, { address, destination, bytes, isText }) => {
      const target = world.bytes.subarray(destination, destination + bytes);
      const known = captured?.read(event, address, target) ?? 0;
      if (known === bytes || (isText && target.subarray(0, known).includes(0))) {
        reads.captured++;
        return known;
      }
      const late =
        processes === null || tgid === 0 ? 0 : processes.read(tgid, address + BigInt(known), target.subarray(known));
      reads[late > 0 ? "late" : known > 0 ? "captured" : "unknown"]++;
      return known + late;
    },
    close: () => {
      captured?.clear();
      processes?.close();
      group.remove();
    },
  };
}
/** In the records of system calls. */
const NUMBER_FIELD = 8;

function callEvents(
  place: LivePlace,
  wanted: readonly WantedHook[],
  captured: CapturedMemory,
  group: ProbeGroup,
): LiveEvent[] {
  const calls = wantedCalls(wanted);
  if (calls.length === 0) return [];
  const { texts, words, numbered } = planCalls(calls, codeFiles(place.target), captured);
  const memory = new ArenaMemory(place.world);
  const define = (
    name: string,
    { lines, targets }: { readonly lines: readonly ProbeLine[]; readonly targets: readonly FetchTarget[] },
    shape: FetchShape,
  ) => {
    if (lines.length === 0) return [];
    group.define(name, lines);
    return [new FetchEvent(group.eventName(name), group.format(name), memory, targets, shape)];
  };
  try {
    return [
      ...define("call_text", texts, { words: null }),
      ...define("call_words", words, { words: WORDS_MAX }),
      ...define("call_any", numbered, {
        words: NUMBERED_WORDS,
        filter: numberFilter(calls.map(({ number }) => number)),
      }),
    ];
  } catch (error) {
    group.remove();
    throw error;
  }
}
