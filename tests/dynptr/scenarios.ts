/**
 * Programs that use dynptrs in every way and note what each call answered, and what was read, in the map `out`: eight bytes a
 * note. The kernel and bpfjit run the same text.
 */

export interface Scenario {
  readonly name: string;
  readonly text: string;
  /** of an xdp program: how much of the packet is in its first part */
  readonly inputs: readonly { readonly packet: Uint8Array; readonly linear?: number }[];
}

export const OUT_BYTES = 2048;

/** Where dynptrs, their clones, and what is read or written lie: below the frame pointer. */
const FIRST = -16;
const SECOND = -32;
const THIRD = -48;
const BUFFER = -144;
const BUFFER_BYTES = 96;

const fp = (register: number, offset: number): string => `  r${register} = r10\n  r${register} += ${offset}`;
const set = (register: number, value: number | bigint): string => `  r${register} = ${value} ll`;

/** r6: the context, r7: `out`. */
class Text {
  readonly #lines: string[] = [];
  #notes = 0;

  /** Notes r0 behind it. */
  call(name: string, ...args: readonly string[]): this {
    this.#lines.push(...args, `  call ${name}`);
    return this.note(0);
  }
  /** Of a kernel function, whose result has fewer bits than the register; the others are no matter. */
  ask(bits: 8 | 32, name: string, ...args: readonly string[]): this {
    this.#lines.push(...args, `  call ${name}`, bits === 8 ? "  r0 &= 255" : "  w0 = w0");
    return this.note(0);
  }
  silent(name: string, ...args: readonly string[]): this {
    this.#lines.push(...args, `  call ${name}`);
    return this;
  }
  note(register: number): this {
    this.#lines.push(`  *(u64 *)(r7 + ${8 * this.#notes++}) = r${register}`);
    return this;
  }
  raw(text: string): this {
    this.#lines.push(text);
    return this;
  }
  /** Whether r0 is a pointer, and the first byte it points to; writes another one there where `writes` says so. */
  pointer(writes: number | null = null): this {
    const label = `null${this.#lines.length}`;
    this.#lines.push(`  r1 = 0\n  if r0 == 0 goto ${label}\n  r1 = *(u8 *)(r0 + 0)\n  r1 += 1000`);
    if (writes !== null) this.#lines.push(`  *(u8 *)(r0 + 0) = ${writes}`);
    this.#lines.push(`${label}:`);
    return this.note(1);
  }

  fromMemory(at: number, bytes: number, flags = 0): this {
    return this.call("bpf_dynptr_from_mem", "  r1 = map[data][0] ll", set(2, bytes), set(3, flags), fp(4, at));
  }
  reserve(at: number, bytes: number, flags = 0): this {
    return this.call("bpf_ringbuf_reserve_dynptr", "  r1 = map[ring] ll", set(2, bytes), set(3, flags), fp(4, at));
  }
  commit(at: number, what: "submit" | "discard", flags = 0): this {
    return this.silent(`bpf_ringbuf_${what}_dynptr`, fp(1, at), set(2, flags));
  }
  /** Reads up to 24 bytes and notes them. */
  read(at: number, offset: number, bytes: number, flags: number | bigint = 0): this {
    for (let word = 0; word < 3; word++) this.#lines.push(`  *(u64 *)(r10 ${BUFFER + 8 * word}) = -1`);
    this.call("bpf_dynptr_read", fp(1, BUFFER), set(2, bytes), fp(3, at), set(4, offset), set(5, flags));
    for (let word = 0; word < 3; word++) this.raw(`  r1 = *(u64 *)(r10 ${BUFFER + 8 * word})`).note(1);
    return this;
  }
  write(at: number, offset: number, bytes: number, flags: number | bigint = 0): this {
    for (let word = 0; word < BUFFER_BYTES / 8; word++)
      this.#lines.push(`  r1 = ${0x1020304050607000n + BigInt(word)} ll\n  *(u64 *)(r10 ${BUFFER + 8 * word}) = r1`);
    return this.call("bpf_dynptr_write", fp(1, at), set(2, offset), fp(3, BUFFER), set(4, bytes), set(5, flags));
  }
  data(at: number, offset: number, bytes: number): this {
    this.silent("bpf_dynptr_data", fp(1, at), set(2, offset), set(3, bytes));
    return bytes === 0 ? this : this.pointer(0x5a);
  }
  slice(at: number, offset: number, bytes: number, buffered: boolean, writes: number | null = null): this {
    this.raw(`  *(u64 *)(r10 ${BUFFER}) = 0x77`);
    const buffer = buffered ? fp(3, BUFFER) : set(3, 0);
    const name = writes === null ? "bpf_dynptr_slice" : "bpf_dynptr_slice_rdwr";
    this.silent(name, fp(1, at), set(2, offset), buffer, set(4, bytes)).pointer(writes);
    return this.raw(`  r1 = *(u64 *)(r10 ${BUFFER})`).note(1);
  }
  adjust(at: number, start: number, end: number): this {
    return this.ask(32, "bpf_dynptr_adjust", fp(1, at), set(2, start), set(3, end));
  }
  /** What the dynptr says of itself. */
  look(at: number): this {
    this.ask(32, "bpf_dynptr_size", fp(1, at));
    return this.ask(8, "bpf_dynptr_is_null", fp(1, at)).ask(8, "bpf_dynptr_is_rdonly", fp(1, at));
  }
  clone(at: number, to: number): this {
    return this.ask(32, "bpf_dynptr_clone", fp(1, at), fp(2, to));
  }
  copy(to: number, toOffset: number, from: number, fromOffset: number, bytes: number): this {
    return this.ask(32, "bpf_dynptr_copy", fp(1, to), set(2, toOffset), fp(3, from), set(4, fromOffset), set(5, bytes));
  }
  fill(at: number, offset: number, bytes: number, value: number): this {
    return this.ask(32, "bpf_dynptr_memset", fp(1, at), set(2, offset), set(3, bytes), set(4, value));
  }
  /** Without a dynptr: up to 24 bytes, noted. */
  load(kind: "skb" | "xdp", offset: number, bytes: number): this {
    for (let word = 0; word < 3; word++) this.#lines.push(`  *(u64 *)(r10 ${BUFFER + 8 * word}) = -1`);
    this.call(`bpf_${kind}_load_bytes`, "  r1 = r6", set(2, offset), fp(3, BUFFER), set(4, bytes));
    for (let word = 0; word < 3; word++) this.raw(`  r1 = *(u64 *)(r10 ${BUFFER + 8 * word})`).note(1);
    return this;
  }
  store(offset: number, bytes: number): this {
    for (let word = 0; word < 3; word++)
      this.#lines.push(`  r1 = ${0x1020304050607000n + BigInt(word)} ll\n  *(u64 *)(r10 ${BUFFER + 8 * word}) = r1`);
    return this.call("bpf_xdp_store_bytes", "  r1 = r6", set(2, offset), fp(3, BUFFER), set(4, bytes));
  }
  ofPacket(kind: "skb" | "xdp" | "skb_meta", at: number, flags = 0): this {
    return this.ask(32, `bpf_dynptr_from_${kind}`, "  r1 = r6", set(2, flags), fp(3, at));
  }

  program(type: string): string {
    if (8 * this.#notes > OUT_BYTES) throw new Error("more notes than there is room for");
    const maps = `; map: out array key=4 value=${OUT_BYTES} max=1\n; map: data array key=4 value=64 max=1\n; map: ring ringbuf max=4096\n`;
    const head = `; prog: ${type} name=prog license=GPL\n${maps}  r6 = r1\n  r7 = map[out][0] ll\n`;
    return `${head}${this.#lines.join("\n")}\n  r0 = 2\n  exit\n`;
  }
}

const bytes = (count: number): Uint8Array => new Uint8Array(count).map((_, index) => (index * 7 + (index >> 8)) & 0xff);
const PACKETS = [{ packet: bytes(64) }, { packet: bytes(1500) }];
const IN_PARTS = [{ packet: bytes(5000), linear: 1000 }, { packet: bytes(9000) }, { packet: bytes(5000) }];

const memory = new Text()
  .fromMemory(FIRST, 64)
  .look(FIRST)
  .write(FIRST, 0, 24)
  .write(FIRST, 40, 24)
  .write(FIRST, 41, 24)
  .write(FIRST, 64, 0)
  .write(FIRST, 65, 0)
  .write(FIRST, -1, 8)
  .write(FIRST, 0, 8, 1)
  .write(FIRST, 0, 8, 1n << 40n)
  .read(FIRST, 0, 24)
  .read(FIRST, 60, 4)
  .read(FIRST, 60, 5)
  .read(FIRST, 64, 0)
  .read(FIRST, 0, 8, 1)
  .data(FIRST, 8, 8)
  .data(FIRST, 56, 8)
  .data(FIRST, 57, 8)
  .data(FIRST, 0, 65)
  .read(FIRST, 8, 16);

const refused = new Text()
  .fromMemory(FIRST, 8, 1)
  .look(FIRST)
  .read(FIRST, 0, 8)
  .read(FIRST, 0, 0)
  .write(FIRST, 0, 8)
  .data(FIRST, 0, 8)
  .slice(FIRST, 0, 8, true)
  .adjust(FIRST, 0, 0)
  .clone(FIRST, SECOND)
  .look(SECOND)
  .copy(FIRST, 0, FIRST, 0, 0)
  .fill(FIRST, 0, 0, 0)
  .fromMemory(FIRST, 0)
  .look(FIRST)
  .read(FIRST, 0, 0)
  .read(FIRST, 0, 1);

const narrowed = new Text()
  .fromMemory(FIRST, 64)
  .write(FIRST, 0, 64)
  .adjust(FIRST, 10, 40)
  .look(FIRST)
  .read(FIRST, 0, 24)
  .read(FIRST, 7, 24)
  .adjust(FIRST, 2, 1)
  .adjust(FIRST, 31, 31)
  .adjust(FIRST, 0, 31)
  .adjust(FIRST, -1, -1)
  .adjust(FIRST, 4, 30)
  .look(FIRST)
  .read(FIRST, 0, 8)
  .slice(FIRST, 1, 8, true)
  .data(FIRST, 2, 8)
  .clone(FIRST, SECOND)
  .adjust(SECOND, 26, 26)
  .look(SECOND)
  .look(FIRST)
  .read(SECOND, 0, 0)
  .read(SECOND, 0, 1);

const copied = new Text()
  .fromMemory(FIRST, 64)
  .write(FIRST, 0, 64)
  .clone(FIRST, SECOND)
  .adjust(SECOND, 8, 64)
  .copy(SECOND, 0, FIRST, 0, 32)
  .read(FIRST, 0, 24)
  .copy(FIRST, 0, SECOND, 8, 40)
  .read(FIRST, 0, 24)
  .copy(FIRST, 60, SECOND, 0, 5)
  .copy(FIRST, 0, SECOND, 50, 8)
  .copy(FIRST, 64, SECOND, 0, 0)
  .fill(FIRST, 3, 9, 0xee)
  .fill(FIRST, 60, 5, 1)
  .fill(FIRST, 64, 0, 1)
  .fill(SECOND, 0, 8, 0x1ff)
  .read(FIRST, 0, 24);

const records = new Text()
  .reserve(FIRST, 24)
  .look(FIRST)
  .write(FIRST, 0, 24)
  .write(FIRST, 1, 24)
  .read(FIRST, 8, 16)
  .data(FIRST, 0, 24)
  .clone(FIRST, THIRD)
  .read(THIRD, 0, 8)
  .commit(FIRST, "submit")
  .reserve(FIRST, 8, 1)
  .look(FIRST)
  .write(FIRST, 0, 8)
  .commit(FIRST, "submit")
  .reserve(FIRST, 0x1_000_000)
  .commit(FIRST, "discard")
  .reserve(FIRST, 5000)
  .commit(FIRST, "discard")
  .reserve(FIRST, 0)
  .look(FIRST)
  .commit(FIRST, "submit", 1)
  .reserve(FIRST, 4000)
  .reserve(SECOND, 400)
  .look(SECOND)
  .commit(SECOND, "submit")
  .commit(FIRST, "discard", 2)
  .call("bpf_ringbuf_query", "  r1 = map[ring] ll", set(2, 0))
  .call("bpf_ringbuf_query", "  r1 = map[ring] ll", set(2, 3));

/** Offsets inside, across the end of the first part (1,000 bytes or what a page holds), and behind the packet. */
const PLACES = [0, 13, 990, 996, 1000, 1001, 3400, 3518, 3520, 3524, 4095, 4992, 4993, 5000, 8990, 9000];

function packet(kind: "skb" | "xdp", writes: boolean): Text {
  const text = new Text().ofPacket(kind, FIRST, 1).look(FIRST).ofPacket(kind, FIRST).look(FIRST);
  for (const place of PLACES) {
    text.read(FIRST, place, 8).slice(FIRST, place, 8, false);
    if (place % 2 === 0) text.slice(FIRST, place, 8, true);
  }
  if (writes) text.slice(FIRST, 2, 8, false, 0x42);
  return text;
}
function packetWritten(kind: "skb" | "xdp"): Text {
  const text = new Text().ofPacket(kind, FIRST);
  for (const place of PLACES) text.write(FIRST, place, 8);
  for (const flags of [1, 2, 3, 4, 8]) text.write(FIRST, 0, 8, flags);
  text.slice(FIRST, 20, 8, true, 0x43).slice(FIRST, 996, 8, true, 0x44).slice(FIRST, 996, 8, false, 0x45);
  text.data(FIRST, 0, 8).fill(FIRST, 30, 4, 0xcc).fill(FIRST, 3000, 1000, 0xcd).fill(FIRST, 100, 9000, 0xce);
  return text.read(FIRST, 0, 24).read(FIRST, 28, 24);
}
function packetCopied(kind: "skb" | "xdp"): Text {
  const text = new Text().ofPacket(kind, FIRST).fromMemory(SECOND, 64).write(SECOND, 0, 64);
  text.copy(FIRST, 40, SECOND, 0, 10).copy(FIRST, 996, SECOND, 0, 20).copy(SECOND, 0, FIRST, 990, 20);
  text.clone(FIRST, THIRD).adjust(THIRD, 14, 60).look(THIRD).read(THIRD, 0, 24).read(THIRD, 46, 0);
  text.copy(FIRST, 4000, THIRD, 0, 46).copy(THIRD, 0, FIRST, 3500, 46).copy(FIRST, 800, FIRST, 3300, 700);
  return text.read(FIRST, 0, 24).read(SECOND, 0, 24);
}

const metadata = new Text()
  .ofPacket("skb_meta", FIRST)
  .look(FIRST)
  .read(FIRST, 0, 0)
  .read(FIRST, 0, 1)
  .ofPacket("skb_meta", FIRST, 1)
  .look(FIRST);

/** Every place, with lengths that end inside, at the end and behind it; and where the packet is sent. */
function packetBytes(kind: "skb" | "xdp", redirects: boolean): Text {
  const text = new Text();
  for (const place of [...PLACES, 40, 56, 57, 63, 64, -1, 0xffff, 0x1_0000]) text.load(kind, place, 8);
  text.load(kind, 0, 1).load(kind, 1, 24).load(kind, 985, 24).load(kind, 0x1_0000_0002, 8);
  if (kind === "xdp") for (const place of [3, 995, 1000, 3515, 4992, 4993, 8999, 60]) text.store(place, 8);
  for (const flags of redirects ? [0, 1, 2, 1n << 40n] : []) text.call("bpf_redirect", set(1, 1), set(2, flags));
  return text;
}

/** The metadata of an xdp program is no part of the packet. */
export const SCENARIOS: readonly Scenario[] = [
  { name: "memory", text: memory.program("xdp"), inputs: PACKETS.slice(0, 1) },
  { name: "dynptrs over nothing", text: refused.program("xdp"), inputs: PACKETS.slice(0, 1) },
  { name: "narrowed dynptrs", text: narrowed.program("xdp"), inputs: PACKETS.slice(0, 1) },
  { name: "memory copied and filled", text: copied.program("xdp"), inputs: PACKETS.slice(0, 1) },
  { name: "ring records", text: records.program("xdp"), inputs: PACKETS.slice(0, 1) },
  {
    name: "packets of xdp",
    text: packet("xdp", true).program("xdp section=xdp.frags"),
    inputs: [...PACKETS, ...IN_PARTS],
  },
  {
    name: "packets of xdp, written",
    text: packetWritten("xdp").program("xdp section=xdp.frags"),
    inputs: [...PACKETS, ...IN_PARTS],
  },
  {
    name: "packets of xdp, copied",
    text: packetCopied("xdp").program("xdp section=xdp.frags"),
    inputs: [...PACKETS, ...IN_PARTS],
  },
  { name: "packets of a classifier", text: packet("skb", true).program("sched_cls"), inputs: PACKETS },
  { name: "packets of a classifier, written", text: packetWritten("skb").program("sched_cls"), inputs: PACKETS },
  { name: "packets of a classifier, copied", text: packetCopied("skb").program("sched_cls"), inputs: PACKETS },
  { name: "packets of a socket filter", text: packet("skb", false).program("socket_filter"), inputs: PACKETS },
  {
    name: "bytes of xdp",
    text: packetBytes("xdp", true).program("xdp section=xdp.frags"),
    inputs: [...PACKETS, ...IN_PARTS],
  },
  { name: "bytes of a classifier", text: packetBytes("skb", true).program("sched_cls"), inputs: PACKETS },
  { name: "bytes of a socket filter", text: packetBytes("skb", false).program("socket_filter"), inputs: PACKETS },
  { name: "metadata", text: metadata.program("sched_cls"), inputs: PACKETS },
];
