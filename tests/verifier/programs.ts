/**
 * Random programs for comparing verdicts: most break a rule somewhere, some are accepted. Deterministic by seed. They use
 * what the verifier keeps states of: ranges, copies, spills, map values, packets, loops, subprograms, branches.
 */
import { Random } from "../random/rng.ts";

const CONSTANTS = ["0 1 -1 2 3 4 7 8 15 16 31 32 63 64 255 -8 -16 1000 65535 100000 2147483647 -2147483648"]
  .join(" ")
  .split(" ");
const CONDITIONS = ["==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"];
const OPERATIONS = ["+=", "-=", "&=", "|=", "^=", "*=", "<<=", ">>=", "s>>=", "/=", "%=", "="];
const SLOTS = ["- 8", "- 16", "- 12", "- 4", "- 24", "- 6", "- 32"];
const SIZES = ["u8", "u16", "u32", "u64", "u64", "u64"];

/** Assembly with directives, as compiler/asm reads it. */
export function randomProgram(seed: number): string {
  const random = new Random(seed);
  const onPacket = random.oneIn(4);
  const writer = new Writer(random, onPacket);
  return writer.text();
}

class Writer {
  readonly #random: Random;
  readonly #onPacket: boolean;
  readonly #targets = new Set<number>();

  constructor(random: Random, onPacket: boolean) {
    this.#random = random;
    this.#onPacket = onPacket;
  }

  text(): string {
    const count = this.#random.between(4, 28);
    const statements = Array.from({ length: count }, (_, i) => this.#statement(i, count));
    const lines = [this.#head(), ...this.#setUp()];
    for (const [i, statement] of statements.entries()) {
      if (this.#targets.has(i)) lines.push(`L${i}:`);
      lines.push(statement);
    }
    for (let i = count; i <= count + 6; i++) if (this.#targets.has(i)) lines.push(`L${i}:`);
    lines.push("r0 = 0", "done:", "r0 = 0", "exit");
    if (lines.some((line) => line.includes("call helper_function"))) {
      lines.push("helper_function:", "r0 = r1", "r0 &= 31", "if r1 s> r2 goto bigger", "r0 += 8", "bigger:", "exit");
    }
    return `${lines.join("\n")}\n`;
  }

  #head(): string {
    const type = this.#onPacket ? "xdp" : "tracepoint";
    return `; prog: ${type}\n; map: values array key=4 value=64 max=4\n; map: entries hash key=8 value=16 max=16`;
  }

  /** r6, r7: numbers; r8: a map's value, the packet or 0; r9: the context. */
  #setUp(): string[] {
    const { below, pick } = this.#bound;
    const numbers = this.#onPacket
      ? ["r6 = *(u32 *)(r1 + 12)", "r7 = *(u32 *)(r1 + 16)"]
      : ["r6 = *(u64 *)(r1 + 8)", "r7 = *(u32 *)(r1 + 16)"];
    const rest = ["r9 = r1", "r0 = 0", "r2 = 5", "r3 = r10", "r4 = 3", "r5 = 0", "r8 = 0"];
    if (this.#onPacket) {
      const size = pick(["8", "16", "64"]);
      const packet = ["r8 = *(u32 *)(r1 + 0)", "r5 = *(u32 *)(r1 + 4)", "r4 = r8", `r4 += ${size}`];
      return [...numbers, ...rest, ...packet, "if r4 > r5 goto done", "r4 = 3"];
    }
    if (below(10) < 4) return [...numbers, ...rest];
    const map = pick(["values", "entries"]);
    const key = ["*(u64 *)(r10 - 8) = 0", "r2 = r10", "r2 += -8", `r1 = map[${map}] ll`];
    const lookup = ["call bpf_map_lookup_elem", "if r0 == 0 goto done", "r8 = r0", "r1 = 7", "r2 = 1"];
    return [...numbers, ...rest, ...key, ...lookup, "r3 = r10", "r4 = 3", "r5 = 0"];
  }

  get #bound() {
    const random = this.#random;
    return {
      below: (limit: number) => random.below(limit),
      pick: <T>(choices: readonly T[]): T => random.pick(choices),
    };
  }

  #register(): string {
    return `r${this.#random.pick([0, 1, 2, 4, 5, 6, 7, 2, 4, 6, 7])}`;
  }
  #value(): string {
    return this.#random.below(2) === 0 ? this.#register() : this.#random.pick(CONSTANTS);
  }

  #statement(index: number, count: number): string {
    const { below, pick } = this.#bound;
    const choice = below(100);
    if (choice < 28) return this.#arithmetic();
    if (choice < 32) return `${this.#register()} = (${pick(["s8", "s16", "s32"])})${this.#register()}`;
    if (choice < 42)
      return `*(${pick(SIZES)} *)(r10 ${pick(SLOTS)}) = ${below(10) < 7 ? this.#register() : pick(CONSTANTS)}`;
    if (choice < 52) return `${this.#register()} = *(${pick([...SIZES, "s32", "s8"])} *)(r10 ${pick(SLOTS)})`;
    if (choice < 62) return this.#access();
    if (choice < 67) return this.#stackPointer();
    if (choice < 70) return `${pick(["r6", "r7"])} &= ${pick(["7", "15", "31", "63"])}\nr8 += ${pick(["r6", "r7"])}`;
    if (choice < 72) return `lock *(u64 *)(${pick(["r10 - 8", "r10 - 16", "r8 + 0"])}) += ${this.#register()}`;
    if (choice < 88) return this.#branch(index, count);
    if (choice < 92 && index > 3) return this.#loop(index);
    if (choice < 95) return `call ${pick(["bpf_get_prandom_u32", "bpf_ktime_get_ns"])}\n${this.#restored()}`;
    if (choice < 98) return `r1 = ${this.#register()}\nr2 = 5\ncall helper_function\n${this.#restored()}`;
    return pick([`${this.#register()} = be16 ${this.#register()}`, "r2 = -r2", "w4 = -w4", "r6 = -r6"]).replace(
      /^(r\d) = be16 r\d$/,
      "$1 = be16 $1",
    );
  }

  #restored(): string {
    return "r1 = 1\nr2 = r0\nr3 = r10\nr4 = 4\nr5 = 5";
  }

  #arithmetic(): string {
    const { below, pick } = this.#bound;
    const narrow = below(10) < 3;
    const operation = pick(OPERATIONS);
    const target = this.#register();
    let value = this.#value();
    if (/^-?\d/.test(value)) {
      if (/<<|>>/.test(operation)) value = String(below(narrow ? 32 : 64));
      if (/[/%]/.test(operation) && value === "0") value = "3";
    }
    const name = (register: string): string => (narrow ? register.replace("r", "w") : register);
    return `${name(target)} ${operation} ${name(value)}`;
  }

  #access(): string {
    const { below, pick } = this.#bound;
    const place = `*(${pick(SIZES)} *)(r8 + ${pick(["0", "8", "4", "7", "60"])})`;
    return below(2) === 0 ? `${this.#register()} = ${place}` : `${place} = ${this.#register()}`;
  }

  #stackPointer(): string {
    const { below, pick } = this.#bound;
    if (below(3) === 0) return `r3 += ${pick(["-8", "-16", "-24", "r6", "r7", "r2"])}`;
    if (below(2) === 0) return `r3 = r10\nr3 += -32\nr6 &= 24\nr3 += r6\n*(u64 *)(r3 + 0) = ${this.#register()}`;
    return `${this.#register()} = *(u8 *)(r3 - ${pick(["1", "8", "9"])})`;
  }

  #branch(index: number, count: number): string {
    const { below, pick } = this.#bound;
    const target = index + 1 + below(Math.min(6, count - index));
    this.#targets.add(target);
    const narrow = below(10) < 3;
    const value = below(3) === 0 ? this.#register() : pick(CONSTANTS);
    const name = (register: string): string => (narrow ? register.replace("r", "w") : register);
    return `if ${name(this.#register())} ${pick(CONDITIONS)} ${name(value)} goto L${target}`;
  }

  #loop(index: number): string {
    const { below, pick } = this.#bound;
    const target = Math.max(0, index - 1 - below(5));
    this.#targets.add(target);
    const counter = pick(["r2", "r4", "r6"]);
    return `${counter} += 1\nif ${counter} < ${pick(["4", "8", "12"])} goto L${target}`;
  }
}
