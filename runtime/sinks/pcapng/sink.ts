/**
 * Records and packets → pcapng, for Wireshark and tshark. Every map is an interface. A record whose layout is known becomes
 * the packet that it holds, with its meta as a comment; any other record is a packet of link type USER0 with its fields as a
 * comment. Times are ns, from the clock that the records have: for a capture that of the recorded machine since it started.
 */
import { BugError, cString, toHex, UsageError } from "../../../base/index.ts";
import type { CType } from "../../../spec/index.ts";
import { formatValue } from "../../values/text.ts";
import { BlockWriter } from "../blocks.ts";
import type { RecordOrigin, RecordPlace, RecordSink, RecordTask, SinkStart } from "../sink.ts";
import type { OutputTarget } from "../target.ts";
import {
  type BlockOption,
  OPTION,
  textOption,
  u32Option,
  u64Option,
  writeInterface,
  writePacket,
  writeSection,
  writeStatistics,
} from "./blocks.ts";
import { LINK_TYPE, type PacketLayout, type ResolvedLayout, resolveLayout } from "./layout.ts";

export interface PcapngOptions {
  /** by map: records that are a meta and a packet */
  readonly packets?: Readonly<Record<string, PacketLayout>> | undefined;
}

/** A packet that is no record: what a program was given, or gave back. */
export interface SinkPacket {
  /** name of the interface, usually that of the program */
  readonly interfaceName: string;
  readonly data: Uint8Array;
  readonly direction: "in" | "out";
  readonly comment?: string | undefined;
  /** what a program of this type returned */
  readonly verdict?: { readonly type: "tc" | "xdp"; readonly value: number } | undefined;
  /** default Ethernet */
  readonly linkType?: number | undefined;
  /** ns; null: that of the packet before, 0 for the first */
  readonly time?: bigint | null | undefined;
}

/** Wireshark opens no file with a longer packet. */
const LONGEST_PACKET = 262_144;
/** Resolution of time stamps: 10^-9 s. */
const NANOSECONDS = 9;
const DIRECTION = { in: 1, out: 2 } as const;
const VERDICT_TYPE = { tc: 1, xdp: 2 } as const;

interface Interface {
  readonly id: number;
  received: bigint;
  dropped: bigint;
  /** losses since its last packet */
  pending: bigint;
}

export class PcapngSink implements RecordSink {
  records = 0;
  readonly tooLong = 0;
  readonly #target: OutputTarget;
  readonly #blocks: BlockWriter;
  readonly #options: PcapngOptions;
  #origins: readonly RecordOrigin[] = [];
  /** by origin, null: nothing is known */
  #layouts: readonly (ResolvedLayout | null)[] = [];
  readonly #interfaces = new Map<string, Interface>();
  #begun = false;
  #closed = false;
  #time = 0n;

  constructor(target: OutputTarget, options: PcapngOptions) {
    this.#target = target;
    this.#blocks = new BlockWriter(target);
    this.#options = options;
  }

  get name(): string {
    return this.#target.name;
  }
  get isFull(): boolean {
    return this.#target.isFull;
  }
  async relieved(): Promise<void> {
    if (!this.#target.seekable) this.#blocks.flush();
    await this.#target.relieved();
  }

  begin({ origins, types }: SinkStart): void {
    if (this.#begun) throw new BugError(`${this.name} was begun before`);
    const packets = this.#options.packets ?? {};
    const unknown = Object.keys(packets).find((name) => !origins.some(({ map }) => map === name));
    if (unknown !== undefined) throw new UsageError("USAGE", `there is no map of records ${unknown}`);
    this.#begun = true;
    this.#origins = origins;
    this.#layouts = origins.map(({ map }) => {
      const layout = Object.hasOwn(packets, map) ? packets[map] : undefined;
      return layout === undefined ? null : resolveLayout(map, layout, types);
    });
    writeSection(this.#blocks, [textOption(OPTION.section.application, "bpfjit")]);
  }

  write(origin: number, data: Uint8Array, place: RecordPlace): void {
    const layout = this.#layouts[origin]!;
    if (layout !== null && data.length >= layout.metaBytes) this.#writeLaidOut(origin, layout, data, place);
    else {
      const type = this.#origins[origin]!.typeOf(data.length);
      const comments = type === null ? [] : [describe(type, data)];
      this.#emit(
        this.#interfaceOf(origin, LINK_TYPE.USER0),
        data,
        data.length,
        [...comments, ...placeText(place)],
        place,
      );
    }
    this.records++;
  }

  lost(origin: number, count: bigint): void {
    const linkType = this.#layouts[origin]?.linkType ?? LINK_TYPE.USER0;
    const to = this.#interfaceOf(origin, linkType);
    to.dropped += count;
    to.pending += count;
  }

  /** Beside the records: packets of test runs. */
  packet(packet: SinkPacket): void {
    const { interfaceName, data, direction, verdict, comment, linkType = LINK_TYPE.ETHERNET, time = null } = packet;
    const to = this.#interface(interfaceName, "packets of test runs", linkType);
    const options = [u32Option(OPTION.packet.flags, DIRECTION[direction])];
    if (verdict !== undefined) options.push(verdictOption(verdict));
    this.#emit(to, data, data.length, comment === undefined ? [] : [comment], { time }, options);
  }

  round(): void {}

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#begun) this.#end();
    } finally {
      await this.#target.close();
    }
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #end(): void {
    try {
      for (const { id, received, dropped } of this.#interfaces.values()) {
        writeStatistics(this.#blocks, id, this.#time, [
          u64Option(OPTION.statistics.received, received + dropped),
          u64Option(OPTION.statistics.dropped, dropped),
        ]);
      }
      this.#blocks.flush();
    } catch (error) {
      this.#salvage();
      throw error;
    }
  }

  /** The disk is full or gone: what was written stays readable up to its last whole block. */
  #salvage(): void {
    if (!this.#target.seekable) return;
    try {
      this.#target.cut(this.#blocks.written);
    } catch {
      // the first error says what happened
    }
  }

  #writeLaidOut(origin: number, layout: ResolvedLayout, data: Uint8Array, place: RecordPlace): void {
    const { metaBytes, metaType, linkType } = layout;
    const behind = data.subarray(metaBytes);
    const said = layout.packetBytes(new DataView(data.buffer, data.byteOffset, data.byteLength));
    const original = said !== null && said >= 0 ? said : behind.length;
    const comments =
      metaBytes === 0 ? [] : [metaType === null ? toHex(data.slice(0, metaBytes)) : describe(metaType, data)];
    const packet = behind.subarray(0, Math.min(original, behind.length));
    this.#emit(this.#interfaceOf(origin, linkType), packet, original, [...comments, ...placeText(place)], place);
  }

  #emit(
    to: Interface,
    data: Uint8Array,
    originalBytes: number,
    comments: readonly string[],
    { time }: Pick<RecordPlace, "time">,
    more: readonly BlockOption[] = [],
  ): void {
    if (time !== null) this.#time = time;
    const options = [...comments.map((text) => textOption(OPTION.comment, text)), ...more];
    if (to.pending > 0n) options.push(u64Option(OPTION.packet.dropped, to.pending));
    const packet = { interfaceId: to.id, time: this.#time, data: data.subarray(0, LONGEST_PACKET), originalBytes };
    writePacket(this.#blocks, packet, options);
    to.pending = 0n;
    to.received++;
  }

  #interfaceOf(origin: number, linkType: number): Interface {
    const { map, kind } = this.#origins[origin]!;
    return this.#interface(map, kind === "perf" ? "perf event array" : "BPF ring buffer", linkType);
  }

  /** Interfaces are declared when their first packet comes. */
  #interface(name: string, description: string, linkType: number): Interface {
    const key = `${linkType} ${description} ${name}`;
    let found = this.#interfaces.get(key);
    if (found === undefined) {
      found = { id: this.#interfaces.size, received: 0n, dropped: 0n, pending: 0n };
      this.#interfaces.set(key, found);
      writeInterface(this.#blocks, linkType, [
        textOption(OPTION.interface.name, name),
        textOption(OPTION.interface.description, description),
        { code: OPTION.interface.timeResolution, value: Uint8Array.of(NANOSECONDS) },
      ]);
    }
    return found;
  }
}

function describe(type: CType, data: Uint8Array): string {
  const bytes = data.slice(0, type.size);
  return formatValue(type, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0);
}

/** `CPU 1, curl (412/415)`: process and thread. */
function placeText({ cpu, task }: RecordPlace): string[] {
  const parts = [cpu === null ? "" : `CPU ${cpu}`, task === null ? "" : taskText(task)].filter((part) => part !== "");
  return parts.length === 0 ? [] : [parts.join(", ")];
}

const taskText = ({ comm, tgid, pid }: RecordTask): string => `${cString(comm)} (${tgid}/${pid})`;

function verdictOption({ type, value }: NonNullable<SinkPacket["verdict"]>): BlockOption {
  const bytes = new Uint8Array(9);
  bytes[0] = VERDICT_TYPE[type];
  new DataView(bytes.buffer).setBigInt64(1, BigInt(value), true);
  return { code: OPTION.packet.verdict, value: bytes };
}
