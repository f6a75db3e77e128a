/**
 * `--set NAME=VALUE`: what the user space of a tool sets between opening its object and loading it: sizes of maps
 * (`start.max_entries`), global variables (`targ_pid`, `filter.uid`).
 */
import type { Command } from "commander";
import type { OpenMap, OpenObject, Variables } from "../api/index.ts";
import { MapError, UsageError } from "../base/index.ts";
import { parseCount } from "./input.ts";
import { collect } from "./options.ts";

export interface EditArguments {
  readonly set?: readonly string[];
}

export const withEdits = (command: Command): Command =>
  command.option(
    "--set <name=value>",
    "value of a global variable, or MAP.max_entries, MAP.value_size, MAP.key_size (may be repeated)",
    collect,
  );

/** As the library takes it; what is no `NAME=VALUE` throws UsageError at once, what the object lacks when it is opened. */
export function editOf({ set }: EditArguments): { readonly edit?: (object: OpenObject) => void } {
  if (set === undefined) return {};
  const pairs = set.map(parsePair);
  return {
    edit: (object) => {
      for (const { name, value } of pairs) setOne(object, name, value);
    },
  };
}

interface Pair {
  readonly name: string;
  readonly value: string;
}

function parsePair(text: string): Pair {
  const [, name, value] = /^([\w.]+)=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return { name, value };
  throw new UsageError("USAGE", `--set takes NAME=VALUE, not ${text}`, {
    hint: "as --set targ_pid=42, --set start.max_entries=10240",
  });
}

const U32_MAX = 0xffff_ffff;
const SIZES = { max_entries: "maxEntries", value_size: "valueSize", key_size: "keySize" } as const satisfies Record<
  string,
  keyof OpenMap
>;

function setOne(object: OpenObject, name: string, value: string): void {
  const dot = name.lastIndexOf(".");
  const map = dot < 0 ? undefined : object.maps[name.slice(0, dot)];
  const size = name.slice(dot + 1);
  if (map !== undefined && Object.hasOwn(SIZES, size)) {
    map[SIZES[size as keyof typeof SIZES]] = parseCount(value, `--set ${name}`, 0, U32_MAX);
    return;
  }
  const [variable, ...path] = name.split(".") as [string, ...string[]];
  const place = placeOf(sectionOf(object, variable), [variable, ...path], name);
  const last = path.at(-1) ?? variable;
  const wanted = typeof place[last] === "string" ? value : parseValue(value, name);
  try {
    place[last] = wanted;
  } catch (cause) {
    if (!(cause instanceof MapError)) throw cause;
    throw new UsageError("USAGE", `--set ${name}: ${cause.message}`, { cause });
  }
}

/** The variables of the data section that has this one. */
function sectionOf(object: OpenObject, variable: string): Variables {
  const sections = Object.values(object.maps).filter(({ section }) => section !== null && section !== ".kconfig");
  const found = sections.find(({ variables }) => variables.some(({ name }) => name === variable));
  if (found !== undefined) return object.variables(found.section!);
  const known = sections.flatMap(({ variables }) => variables.map(({ name }) => name));
  throw new UsageError("USAGE", `${object.path} has no variable or map ${variable}`, {
    hint: `it has ${[...known, ...Object.keys(object.maps)].join(", ")}`,
  });
}

/** What holds the last of the names. */
function placeOf(variables: Variables, path: readonly string[], name: string): Variables {
  let place = variables;
  for (const step of path.slice(0, -1)) {
    place = place[step];
    if (typeof place !== "object" || place === null) throw new UsageError("USAGE", `${name}: ${step} has no members`);
  }
  return place;
}

function parseValue(text: string, name: string): boolean | bigint {
  if (text === "true" || text === "false") return text === "true";
  const [, minus, digits] = /^(-?)(\d+|0x[0-9a-f]+)$/i.exec(text) ?? [];
  if (digits !== undefined) return minus === "-" ? -BigInt(digits) : BigInt(digits);
  throw new UsageError("USAGE", `--set ${name}: ${text} is no number, true or false`);
}
