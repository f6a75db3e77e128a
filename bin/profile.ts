/** `--profile[=FILE]`: samples what programs do while a command runs them; a table at the end, and a file for other tools. */
import {
  cpuProfile,
  foldedStacks,
  type LineProfile,
  type LoadedObject,
  type Profile,
  type ProgramProfile,
} from "../api/index.ts";
import { UsageError } from "../base/index.ts";
import { parseCount, writeOutputFile } from "./input.ts";
import type { CommonOptions } from "./options.ts";
import { printJson } from "./output.ts";
import type { ProfileArguments } from "./profile-options.ts";
import { textTable } from "./text-table.ts";

/** By the end of a file's name. */
const WRITERS: Readonly<Record<string, (profile: Profile) => string>> = {
  folded: foldedStacks,
  cpuprofile: (profile) => JSON.stringify(cpuProfile(profile)),
};

export interface Profiling {
  /** Ends it. */
  stop(): Promise<Profile>;
}

/** For load(). Throws where the file's name says no format, before anything runs. */
export function profileOf({ profile, profileTo }: ProfileArguments): { readonly profile?: true } {
  if (profileTo !== undefined) writerOf(profileTo);
  return profile === true ? { profile: true } : {};
}

/** Null where nobody asked for one. */
export async function startProfile(
  { manifest, runtime }: LoadedObject,
  path: string,
  options: ProfileArguments,
): Promise<Profiling | null> {
  if (options.profile !== true) return null;
  if (manifest.profile === undefined) {
    throw new UsageError("USAGE", `${path} was compiled without profiling`, { hint: "bpfjit build --profile" });
  }
  const { profileInterval: given } = options;
  return runtime.startProfile(
    given === undefined ? {} : { intervalUs: parseCount(given, "--profile-interval", 10, 1e6) },
  );
}

function writerOf(file: string): (profile: Profile) => string {
  const writer = WRITERS[file.slice(file.lastIndexOf(".") + 1)];
  if (writer !== undefined) return writer;
  const names = Object.keys(WRITERS).map((name) => `.${name}`);
  throw new UsageError("USAGE", `--profile=${file}: the file's name must end in ${names.join(" or ")}`);
}

/** The table, or a row a line; and the file. */
export function reportProfile(
  profile: Profile,
  options: ProfileArguments & CommonOptions,
  print: (text: string) => void,
): void {
  if (options.profileTo !== undefined)
    writeOutputFile(options.profileTo, new TextEncoder().encode(writerOf(options.profileTo)(profile)));
  if (options.json) for (const row of profileRows(profile)) printJson(row);
  else print(`\n${profileText(profile)}`);
}

/** As docs/profiling.md describes them. */
export function profileRows({ programs, stacks: _stacks, outside, ...sums }: Profile): Record<string, unknown>[] {
  return [
    ...programs.flatMap(({ helpers, lines, ...row }) => {
      const { object, program } = row;
      return [
        { type: "profile", ...row },
        ...helpers.map((helper) => ({ type: "profileHelper", object, program, ...helper })),
        ...lines.map((line) => ({ type: "profileLine", object, program, ...line })),
      ];
    }),
    { type: "profileSummary", ...sums, outsideSamples: outside.samples, outsideNs: outside.ns },
  ];
}

/** Lines of a program that are shown: the table is for what matters. */
const MOST_LINES = 10;
const LEAST_SHARE = 0.005;
const LONGEST_TEXT = 60;

function profileText({ programs, samples, seconds, intervalUs, outside, ns }: Profile): string {
  const rows = programs.map((row) => [
    row.program,
    row.runs.toLocaleString("en"),
    row.samples === 0 ? "" : milliseconds(row.ns),
    row.nsPerRun === null ? "" : row.nsPerRun.toFixed(1),
    row.samples === 0 ? "" : percent(row.share),
    row.samples.toLocaleString("en"),
  ]);
  const head = ["program", "runs", "ms", "ns/run", "share", "samples"];
  const all = ns + outside.ns;
  const rest = all === 0 ? "it was over too soon" : `${percent(outside.ns / all)} of the time around programs`;
  const note = `profile: ${samples.toLocaleString("en")} samples in ${seconds.toFixed(2)} s, one in ${intervalUs} µs; ${rest}`;
  return [note, ...textTable([head, ...rows]), ...programs.flatMap(programText)].join("\n");
}

function programText({ program, helpers, lines, runs, samples }: ProgramProfile): string[] {
  if (samples === 0) return [];
  const cells = (name: string, { share, ns }: { readonly share: number; readonly ns: number }, text: string) => [
    `  ${name}`,
    percent(share),
    runs === 0 ? "" : (ns / runs).toFixed(1),
    text,
  ];
  const shown = lines.slice(0, MOST_LINES).filter(({ share }) => share >= LEAST_SHARE);
  return [
    `\n${program}`,
    ...textTable([
      ["  helper or line", "share", "ns/run", ""],
      ...helpers.filter(({ share }) => share >= LEAST_SHARE).map((row) => cells(row.helper, row, "")),
      ...shown.map((row) => cells(lineName(row), row, (row.text ?? "").slice(0, LONGEST_TEXT))),
    ]),
  ];
}

const lineName = ({ function: name, file, line, insnIndex }: LineProfile): string =>
  file === null ? `${name}: insn ${insnIndex}` : `${file.slice(file.lastIndexOf("/") + 1)}:${line}`;

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const milliseconds = (ns: number): string => (ns / 1e6).toFixed(1);
