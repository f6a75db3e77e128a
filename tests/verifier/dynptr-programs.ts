/**
 * Random programs that make, copy, read, overwrite and give back dynptrs. Most steps fit what the steps before left behind, so
 * that most programs are accepted; a few are wild.
 */
import { assembleProgram } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/index.ts";
import type { Btf } from "../../compiler/object/btf/btf.ts";
import type { Random } from "../random/rng.ts";

/** Where dynptrs lie, below the frame pointer; wild steps go elsewhere too. */
const PLACES = [-16, -32, -48];
const WILD_PLACES = [...PLACES, -16, -32, -24, -8, -40, -64];
const SPILLED = -56;
const BUFFER = -72;
const MOST_DEPTH = 2;
const TYPES = ["tracepoint", "xdp", "sched_cls"] as const;
type Type = (typeof TYPES)[number];
type Kind = "memory" | "record";

const fp = (register: number, offset: number): string => `r${register} = r10\nr${register} += ${offset}`;

export function dynptrProgram(btf: Btf, random: Random): Program {
  return assembleProgram(new Writer(random).text(), { targetBtf: btf }).program;
}

class Writer {
  readonly #random: Random;
  readonly #type: Type;
  /** chance of a wild step */
  readonly #wildness: number;
  #known = new Map<number, Kind>();
  #labels = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#type = random.pick(TYPES);
    this.#wildness = random.pick([0, 0.01, 0.03, 0.1]);
  }

  text(): string {
    const lines = [
      `; prog: ${this.#type} license=GPL`,
      "; map: values array key=4 value=64 max=1",
      "; map: ring ringbuf max=4096",
      `r6 = r1\nr7 = 0\nr8 = 0\n*(u64 *)(r10 ${SPILLED}) = 0`,
    ];
    for (let left = 5 + this.#random.below(14); left > 0; left--) lines.push(this.#step(0));
    for (const [place, kind] of this.#known) {
      if (kind === "record" && this.#chance(0.97)) lines.push(this.#commit(place));
    }
    return [...lines, "r0 = 0\nexit"].join("\n");
  }

  #chance(probability: number): boolean {
    return this.#random.below(1000) < probability * 1000;
  }
  #label(): string {
    return `l${this.#labels++}`;
  }

  #step(depth: number): string {
    if (this.#chance(this.#wildness)) return this.#wild();
    const at = this.#known.size > 0 ? this.#random.pick([...this.#known.keys()]) : null;
    const writable = PLACES.filter((place) => this.#known.get(place) !== "record");
    const to = writable.length > 0 ? this.#random.pick(writable) : null;
    switch (this.#random.below(16)) {
      case 0:
      case 1:
        return to === null ? "" : this.#make(to, "memory");
      case 2:
      case 3:
        return to === null ? "" : this.#make(to, "record");
      case 4:
        return at === null || this.#known.get(at) !== "record" ? "" : this.#commit(at);
      case 5:
        return at === null ? "" : read(at, BUFFER, this.#random.pick([1, 8]));
      case 6:
        return at === null ? "" : write(at, SPILLED, 8);
      case 7:
      case 8:
        return at === null ? "" : `${data(at, this.#random.pick([8, 16]))}\n${this.#keep()}`;
      case 9:
        return at === null ? "" : this.#slice(at, BUFFER, this.#type !== "tracepoint" && this.#chance(0.5));
      case 10:
        return at === null || to === null || at === to ? "" : this.#clone(at, to);
      case 11:
        return to === null ? "" : this.#overwrite(to);
      case 12:
        return this.#use();
      case 13:
        return this.#move();
      case 14:
        return depth < MOST_DEPTH ? this.#branch(depth + 1) : "";
      default:
        return depth < MOST_DEPTH ? this.#loop(depth + 1) : "";
    }
  }

  #make(at: number, kind: Kind): string {
    this.#known.set(at, kind);
    return make(at, kind);
  }
  #commit(at: number): string {
    this.#known.delete(at);
    return commit(at, this.#random.pick(["submit", "discard"]));
  }
  #clone(at: number, to: number): string {
    if (this.#known.get(at) === "record") return "";
    this.#known.set(to, "memory");
    return clone(at, to);
  }
  #overwrite(at: number): string {
    this.#known.delete(at);
    return `*(u${this.#random.pick([8, 64])} *)(r10 ${at + this.#random.pick([0, 8])}) = 0`;
  }

  /** r0, which may be null, into a register of its own. */
  #keep(): string {
    const kept = `r${this.#random.pick([7, 8])} = r0`;
    const label = this.#label();
    return this.#chance(0.5) ? kept : `if r0 == 0 goto ${label}\n${kept}\n${label}:`;
  }
  #slice(at: number, buffer: number, writes: boolean): string {
    const given = this.#chance(0.6) ? "r3 = 0" : fp(3, buffer);
    return `${fp(1, at)}\nr2 = 0\n${given}\nr4 = 8\ncall bpf_dynptr_slice${writes ? "_rdwr" : ""}\n${this.#keep()}`;
  }
  #use(): string {
    const register = this.#random.pick([7, 8]);
    const label = this.#label();
    const use = this.#random.pick([
      `r0 = *(u64 *)(r${register} + 0)`,
      `r0 = *(u64 *)(r${register} + 0)`,
      `*(u64 *)(r${register} + 0) = 1`,
    ]);
    return `if r${register} == 0 goto ${label}\n${use}\n${label}:`;
  }
  #move(): string {
    const register = this.#random.pick([7, 8]);
    return this.#random.pick([
      `*(u64 *)(r10 ${SPILLED}) = r${register}`,
      `r${register} = *(u64 *)(r10 ${SPILLED})`,
      `r${register} = 0`,
    ]);
  }

  /** Steps on one of two paths, which mostly leave behind what they found. */
  #branch(depth: number): string {
    const steps = this.#balanced(() => [this.#step(depth), this.#chance(0.4) ? this.#step(depth) : ""]);
    const label = this.#label();
    return steps === null ? "" : `call bpf_get_prandom_u32\nif r0 > 5 goto ${label}\n${steps}\n${label}:`;
  }
  #loop(depth: number): string {
    const steps = this.#balanced(() => [this.#step(depth), this.#step(depth)]);
    const label = this.#label();
    const rounds = this.#random.pick([2, 5]);
    return steps === null ? "" : `r9 = 0\n${label}:\n${steps}\nr9 += 1\nif r9 < ${rounds} goto ${label}`;
  }
  #balanced(write: () => string[]): string | null {
    const before = new Map(this.#known);
    const steps = write().join("\n");
    const isBalanced = PLACES.every((place) => before.get(place) === this.#known.get(place));
    if (isBalanced || this.#chance(0.1)) return steps;
    this.#known = before;
    return null;
  }

  /** Whatever the places hold. */
  #wild(): string {
    const at = this.#random.pick(WILD_PLACES);
    const other = this.#random.pick(WILD_PLACES);
    return this.#random.pick([
      () => make(at, this.#random.pick(["memory", "record"])),
      () => commit(at, this.#random.pick(["submit", "discard"])),
      () => read(at, other, this.#random.pick([1, 8, 16])),
      () => write(at, other, this.#random.pick([1, 8, 16])),
      () => `${data(at, this.#random.pick([8, 65]))}\n${this.#keep()}`,
      () => this.#slice(at, other, this.#chance(0.5)),
      () => clone(at, other),
      () => `${fp(1, at)}\ncall bpf_dynptr_${this.#random.pick(["size", "is_null", "is_rdonly"])}`,
      () => `${fp(1, at)}\nr2 = 0\n${fp(3, other)}\nr4 = 0\nr5 = 8\ncall bpf_dynptr_copy`,
      () => `*(u64 *)(r10 ${at}) = ${this.#random.pick(["0", "r10", "r7"])}`,
      () => `r0 = *(u${this.#random.pick([8, 64])} *)(r10 ${at})`,
      () => `*(u64 *)(r${this.#random.pick([7, 8])} + 8) = 1`,
      () => this.#packet(at),
    ])();
  }
  #packet(at: number): string {
    if (this.#type === "tracepoint") return commit(at, "submit");
    const isXdp = this.#type === "xdp";
    return this.#random.pick([
      `r1 = r6\nr2 = 0\n${fp(3, at)}\ncall bpf_dynptr_from_${isXdp ? "xdp" : "skb"}`,
      isXdp ? "r1 = r6\nr2 = 0\ncall bpf_xdp_adjust_head" : "r1 = r6\nr2 = 14\ncall bpf_skb_pull_data",
    ]);
  }
}

const make = (at: number, kind: Kind): string =>
  kind === "memory"
    ? `r1 = map[values][0] ll\nr2 = 64\nr3 = 0\n${fp(4, at)}\ncall bpf_dynptr_from_mem`
    : `r1 = map[ring] ll\nr2 = 64\nr3 = 0\n${fp(4, at)}\ncall bpf_ringbuf_reserve_dynptr`;
const commit = (at: number, how: string): string => `${fp(1, at)}\nr2 = 0\ncall bpf_ringbuf_${how}_dynptr`;
const clone = (at: number, to: number): string => `${fp(1, at)}\n${fp(2, to)}\ncall bpf_dynptr_clone`;
const data = (at: number, bytes: number): string => `${fp(1, at)}\nr2 = 0\nr3 = ${bytes}\ncall bpf_dynptr_data`;
const read = (at: number, to: number, bytes: number): string =>
  `${fp(1, to)}\nr2 = ${bytes}\n${fp(3, at)}\nr4 = 0\nr5 = 0\ncall bpf_dynptr_read`;
const write = (at: number, from: number, bytes: number): string =>
  `${fp(1, at)}\nr2 = 0\n${fp(3, from)}\nr4 = ${bytes}\nr5 = 0\ncall bpf_dynptr_write`;
