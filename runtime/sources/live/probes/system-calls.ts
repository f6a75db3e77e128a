/**
 * Places in the files of what is traced that fetch what a system call's arguments name, right before the call: by the rows of
 * spec/system-call-memory.ts, wherever code.ts finds the call.
 */
import { BpfError } from "../../../../base/index.ts";
import { type MemoryArgument, SYSTEM_CALL_MEMORY, type SystemCallMemory } from "../../../../spec/index.ts";
import type { WantedHook } from "../../../source.ts";
import type { LiveTarget } from "../events.ts";
import { fileIdentity } from "../executable.ts";
import type { CapturedMemory } from "./captured.ts";
import { type SystemCallSite, systemCallSites } from "./code.ts";
import type { ProbeLine, ProbePlace } from "./definition.ts";
import { withElfFile } from "./elf.ts";
import { type FetchTarget, mayFetchTexts, numberArgument, textArguments, WORDS_MAX, wordArguments } from "./fetch.ts";
import { findLibrary, isElf, mappedFiles } from "./files.ts";

/** Texts of a list that are fetched. Kernel: a fetch argument has no loop. */
const LIST_TEXTS = 32;
const POINTER_BYTES = 8;
/** Where many calls go through: for one that has no pointer there, each word is a page fault. */
export const NUMBERED_WORDS = 32;
/** What nearly every program on Linux makes its calls through. */
const LIBRARIES = [/^libc\.so\.6$/, /^ld-linux-x86-64\.so\.2$/, /^ld-musl-x86_64\.so\.1$/] as const;

/** The calls at whose events a program may read memory. */
export function wantedCalls(wanted: readonly WantedHook[]): SystemCallMemory[] {
  const names = new Set<string>();
  for (const { kind, name, reads } of wanted) {
    if (reads === undefined || (!reads.texts && !reads.memory)) continue;
    if (/^(raw_syscalls\/)?sys_(enter|exit)$/.test(name)) return [...SYSTEM_CALL_MEMORY];
    const call = kind === "tracepoint" ? /^syscalls\/sys_(?:enter|exit)_(\w+)$/.exec(name)?.[1] : undefined;
    if (call !== undefined) names.add(call);
  }
  return SYSTEM_CALL_MEMORY.filter(({ name }) => names.has(name));
}

/** Files that hold the code of what is traced, each once. */
export function codeFiles(target: LiveTarget): string[] {
  const own = "path" in target ? [target.path] : mappedFiles(target.pid).map(({ path }) => path);
  const libraries = LIBRARIES.flatMap((name) => findLibrary(name) ?? []);
  const found = new Map<string, string>();
  for (const path of [...own, ...libraries]) {
    const identity = fileIdentity(path);
    if (identity !== null && !found.has(identity) && isElf(path)) found.set(identity, path);
  }
  return [...found.values()];
}

interface Fetches {
  readonly lines: ProbeLine[];
  readonly targets: FetchTarget[];
}

export interface CallPlan {
  readonly texts: Fetches;
  readonly words: Fetches;
  /** words of calls whose number the records tell */
  readonly numbered: Fetches;
}

export function planCalls(
  calls: readonly SystemCallMemory[],
  files: readonly string[],
  captured: CapturedMemory,
): CallPlan {
  const rows = new Map(calls.map((row) => [row.number, row]));
  const fetches = (): Fetches => ({ lines: [], targets: [] });
  const plan: CallPlan = { texts: fetches(), words: fetches(), numbered: fetches() };
  const hasTexts = mayFetchTexts();
  for (const path of files) {
    for (const site of sitesOf(path, (number) => rows.has(number))) {
      const place = { path, offset: site.offset, semaphore: null, isReturn: false };
      if (typeof site.number === "number")
        planSite(plan, { place, site, row: rows.get(site.number)!, captured, hasTexts });
      else planNumbered(plan.numbered, { place, site, numberRegister: site.number, rows, captured });
    }
  }
  return plan;
}

function sitesOf(path: string, isWanted: (number: number) => boolean): SystemCallSite[] {
  try {
    return withElfFile(path, (image) => systemCallSites(image, isWanted));
  } catch (error) {
    // for another machine, or damaged: what it calls is read later than it should be
    if (error instanceof BpfError) return [];
    throw error;
  }
}

interface NumberedSite {
  readonly place: ProbePlace;
  readonly site: SystemCallSite;
  readonly numberRegister: string;
  readonly rows: ReadonlyMap<number, SystemCallMemory>;
  readonly captured: CapturedMemory;
}

/**
 * A place that many calls go through: everything is fetched that one of them may name, as words, since what is a text for one is
 * a number or a buffer without an end for another. Lists are left out: their many probes would be passed at every call.
 */
function planNumbered(numbered: Fetches, { place, site, numberRegister, rows, captured }: NumberedSite): void {
  const numberOf = numberArgument(numberRegister);
  let part = 0;
  const fetch = (
    argument: number,
    length: string,
    names: (row: SystemCallMemory) => boolean,
    isText: boolean,
  ): void => {
    const pointer = site.args[argument] ?? null;
    if (pointer === null) return;
    const own = part++;
    const at = { pointer: `%${pointer}`, length, words: NUMBERED_WORDS };
    numbered.lines.push({ place, args: [...wordArguments(numbered.targets.length, at), numberOf] });
    numbered.targets.push((tid, found, number) => {
      const row = rows.get(number);
      if (row === undefined || !names(row)) return;
      // what cannot be read comes as zeros
      const isKnown = found !== null && (!isText || found.bytes[0] !== 0);
      captured.beginCall(tid, number, own, isKnown ? found : null);
    });
  };
  const all = [...rows.values()];
  for (const argument of new Set(all.flatMap(({ texts }) => texts))) {
    fetch(argument, `\\${NUMBERED_WORDS * POINTER_BYTES}`, (row) => row.texts.includes(argument), true);
  }
  const memory = new Map(all.flatMap((row) => row.memory.map((one) => [memoryKey(one), one])));
  for (const [key, { index, bytes }] of memory) {
    const length = typeof bytes === "number" ? `\\${bytes}` : (site.args[bytes.argument] ?? null);
    if (length === null) continue;
    fetch(
      index,
      typeof bytes === "number" ? length : `%${length}`,
      (row) => row.memory.some((one) => memoryKey(one) === key),
      false,
    );
  }
}

const memoryKey = ({ index, bytes }: MemoryArgument): string =>
  `${index} ${typeof bytes === "number" ? bytes : `%${bytes.argument}`}`;

interface SitePlan {
  readonly place: ProbePlace;
  readonly site: SystemCallSite;
  readonly row: SystemCallMemory;
  readonly captured: CapturedMemory;
  readonly hasTexts: boolean;
}

function planSite({ texts, words }: CallPlan, { place, site, row, captured, hasTexts }: SitePlan): void {
  const registerOf = (argument: number): string | null => {
    const register = site.args[argument] ?? null;
    return register === null ? null : `%${register}`;
  };
  let part = 0;
  const takePart = (): FetchTarget => {
    const own = part++;
    return (tid, found) => captured.beginCall(tid, row.number, own, found);
  };
  const text = (pointer: string): void => {
    if (!hasTexts) return;
    texts.lines.push({ place, args: textArguments(texts.targets.length, pointer) });
    texts.targets.push(takePart());
  };
  const block = (pointer: string, length: string): void => {
    words.lines.push({ place, args: wordArguments(words.targets.length, { pointer, length, words: WORDS_MAX }) });
    words.targets.push(takePart());
  };
  for (const argument of row.texts) {
    const pointer = registerOf(argument);
    if (pointer !== null) text(pointer);
  }
  for (const { index, bytes } of row.memory) {
    const pointer = registerOf(index);
    const length = typeof bytes === "number" ? `\\${bytes}` : registerOf(bytes.argument);
    if (pointer !== null && length !== null) block(pointer, length);
  }
  for (const argument of row.lists) {
    const list = registerOf(argument);
    if (list === null) continue;
    block(list, `\\${(LIST_TEXTS + 1) * POINTER_BYTES}`);
    for (let index = 0; index < LIST_TEXTS; index++) text(`+${index * POINTER_BYTES}(${list})`);
  }
}
