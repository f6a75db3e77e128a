/** `bpfjit exec`: raw bytecode in, r0 out; with --batch one JSON object a line. Contract: design, section 9. */
import { createExecutor, type ExecOutcome, type ExecRequest, type Executor } from "../../api/index.ts";
import { BpfError, fromHex, ObjectError, toHex, UsageError } from "../../base/index.ts";
import { EXIT } from "../exit.ts";
import { parseHexArgument, readStandardInput } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { printJson, printLine } from "../output.ts";

interface ExecOptions extends CommonOptions {
  /** false with --no-verify */
  readonly verify: boolean;
  readonly batch?: boolean;
}

export async function exec(memory: string | undefined, options: ExecOptions): Promise<void> {
  if (options.batch) {
    if (memory !== undefined)
      throw new UsageError("USAGE", "exec --batch takes the memory in each line, not as an argument");
    return execBatch();
  }
  const mem = memory === undefined ? new Uint8Array(0) : parseHexArgument(memory, "the memory argument");
  const insns = fromHex(await readStandardInput());
  if (insns === null)
    throw new ObjectError("INSN_MALFORMED", "the program on standard input is not hexadecimal", {
      hint: "two digits a byte, 8 bytes an instruction, no prefix; white space is ignored",
    });
  await using executor = await createExecutor();
  const [outcome] = await executor.run([{ insns, memory: mem, verify: options.verify }]);
  if (!outcome!.ok) throw outcome!.error;
  if (options.json) printJson({ r0: outcome!.r0.toString(16), mem: toHex(outcome!.memory) });
  else printLine(outcome!.r0.toString(16));
}

/** Lines that have arrived together are compiled together, at most this many: a module for each would cost more than running it. */
const MODULE_LINES = 256;

/** Whoever writes one line and waits gets its answer; whoever writes many gets them compiled together. */
async function execBatch(): Promise<void> {
  await using executor = await createExecutor();
  const decoder = new TextDecoder();
  // Pieces of a line that has not ended: joined once it has, so that a line of many megabytes costs no more than its length.
  let pieces: string[] = [];
  for await (const chunk of process.stdin) {
    const text = decoder.decode(chunk as Buffer, { stream: true });
    const lines = text.split("\n");
    pieces.push(lines[0]!);
    if (lines.length === 1) continue;
    lines[0] = pieces.join("");
    pieces = [lines.pop()!];
    await answerLines(executor, lines);
  }
  await answerLines(executor, [pieces.join("") + decoder.decode()]);
  process.exitCode = EXIT.done;
}

interface BatchLine {
  readonly id: unknown;
  readonly request: ExecRequest | null;
  readonly message: string;
}

async function answerLines(executor: Executor, texts: readonly string[]): Promise<void> {
  const lines = texts.filter((text) => text.trim() !== "").map(parseLine);
  for (let start = 0; start < lines.length; start += MODULE_LINES) {
    const group = lines.slice(start, start + MODULE_LINES);
    const outcomes = await executor.run(group.flatMap((line) => line.request ?? []));
    let next = 0;
    for (const line of group) {
      if (line.request === null) printJson({ id: line.id, error: "USAGE", message: line.message });
      else printJson(answer(line.id, outcomes[next++]!));
    }
  }
}

function answer(id: unknown, outcome: ExecOutcome): Record<string, unknown> {
  if (outcome.ok) return { id, r0: outcome.r0.toString(16), mem: toHex(outcome.memory) };
  const { error } = outcome;
  return { id, error: error instanceof BpfError ? error.code : "INVARIANT", message: error.message };
}

function parseLine(text: string): BatchLine {
  const bad = (id: unknown, message: string): BatchLine => ({ id, request: null, message });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return bad(null, "the line is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return bad(null, "the line is not a JSON object");
  const { id = null, insns, mem = "", verify = true } = value as Record<string, unknown>;
  if (typeof insns !== "string") return bad(id, "insns must be a string of hexadecimal digits");
  if (typeof mem !== "string") return bad(id, "mem must be a string of hexadecimal digits");
  if (typeof verify !== "boolean") return bad(id, "verify must be true or false");
  const program = fromHex(insns);
  const memory = fromHex(mem);
  if (program === null) return bad(id, "insns is not hexadecimal");
  if (memory === null) return bad(id, "mem is not hexadecimal");
  return { id, request: { insns: program, memory, verify }, message: "" };
}
