/**
 * Probes in user code for hooks of uprobe, uretprobe and usdt programs: the places that a hook's name means, as events of the
 * kernel whose records are the ctx. A pattern means many places, a USDT probe all that have the same operands.
 */
import { AttachError, UnsupportedError } from "../../../../base/index.ts";
import { PARAMETER_REGISTERS, RESULT_REGISTER } from "../../../../spec/index.ts";
import type { WantedHook } from "../../../source.ts";
import { parseUsdtArguments, type UsdtOperand } from "../../../usdt.ts";
import { ArenaMemory } from "../../memory.ts";
import type { LiveEvent, LivePlace, LiveProbes } from "../events.ts";
import type { Captured, CapturedMemory } from "./captured.ts";
import { hasProbeEvents, ProbeGroup, type ProbeLine, type ProbePlace } from "./definition.ts";
import { ElfFiles, type ElfImage } from "./elf.ts";
import { FetchEvent, type FetchTarget, mayFetchTexts, textArguments, WORDS_MAX, wordArguments } from "./fetch.ts";
import { resolveFile } from "./files.ts";
import { findFunction, matchFunctions } from "./functions.ts";
import { memoryArguments, OPERAND_BYTES, operandAddress, operandMemory, pointerFetches } from "./operands.ts";
import { type ProbeSite, RegistersEvent, registerArguments } from "./pt-regs.ts";
import { parseFunctionTarget, parseUsdtTarget } from "./target.ts";
import { findUsdtProbe } from "./usdt.ts";

/** Words that are fetched at a pointer for a program that reads more than texts. */
const POINTER_WORDS = 16;

/** Of a hook: where it is, and what its operands are. */
interface HookPlaces {
  readonly places: readonly ProbePlace[];
  readonly pid: number | null;
  readonly operands: readonly UsdtOperand[];
}

interface EventPlan {
  readonly lines: ProbeLine[];
  readonly sites: ProbeSite[];
}

interface FetchPlan {
  readonly lines: ProbeLine[];
  readonly targets: FetchTarget[];
  readonly words: number | null;
}

/** `captured`: takes what is fetched of the process's memory; null: nothing is. */
export function openProbes(
  place: LivePlace,
  wanted: readonly WantedHook[],
  captured: CapturedMemory | null,
): LiveProbes {
  if (!hasProbeEvents(place.tracefs)) {
    const { kind, name } = wanted[0]!;
    throw new UnsupportedError(
      "UNSUPPORTED_FEATURE",
      kind,
      `${kind} ${name} cannot be traced: this kernel has no probes in user code (CONFIG_UPROBE_EVENTS)`,
      { hint: "leave its program out: --prog names the others" },
    );
  }
  const plan = new Plan(place, captured);
  try {
    for (const hook of wanted) plan.add(hook);
  } finally {
    plan.closeFiles();
  }
  return plan.define();
}

class Plan {
  readonly #place: LivePlace;
  readonly #captured: CapturedMemory | null;
  readonly #events = new Map<string, EventPlan>();
  readonly #fetches = new Map<string, FetchPlan>();
  readonly #hasTexts = mayFetchTexts();
  readonly #files = new ElfFiles();
  /** a number for every place of every hook */
  #keys = 0;

  constructor(place: LivePlace, captured: CapturedMemory | null) {
    this.#place = place;
    this.#captured = captured;
  }

  add(hook: WantedHook): void {
    const { places, pid, operands } = this.#places(hook);
    const memory = operandMemory(operands);
    for (const place of places) {
      const key = this.#keys++;
      const event = this.#event(place.isReturn, memory.length);
      const args = [...registerArguments(event.sites.length), ...memoryArguments(memory)];
      event.lines.push({ place, args });
      const isFetched = this.#fetch(hook, place, operands, key);
      const captured = this.#captured;
      event.sites.push({
        hook: hook.address,
        pid,
        join:
          captured === null || (memory.length === 0 && !isFetched)
            ? null
            : ({ tid }, address, ctx, further) => {
                const { view, bytes } = this.#place.world;
                const slots = memory.map((operand, index) => ({
                  address: operandAddress(view, ctx, operand),
                  bytes: bytes.slice(further + index * OPERAND_BYTES, further + (index + 1) * OPERAND_BYTES),
                }));
                captured.add(address, [...slots, ...captured.take(tid, key)]);
              },
      });
    }
  }

  /** No more places are looked for. */
  closeFiles(): void {
    this.#files.close();
  }

  /** Makes the events. Those that fetch come last: of the probes at one place, the kernel runs first what was enabled last. */
  define(): LiveProbes {
    const { tracefs, owner, world } = this.#place;
    const memory = new ArenaMemory(world);
    const group = new ProbeGroup(tracefs, owner);
    const events: LiveEvent[] = [];
    try {
      for (const [name, { lines, sites }] of this.#events) {
        group.define(name, lines);
        events.push(new RegistersEvent(group.eventName(name), group.format(name), memory, sites));
      }
      for (const [name, { lines, targets, words }] of this.#fetches) {
        group.define(name, lines);
        events.push(new FetchEvent(group.eventName(name), group.format(name), memory, targets, { words }));
      }
    } catch (error) {
      group.remove();
      throw error;
    }
    return { events, close: () => group.remove() };
  }

  #event(isReturn: boolean, slots: number): EventPlan {
    const name = `${isReturn ? "leave" : "enter"}${slots}`;
    const event = this.#events.get(name) ?? { lines: [], sites: [] };
    this.#events.set(name, event);
    return event;
  }

  /** Places that fetch what the hook's programs may read. False: nothing is fetched. */
  #fetch({ kind, reads }: WantedHook, place: ProbePlace, operands: readonly UsdtOperand[], key: number): boolean {
    const captured = this.#captured;
    if (captured === null || reads === undefined) return false;
    const target = (tid: number, found: Captured | null): void => captured.expect(tid, key, found);
    let isFetched = false;
    const fetch = (
      name: string,
      words: number | null,
      args: (target: number) => ProbeLine["args"],
      take: FetchTarget = target,
    ) => {
      const plan = this.#fetches.get(name) ?? { lines: [], targets: [], words };
      this.#fetches.set(name, plan);
      plan.lines.push({ place, args: args(plan.targets.length) });
      plan.targets.push(take);
      isFetched = true;
    };
    const pointers =
      kind === "usdt"
        ? pointerFetches(operands)
        : (place.isReturn ? [RESULT_REGISTER] : PARAMETER_REGISTERS).map((register) => `%${register}`);
    const side = place.isReturn ? "leave" : "enter";
    for (const pointer of pointers) {
      if (reads.texts && this.#hasTexts) fetch(`${side}_text`, null, (index) => textArguments(index, pointer));
      // programs of USDT probes read their operands that way, and what those point to seldom
      if (!reads.memory || kind === "usdt") continue;
      const at = { pointer, length: `\\${POINTER_WORDS * 8}`, words: POINTER_WORDS };
      fetch(`${side}_words`, POINTER_WORDS, (index) => wordArguments(index, at));
    }
    for (const { from } of operands) {
      if (from.kind !== "memory" || from.index === null) continue;
      const { base, offset } = from;
      const at = { pointer: `%${base}`, offset, length: `\\${WORDS_MAX * 8}`, words: WORDS_MAX };
      fetch(
        `${side}_table`,
        WORDS_MAX,
        (index) => wordArguments(index, at),
        (tid, found) =>
          target(tid, found === null ? null : { ...found, address: BigInt.asUintN(64, found.address + offset) }),
      );
    }
    return isFetched;
  }

  #places(hook: WantedHook): HookPlaces {
    return hook.kind === "usdt" ? this.#usdtPlaces(hook) : this.#functionPlaces(hook);
  }

  #functionPlaces({ kind, name }: WantedHook): HookPlaces {
    const target = parseFunctionTarget(kind as "uprobe", name);
    const { offset, semaphore, pid } = target;
    const path = resolveFile(target.path, pid ?? this.#traced);
    const isReturn = kind === "uretprobe";
    const offsets = functionOffsets(this.#files.image(path), target.function);
    if (isReturn && target.function !== null && offset !== 0) {
      throw new AttachError("ATTACH_TARGET", `${name} is inside a function, where it has no return to probe`, {
        errno: "EINVAL",
      });
    }
    const places = offsets.map((start) => ({ path, offset: start + offset, semaphore, isReturn }));
    return { places, pid, operands: [] };
  }

  #usdtPlaces({ name }: WantedHook): HookPlaces {
    const target = parseUsdtTarget(name);
    const { path, variants } = findUsdtProbe(target, this.#traced);
    const places = variants[target.variant];
    if (places === undefined) {
      throw new AttachError("ATTACH_TARGET", `${name}: the probe has ${variants.length} sets of operands`);
    }
    return {
      places: places.map(({ offset, semaphore }) => ({ path, offset, semaphore, isReturn: false })),
      pid: target.pid,
      operands: parseUsdtArguments(places[0]!.args),
    };
  }

  /** Null: a command that has not begun. */
  get #traced(): number | null {
    const { target } = this.#place;
    return "path" in target ? null : target.pid;
  }
}

function functionOffsets(image: ElfImage, name: string | null): number[] {
  if (name === null) return [0];
  if (/[*?]/.test(name)) return matchFunctions(image, name).map(({ offset }) => offset);
  return [findFunction(image, name).offset];
}
