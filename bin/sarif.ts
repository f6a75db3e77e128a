/**
 * Verdicts as a SARIF 2.1.0 log, for editors and code scanning: a rule a kind of fault, a result a program that is not
 * accepted, the chain of its explanation as a code flow. Accepted programs are no results.
 * Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/
 */
import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import { type CodePlace, type ExplanationStep, FAULT_KINDS, FAULTS, type ProgramVerdict } from "../api/index.ts";
import type { BpfError } from "../base/index.ts";

type Json = Record<string, unknown>;

/** A program's verdict, or the error of an object in which nothing could be read. */
export type SarifInput =
  | { readonly object: string; readonly verdict: ProgramVerdict }
  | { readonly object: string; readonly error: BpfError };

/** `version`: of bpfjit. */
export function sarifLog(inputs: readonly SarifInput[], version: string): Json {
  const isTold = inputs.filter((input) => "error" in input || input.verdict.verdict !== "accepted");
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "bpfjit", semanticVersion: version, rules: RULES } },
        columnKind: "utf16CodeUnits",
        results: isTold.map((input) =>
          "error" in input ? unreadable(input.object, input.error) : result(input.object, input.verdict),
        ),
      },
    ],
  };
}

interface Rule {
  readonly id: string;
  readonly title: string;
  readonly meaning: string;
  readonly remedies: readonly string[];
  readonly level: "error" | "note";
}

/** Verdicts that are no fault of the program. */
const OTHERS: readonly Rule[] = [
  {
    id: "unsupported",
    title: "not judged",
    meaning: "The kernel may take the program; bpfjit cannot judge it yet.",
    remedies: ["docs/support.md says what is supported"],
    level: "note",
  },
  {
    id: "unloadable",
    title: "not loadable",
    meaning: "The program fails before the verifier: the object is malformed, or needs what the target does not have.",
    remedies: ["docs/errors.md lists the errors and what to do"],
    level: "error",
  },
];

const ALL_RULES: readonly Rule[] = [
  ...FAULT_KINDS.map((id): Rule => ({ id, level: "error", ...FAULTS[id] })),
  ...OTHERS,
];
const RULES = ALL_RULES.map(({ id, title, meaning, remedies, level }) => ({
  id,
  shortDescription: { text: title },
  fullDescription: { text: meaning },
  help: { text: remedies.join("\n"), markdown: remedies.map((remedy) => `- ${remedy}`).join("\n") },
  defaultConfiguration: { level },
}));

function result(object: string, verdict: ProgramVerdict): Json {
  const { explanation, program, section, type, errno, message } = verdict;
  const properties = { program, section, type, verdict: verdict.verdict, errno, kernelMessage: message };
  const fallback = { object, program };
  if (explanation === null) {
    const id = verdict.verdict === "unsupported" ? "unsupported" : "unloadable";
    const text = message ?? id;
    return { ...ruleOf(id), message: { text }, locations: [verdictLocation(fallback, verdict)], properties };
  }
  const { kind, headline, place, chain, limits, remedies } = explanation;
  return {
    ...ruleOf(kind),
    message: { text: `${headline}\n${remedies.map((remedy) => `- ${remedy}`).join("\n")}` },
    locations: [location(fallback, place)],
    codeFlows: [{ threadFlows: [{ locations: chain.map((step, index) => flowLocation(fallback, step, index)) }] }],
    properties: { ...properties, limits },
  };
}

function unreadable(object: string, error: BpfError): Json {
  return {
    ...ruleOf("unloadable"),
    message: { text: error.message },
    locations: [{ physicalLocation: { artifactLocation: { uri: uriOf(object) } } }],
    properties: { program: null, verdict: "unloadable", errno: error.errno },
  };
}

function ruleOf(id: string): Json {
  const ruleIndex = ALL_RULES.findIndex((rule) => rule.id === id);
  return { ruleId: id, ruleIndex, level: ALL_RULES[ruleIndex]!.level };
}

/** What stands in where there is no line information. */
interface Fallback {
  readonly object: string;
  readonly program: string;
}

function location({ object, program }: Fallback, { source, function: name, insnIndex, insn }: CodePlace): Json {
  const logicalLocations = [{ name: name || program, fullyQualifiedName: `${program}@${insnIndex}`, kind: "function" }];
  if (source === null) {
    return {
      physicalLocation: { artifactLocation: { uri: uriOf(object) } },
      logicalLocations,
      properties: { insnIndex, insn },
    };
  }
  const region = { startLine: source.line, ...(source.column > 0 && { startColumn: source.column }) };
  const contextRegion = { startLine: source.line, snippet: { text: source.text } };
  return {
    physicalLocation: { artifactLocation: { uri: uriOf(source.file) }, region, contextRegion },
    logicalLocations,
    properties: { insnIndex, insn },
  };
}

function verdictLocation({ object, program }: Fallback, { source }: ProgramVerdict): Json {
  const artifactLocation = { uri: uriOf(source?.file ?? object) };
  const region = source === null ? {} : { region: { startLine: source.line } };
  return {
    physicalLocation: { artifactLocation, ...region },
    logicalLocations: [{ name: program, kind: "function" }],
  };
}

function flowLocation(fallback: Fallback, step: ExplanationStep, index: number): Json {
  return {
    executionOrder: index + 1,
    importance: step.role === "fault" ? "essential" : "important",
    location: { ...location(fallback, step.place), message: { text: step.text } },
  };
}

/** Relative paths stay relative: to where the program was compiled, or the command was run. */
function uriOf(path: string): string {
  if (isAbsolute(path)) return pathToFileURL(path).href;
  return encodeURI(path.replaceAll("\\", "/").replace(/^(?:\.\/)+/, ""));
}
