/**
 * The verifier's log, in the kernel's notation. Level bits as in the kernel: 1 the trace of the path that failed, 2 of
 * all paths, 4 statistics only. Lines that say why a program is refused are kept at every level.
 */

export const LOG_LEVEL = { PATH: 1, ALL: 2, STATS: 4 } as const;

/** Column that register states are aligned to behind an instruction. Kernel: BPF_LOG_ALIGNMENT, BPF_LOG_MIN_ALIGNMENT. */
const STATE_COLUMN = 40;
const STATE_STEP = 8;

export class Log {
  readonly level: number;
  #chunks: string[] = [];
  #length = 0;

  constructor(level: number) {
    this.level = level;
  }

  /** Traces of instructions and states are wanted. */
  get traces(): boolean {
    return (this.level & (LOG_LEVEL.PATH | LOG_LEVEL.ALL)) !== 0;
  }
  get tracesAll(): boolean {
    return (this.level & LOG_LEVEL.ALL) !== 0;
  }
  /** Characters written so far; a position for `truncate`. */
  get position(): number {
    return this.#length;
  }

  write(text: string): void {
    this.#chunks.push(text);
    this.#length += text.length;
  }
  line(text: string): void {
    this.write(`${text}\n`);
  }

  /** Forgets what was written after `position`. Kernel: bpf_vlog_reset(). */
  truncate(position: number): void {
    while (this.#length > position) {
      const last = this.#chunks.pop()!;
      this.#length -= last.length;
      if (this.#length < position) this.write(last.slice(0, position - this.#length));
    }
  }

  /** Takes off the last line break and pads to the state column, given the length of the instruction's text. */
  alignState(insnTextLength: number): void {
    this.truncate(this.#length - 1);
    const wanted = Math.max(insnTextLength + STATE_STEP / 2, STATE_COLUMN);
    const column = Math.ceil(wanted / STATE_STEP) * STATE_STEP - insnTextLength - 1;
    this.write(`${" ".repeat(column)};`);
  }

  toString(): string {
    return this.#chunks.join("");
  }
}
