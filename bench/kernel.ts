/**
 * The kernel as an engine: compiles bench/kernel/run.c with the machine's C compiler, loads programs that bpfjit relocated and
 * times them by BPF_PROG_TEST_RUN. Needs root, bpf() and cc; says why where it is not available.
 */
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { BpfError, toHex, UsageError } from "../base/index.ts";
import { encodeInsns, type Program } from "../compiler/index.ts";
import { MAP_FLAG, type MapSpec, mapTypeByName, programType } from "../spec/index.ts";

/** Data pages of each CPU's perf buffer: room for a whole run of records. */
const PERF_PAGES = 1024;

export class KernelEngine {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #waiting: ((line: string) => void)[] = [];
  readonly #folder: string;
  readonly #maps = new Map<MapSpec, number>();

  private constructor(process: ChildProcessByStdio<Writable, Readable, null>, folder: string) {
    this.#process = process;
    this.#folder = folder;
    this.#lines = createInterface({ input: process.stdout });
    this.#lines.on("line", (line) => this.#waiting.shift()?.(line));
    process.on("exit", () => {
      for (const resolve of this.#waiting.splice(0)) resolve("err 3 the kernel's runner ended");
    });
  }

  /** Throws UsageError where this machine cannot: no compiler, no bpf(), no rights. */
  static start(): KernelEngine {
    const folder = mkdtempSync(join(tmpdir(), "bpfjit-bench-"));
    const binary = join(folder, "run");
    const source = fileURLToPath(new URL("../../bench/kernel/run.c", import.meta.url));
    try {
      execFileSync(process.env.CC ?? "cc", ["-O2", "-o", binary, source], { stdio: ["ignore", "ignore", "pipe"] });
    } catch (cause) {
      rmSync(folder, { recursive: true, force: true });
      throw new UsageError("USAGE", "the kernel baselines need Linux, its headers and a C compiler", { cause });
    }
    return new KernelEngine(spawn(binary, { stdio: ["pipe", "pipe", "inherit"] }), folder);
  }

  /** Throws BpfError where the kernel takes no maps from us. */
  async probe(): Promise<void> {
    await this.#ask(`map ${mapTypeByName("array")!.id} 4 8 1 0`);
  }

  /**
   * Creates the program's maps (once each) and loads it; returns its handle for `run`. `events`: what to fill the map of that
   * section with, null: nothing.
   */
  async load(program: Program, events: { readonly bytes: Uint8Array; readonly map: string } | null): Promise<number> {
    for (const map of program.maps) {
      if (!this.#maps.has(map))
        this.#maps.set(map, await this.#createMap(map, map.section === events?.map ? events!.bytes : null));
    }
    const insns = program.insns.map((insn, index) => {
      const wide = insn.opcode === 0x18 && (insn.src === 1 || insn.src === 2);
      return wide ? { ...insn, imm: this.#maps.get(program.maps[program.insns[index]!.imm]!)! } : insn;
    });
    const functions = program.functions.map((item) => item.insnIndex).join(",");
    const handle = await this.#ask(`prog ${programType(program.type).id} ${functions} ${toHex(encodeInsns(insns))}`);
    for (const map of program.maps)
      for (const { index, program: name } of map.programs)
        if (name === program.name) await this.#ask(`slot ${this.#maps.get(map)} ${index} ${handle}`);
    return Number(handle);
  }

  /** ns of one run on a packet of so many bytes, averaged over `repeat`. */
  async run(program: number, repeat: number, packetBytes = 64): Promise<number> {
    return Number(await this.#ask(`run ${program} ${repeat} ${packetBytes}`));
  }

  close(): void {
    this.#process.stdin.end();
    this.#lines.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #createMap(map: MapSpec, events: Uint8Array | null): Promise<number> {
    const type = mapTypeByName(map.type)!;
    const entries = type.name === "perf_event_array" && map.maxEntries === 0 ? 256 : map.maxEntries;
    const flags = events === null ? map.flags & ~MAP_FLAG.MMAPABLE : map.flags | MAP_FLAG.MMAPABLE;
    const index = Number(await this.#ask(`map ${type.id} ${map.keySize} ${map.valueSize} ${entries} ${flags}`));
    if (type.name === "perf_event_array") await this.#ask(`perf ${index} ${PERF_PAGES}`);
    if (events === null) {
      if (map.initial?.some((byte) => byte !== 0)) await this.#ask(`init ${index} ${toHex(map.initial)}`);
      return index;
    }
    const chunk = 65_536;
    for (let at = 0; at < events.length; at += chunk)
      await this.#ask(`fill ${index} ${at} ${toHex(events.subarray(at, at + chunk))}`);
    return index;
  }

  async #ask(command: string): Promise<string> {
    const answer = await new Promise<string>((resolve) => {
      this.#waiting.push(resolve);
      this.#process.stdin.write(`${command}\n`);
    });
    if (answer.startsWith("ok")) return answer.slice(3);
    throw new BpfError("USAGE", `the kernel refused ${command.slice(0, 60)}: ${answer}`, {
      hint: "the kernel baselines need root and bpf()",
    });
  }
}

/** Null, with the reason, where the kernel does not run programs for us. */
export async function startKernel(): Promise<{ readonly kernel: KernelEngine | null; readonly reason: string }> {
  let kernel: KernelEngine | null = null;
  try {
    kernel = KernelEngine.start();
    await kernel.probe();
    return { kernel, reason: "" };
  } catch (error) {
    kernel?.close();
    // what is missing is said by the hint where there is one
    return { kernel: null, reason: (error as BpfError).hint ?? (error as Error).message };
  }
}
