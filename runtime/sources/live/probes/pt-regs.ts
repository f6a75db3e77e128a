/**
 * Records of a probe whose arguments are the registers in the order of struct pt_regs: behind the kernel's own fields the
 * payload *is* the ctx of the program. What programs expect before their ctx (CTX_HEAD: the probed address) is written over
 * fields of the record that nobody reads any more.
 */
import { CTX_HEAD, REGISTERS, REGISTERS_BYTES, type RegisterName, TASK } from "../../../../spec/index.ts";
import type { TracepointFormat } from "../../format.ts";
import type { ArenaMemory } from "../../memory.ts";
import type { LiveBatch, LiveEvent, LiveRecord } from "../events.ts";
import type { FetchArgument } from "./definition.ts";
import { argumentsStart } from "./fetch.ts";

/** Which place was hit. */
export interface ProbeSite {
  /** address of the HOOK */
  readonly hook: number;
  /** the only process that counts; null: all that are traced */
  readonly pid: number | null;
  /** what else the site's records tell: called with the EVENT that a record became, and where its further arguments lie */
  readonly join: ((record: LiveRecord, event: number, ctx: number, further: number) => void) | null;
}

/** Registers, then the number of the site; further arguments may follow. */
export function registerArguments(site: number): FetchArgument[] {
  const registers = Object.keys(REGISTERS) as RegisterName[];
  return [...registers.map((name): FetchArgument => `${name}=%${name}:x64`), `site=\\${site}:u32`];
}

export class RegistersEvent implements LiveEvent {
  readonly name: string;
  readonly format: TracepointFormat;
  readonly fires = 1;
  readonly #memory: ArenaMemory;
  readonly #sites: readonly ProbeSite[];
  /** of the registers in a record */
  readonly #start: number;

  constructor(name: string, format: TracepointFormat, memory: ArenaMemory, sites: readonly ProbeSite[]) {
    this.name = name;
    this.format = format;
    this.#memory = memory;
    this.#sites = sites;
    this.#start = argumentsStart(format);
  }

  emit(record: LiveRecord, batch: LiveBatch): boolean {
    const memory = this.#memory;
    memory.refresh();
    const { words } = memory;
    const ctx = record.payload + this.#start;
    const further = ctx + REGISTERS_BYTES;
    const site = this.#sites[words[further >>> 2]!];
    if (site === undefined) return true;
    if (site.pid !== null && words[(record.task + TASK.tgid) >>> 2] !== site.pid) return true;
    const address = record.payload + PROBED_ADDRESS;
    const head = (ctx - CTX_HEAD.bytes) >>> 2;
    const low = words[address >>> 2]!;
    const high = words[(address >>> 2) + 1]!;
    words[head + CTX_HEAD.address / 4] = low;
    words[head + CTX_HEAD.address / 4 + 1] = high;
    words[head + CTX_HEAD.arguments / 4] = 0;
    words[head + CTX_HEAD.arguments / 4 + 1] = 0;
    const event = batch.fire(record, site.hook, ctx, REGISTERS_BYTES);
    site.join?.(record, event, ctx, further + SITE_BYTES);
    return true;
  }
}
/** __probe_ip, __probe_func */
const PROBED_ADDRESS = 8;
const SITE_BYTES = 4;
