/** Runs one case on the engines: what failed, and how the file would have to read for it to pass. */
import { BpfError, toHex, UnsupportedError } from "../../../base/index.ts";
import type { Program, UncheckedProgram, VerifiedProgram } from "../../../compiler/program.ts";
import type { Directive, TestCase } from "./case.ts";
import type { Engines, RunEngine, RunResult, Verdict } from "./engines.ts";
import { printRun, type RunInput, type RunOutput, stateItems, stateName } from "./expectation.ts";

export interface Outcome {
  readonly failures: readonly Failure[];
  readonly edits: readonly Edit[];
}

export interface Failure {
  readonly line: number;
  readonly message: string;
}

/** Replaces `from` in a line; an empty `from` appends a comment, an empty `to` takes the directive away. */
export interface Edit {
  readonly line: number;
  readonly from: string;
  readonly to: string;
}

type Of<K extends Directive["expectation"]["kind"]> = Directive & {
  readonly expectation: Extract<Directive["expectation"], { readonly kind: K }>;
};

export async function checkCase(engines: Engines, test: TestCase): Promise<Outcome> {
  const report = new Report();
  const states = of(test, "state");
  const verdicts = [...of(test, "accept"), ...of(test, "reject"), ...of(test, "unsupported")];
  const runs = of(test, "run");
  const fragments = of(test, "wat");
  requireExpectations(report, test, verdicts.length, runs.length, fragments.length);

  const needsVerdict = verdicts.length > 0 || states.length > 0 || fragments.length > 0 || test.kind === "verify";
  if (needsVerdict) {
    const program = sized(test.program, firstMemory(runs));
    const verdict = await engines.verify(program, { logLevel: 2 });
    checkVerdict(report, test, verdicts, verdict);
    for (const state of states) checkState(report, state, verdict.log);
    if (fragments.length > 0) await checkText(report, fragments, engines, verdict);
  }
  for (const run of runs) await checkRun(report, test, run, engines);
  return report;
}

class Report implements Outcome {
  readonly failures: Failure[] = [];
  readonly edits: Edit[] = [];
  fail(line: number, message: string, edit?: Omit<Edit, "line">): void {
    this.failures.push({ line, message });
    if (edit !== undefined) this.edits.push({ line, ...edit });
  }
}

function of<K extends Directive["expectation"]["kind"]>(test: TestCase, kind: K): Of<K>[] {
  return test.directives.filter((directive): directive is Of<K> => directive.expectation.kind === kind);
}

/** A case that expects nothing proves nothing. */
function requireExpectations(report: Report, test: TestCase, verdicts: number, runs: number, fragments: number): void {
  if (verdicts > 1) report.fail(test.line, "more than one of accept, reject and unsupported");
  if (test.kind === "run" && runs === 0) report.fail(test.line, "a run test without a run: line");
  if (test.kind === "lower" && fragments === 0) report.fail(test.line, "a lower test without a wat: line");
}

// ---- verdicts

function checkVerdict(report: Report, test: TestCase, expected: readonly Directive[], verdict: Verdict): void {
  const actual = describeVerdict(verdict);
  const where = verdict.verdict === "accepted" ? null : (verdict.error.where.insnIndex ?? null);
  const directive = expected[0];
  if (directive === undefined) {
    if (test.kind === "verify") {
      const line = where === null ? test.line : (test.lines[where] ?? test.line);
      report.fail(test.line, `no verdict is expected; it is \`${actual}\``);
      report.edits.push({ line, from: "", to: actual });
    }
    return;
  }
  const problem = verdictProblem(directive, verdict, where);
  if (problem === null) return;
  report.fail(directive.line, `${problem}: expected \`${directive.text}\`, got \`${actual}\`${logTail(verdict)}`);
  const line = where === null ? null : (test.lines[where] ?? null);
  if (line === null || line === directive.line)
    report.edits.push({ line: directive.line, from: directive.text, to: actual });
  else report.edits.push({ line: directive.line, from: directive.text, to: "" }, { line, from: "", to: actual });
}

function verdictProblem(directive: Directive, verdict: Verdict, where: number | null): string | null {
  const { expectation } = directive;
  switch (expectation.kind) {
    case "accept":
      return verdict.verdict === "accepted" ? null : `it is ${verdict.verdict}`;
    case "unsupported":
      if (verdict.verdict !== "unsupported") return `it is ${verdict.verdict}`;
      return describeVerdict(verdict).includes(expectation.feature) ? null : "another feature";
    case "reject": {
      if (verdict.verdict !== "rejected") return `it is ${verdict.verdict}`;
      if (expectation.errno !== null && verdict.error.errno !== expectation.errno) return "another errno";
      if (!verdict.error.message.includes(expectation.text) && !verdict.log.includes(expectation.text))
        return "another message";
      if (directive.insnIndex !== null && where !== null && directive.insnIndex !== where)
        return `at instruction ${where}, not ${directive.insnIndex}`;
      return null;
    }
    default:
      return "no verdict";
  }
}

function describeVerdict(verdict: Verdict): string {
  if (verdict.verdict === "accepted") return "accept";
  const { error } = verdict;
  if (verdict.verdict === "rejected") return `reject ${error.errno ?? "EINVAL"}: ${error.message.split("\n")[0]}`;
  return `unsupported: ${error instanceof UnsupportedError ? error.feature : error.message}`;
}

const logTail = (verdict: Verdict): string =>
  verdict.log === "" ? "" : `\n${verdict.log.trimEnd().split("\n").slice(-12).join("\n")}`;

/** One visit of the instruction must leave all the items behind; a bare `R1` asks for its value (with UPDATE=1). */
function checkState(report: Report, directive: Of<"state">, log: string): void {
  const visits: string[][] = [];
  for (const line of log.split("\n")) {
    const match = /^(\d+): \([0-9a-f]{2}\) .*?;\s*(.*)$/.exec(line);
    if (match !== null && Number(match[1]) === directive.insnIndex) visits.push(stateItems(match[2]!));
  }
  const { items } = directive.expectation;
  if (visits.length === 0) {
    report.fail(directive.line, "the log shows no state after an instruction on this line");
    return;
  }
  if (items.length > 0 && visits.some((visit) => items.every((item) => visit.includes(item)))) return;
  const wanted = new Set(items.map(stateName));
  const shown = visits[0]!.filter((item) => wanted.size === 0 || wanted.has(stateName(item)));
  const listed = visits.map((visit) => visit.join(" ")).join("\n      ");
  report.fail(directive.line, `no visit has \`${items.join(" ")}\`:\n      ${listed}`, {
    from: directive.text,
    to: `state: ${shown.join(" ")}`,
  });
}

// ---- Wasm text

async function checkText(
  report: Report,
  fragments: readonly Of<"wat">[],
  engines: Engines,
  verdict: Verdict,
): Promise<void> {
  if (verdict.verdict !== "accepted") {
    report.fail(fragments[0]!.line, "no Wasm text: it is not accepted");
    return;
  }
  const text = normalise(await engines.wat(verdict.program));
  let from = 0;
  for (const directive of fragments) {
    const fragment = normalise(directive.expectation.fragment);
    const at = text.indexOf(fragment, from);
    if (at < 0)
      return report.fail(
        directive.line,
        `not in the text behind the fragment before it; there is:\n${text.slice(from)}`,
      );
    from = at + fragment.length;
  }
}

const normalise = (text: string): string => text.replace(/\s+/g, " ").replace(/ \)/g, ")").trim();

// ---- runs

async function checkRun(report: Report, test: TestCase, directive: Of<"run">, engines: Engines): Promise<void> {
  const { input, output } = directive.expectation;
  const program = sized(test.program, input.memory);
  let runnable: VerifiedProgram | UncheckedProgram;
  if (input.unchecked) runnable = { ...program, type: "raw", unchecked: true };
  else {
    const verdict = await engines.verify(program, { logLevel: 0 });
    if (verdict.verdict !== "accepted") {
      report.fail(directive.line, `not run: ${describeVerdict(verdict)}`);
      return;
    }
    runnable = verdict.program;
  }
  const takers = engines.runs.filter((engine) => engine.takes(program, input));
  if (takers.length === 0) {
    report.fail(directive.line, "no engine runs this");
    return;
  }
  const results = await Promise.all(takers.map((engine) => runOn(engine, runnable, input)));
  results.forEach((result, index) => {
    const problem = runProblem(output, result, program.type === "raw");
    if (problem !== null) report.fail(directive.line, `${takers[index]!.name}: ${problem}`);
  });
  const unclear = output.r0 === null && output.memory === null && output.data === null && output.error === null;
  if (unclear) report.fail(directive.line, "run: compares nothing");
  if (unclear || report.failures.some((failure) => failure.line === directive.line)) {
    const to = printRun(input, actualOutput(output, results[0]!, program.type === "raw"));
    report.edits.push({ line: directive.line, from: directive.text, to });
  }
}

type RunOutcome = RunResult | BpfError;

async function runOn(
  engine: RunEngine,
  program: VerifiedProgram | UncheckedProgram,
  input: RunInput,
): Promise<RunOutcome> {
  try {
    return await engine.run(program, input);
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}

function runProblem(expected: RunOutput, actual: RunOutcome, raw: boolean): string | null {
  if (actual instanceof BpfError) return actual.code === expected.error ? null : `${actual.code}: ${actual.message}`;
  if (expected.error !== null) return `no ${expected.error}, but r0=0x${actual.r0.toString(16)}`;
  if (expected.r0 !== null && expected.r0 !== actual.r0)
    return `r0 is 0x${actual.r0.toString(16)}, not 0x${expected.r0.toString(16)}`;
  const bytes = raw ? expected.memory : expected.data;
  if (bytes === null) return null;
  const got = toHex(actual.bytes ?? new Uint8Array(0));
  return got === toHex(bytes) ? null : `bytes are ${got}, not ${toHex(bytes)}`;
}

function actualOutput(expected: RunOutput, actual: RunOutcome, raw: boolean): RunOutput {
  if (actual instanceof BpfError) return { r0: null, memory: null, data: null, error: actual.code };
  return {
    r0: expected.r0 !== null || (expected.memory === null && expected.data === null) ? actual.r0 : null,
    memory: raw && expected.memory !== null ? actual.bytes : null,
    data: !raw && expected.data !== null ? actual.bytes : null,
    error: null,
  };
}

/** A raw program's memory is as long as what a run gives it, unless the `; prog:` line says. */
function sized(program: Program, memory: Uint8Array | null): Program {
  if (program.type !== "raw" || memory === null) return program;
  return { ...program, memoryBytes: memory.length };
}

const firstMemory = (runs: readonly Of<"run">[]): Uint8Array | null => runs[0]?.expectation.input.memory ?? null;

/** Applies edits to the text of a file. */
export function rewrite(text: string, edits: readonly Edit[]): string {
  const rows = text.split("\n");
  for (const { line, from, to } of edits) {
    const row = rows[line - 1] ?? "";
    if (from === "") rows[line - 1] = /^\s*;/.test(row) ? `${row}\n; ${to}` : `${row.trimEnd()} ; ${to}`;
    else if (to === "") rows[line - 1] = row.replace(from, () => "").replace(/\s*;\s*$/, "");
    else rows[line - 1] = row.replace(from, () => to);
  }
  return rows.join("\n");
}
