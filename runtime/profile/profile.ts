/** A profile: what programs spent their time on, as far as samples say. Stacks of numbers in, rows for people and tools out. */
import type { ProfilePlace } from "../../spec/index.ts";
import type { ProfiledCode, ProfiledObject } from "./code.ts";
import type { SampledStack } from "./sampler.ts";

export interface Profile {
  /** how long it went on */
  readonly seconds: number;
  /** mean time between two looks at a worker */
  readonly intervalUs: number;
  /** in all programs, over all workers */
  readonly samples: number;
  readonly ns: number;
  /** events under way, but in no program that says where it is: what drives them, and programs compiled without `profile` */
  readonly outside: { readonly samples: number; readonly ns: number };
  /** most time first */
  readonly programs: readonly ProgramProfile[];
  /** most time first */
  readonly stacks: readonly ProfileStack[];
}

export interface Share {
  readonly samples: number;
  readonly ns: number;
  /** of its program's time; of a program, of all programs' */
  readonly share: number;
}

export interface ProgramProfile extends Share {
  readonly object: string;
  readonly program: string;
  /** times that it was entered, exactly: by events, test runs, tail calls */
  readonly runs: number;
  /** null: it was not entered meanwhile, or never met */
  readonly nsPerRun: number | null;
  /** helpers and kernel functions; what their callbacks take is their callbacks' */
  readonly helpers: readonly HelperProfile[];
  /** with the helpers called on them, without subprograms */
  readonly lines: readonly LineProfile[];
}
export interface HelperProfile extends Share {
  readonly helper: string;
}
export interface LineProfile extends Share {
  readonly function: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly text: string | null;
  /** the first instruction that was met of it */
  readonly insnIndex: number;
}

/** Functions that call each other, outermost first, and where in the last one the time went. */
export interface ProfileStack {
  readonly object: string;
  readonly program: string;
  readonly frames: readonly ProfileFrame[];
  readonly samples: number;
  readonly ns: number;
}
export interface ProfileFrame {
  readonly function: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly insnIndex: number;
  readonly helper: string | null;
}

export interface Sampling {
  readonly seconds: number;
  readonly intervalUs: number;
  readonly stacks: readonly SampledStack[];
  /** times that a program was entered meanwhile */
  readonly runs: (object: ProfiledObject, functionIndex: number) => number;
}

/** A stack with what its numbers mean. */
interface Resolved {
  readonly object: ProfiledObject;
  readonly program: string;
  /** innermost first */
  readonly places: readonly ProfilePlace[];
  readonly samples: number;
  readonly ns: number;
}

export function makeProfile(code: ProfiledCode, { seconds, intervalUs, stacks, runs }: Sampling): Profile {
  const outside = { samples: 0, ns: 0 };
  const inside: Resolved[] = [];
  for (const stack of stacks) {
    const resolved = resolve(code, stack);
    if (resolved !== null) inside.push(resolved);
    else add(outside, stack);
  }
  const total = { samples: 0, ns: 0 };
  for (const stack of inside) add(total, stack);
  const programs = code.objects.flatMap((object) =>
    object.table.functions.flatMap((entry, functionIndex) => {
      if (!entry.isMain) return [];
      const own = inside.filter((stack) => stack.object === object && stack.program === entry.program);
      const entered = runs(object, functionIndex);
      return own.length === 0 && entered === 0 ? [] : [programProfile(object, entry.program, own, entered, total.ns)];
    }),
  );
  return {
    seconds,
    intervalUs,
    ...total,
    outside,
    programs: programs.sort(byTime),
    stacks: mergeStacks(inside).sort(byTime),
  };
}

interface Sum {
  samples: number;
  ns: number;
}

function add(sum: Sum, { samples, ns }: Readonly<Sum>): void {
  sum.samples += samples;
  sum.ns += ns;
}

const byTime = (one: Readonly<Sum>, other: Readonly<Sum>): number => other.ns - one.ns || other.samples - one.samples;

/** Null: in no program. */
function resolve(code: ProfiledCode, { places: numbers, samples, ns }: SampledStack): Resolved | null {
  const object = code.objectAt(numbers[0]!);
  if (object === undefined) return null;
  const { functions, places: all } = object.table;
  const placeOf = (number: number): ProfilePlace | undefined => all[number - object.placement.places];
  // A call that is about to be made or has just returned is the place itself.
  const callers = numbers.slice(numbers[1] === numbers[0] ? 2 : 1).map(placeOf);
  const places = [placeOf(numbers[0]!)!];
  for (let depth = 0; !functions[places.at(-1)!.function]!.isMain; depth++) {
    const called = places.at(-1)!.function;
    // What was read belongs to another run where it does not fit: the words were overtaken while they were read.
    const read = callers[depth];
    const caller = read?.calls.includes(called) ? read : onlyCaller(all, called);
    if (caller === null || places.includes(caller)) break;
    places.push(caller);
  }
  return { object, program: functions[places[0]!.function]!.program, places, samples, ns };
}

/** The only place that calls the function, null where there are several. */
function onlyCaller(places: readonly ProfilePlace[], called: number): ProfilePlace | null {
  const callers = places.filter(({ calls }) => calls.includes(called));
  return callers.length === 1 ? callers[0]! : null;
}

function programProfile(
  object: ProfiledObject,
  program: string,
  stacks: readonly Resolved[],
  runs: number,
  allNs: number,
): ProgramProfile {
  const total = { samples: 0, ns: 0 };
  const helpers = new Map<string, Sum>();
  const lines = new Map<string, Sum & { place: ProfilePlace }>();
  for (const stack of stacks) {
    const place = stack.places[0]!;
    add(total, stack);
    if (place.helper !== null)
      add(
        sumOf(helpers, place.helper, () => ({ samples: 0, ns: 0 })),
        stack,
      );
    const key = `${place.function} ${place.line ?? `insn ${place.insnIndex}`}`;
    add(
      sumOf(lines, key, () => ({ samples: 0, ns: 0, place })),
      stack,
    );
  }
  const share = (ns: number): number => (total.ns === 0 ? 0 : ns / total.ns);
  return {
    object: object.name,
    program,
    runs,
    ...total,
    nsPerRun: runs === 0 || total.samples === 0 ? null : total.ns / runs,
    share: allNs === 0 ? 0 : total.ns / allNs,
    helpers: [...helpers].map(([helper, sum]) => ({ helper, ...sum, share: share(sum.ns) })).sort(byTime),
    lines: [...lines.values()]
      .map(({ place, samples, ns }) => {
        const { function: name, file, line, insnIndex } = frameOf(object, place);
        return { function: name, file, line, text: textOf(object, place), insnIndex, samples, ns, share: share(ns) };
      })
      .sort(byTime),
  };
}

function sumOf<Value>(sums: Map<string, Value>, key: string, make: () => Value): Value {
  const known = sums.get(key);
  if (known !== undefined) return known;
  const made = make();
  sums.set(key, made);
  return made;
}

const textOf = ({ table }: ProfiledObject, { line }: ProfilePlace): string | null =>
  line === null ? null : table.lines[line]!.text;

function frameOf({ table }: ProfiledObject, place: ProfilePlace): ProfileFrame {
  const line = place.line === null ? null : table.lines[place.line]!;
  const { insnIndex, helper } = place;
  const name = table.functions[place.function]!.name;
  return { function: name, file: line?.file ?? null, line: line?.line ?? null, insnIndex, helper };
}

/** Numbers that mean the same stack become one. */
function mergeStacks(stacks: readonly Resolved[]): ProfileStack[] {
  const merged = new Map<string, Sum & Omit<ProfileStack, keyof Sum>>();
  for (const { object, program, places, ...sum } of stacks) {
    const frames = places.map((place) => frameOf(object, place)).reverse();
    const key = JSON.stringify([object.placement.places, program, frames]);
    add(
      sumOf(merged, key, () => ({ object: object.name, program, frames, samples: 0, ns: 0 })),
      sum,
    );
  }
  return [...merged.values()];
}
