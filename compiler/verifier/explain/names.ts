/**
 * Names of variables, read out of the C lines that line information carries (BTF has no local variables). Only what a
 * line says beyond doubt is taken: a wrong name would be worse than none.
 */
import { sourceLineAt } from "../../program.ts";
import type { Scene } from "./scene.ts";
import { lineText } from "./scene.ts";
import { isOrigin, type TrailEvent } from "./trail.ts";
import { calleeName } from "./words.ts";

/** `__u64 *count = f(…)`, `e->pid = …`: what is assigned to, and what is assigned. */
const ASSIGNMENT =
  /^(?:if\s*\(+\s*)?((?:[A-Za-z_]\w*[\s*]+)*)([A-Za-z_][\w.]*(?:->[\w.]+)*)\s*=(?!=)\s*(.+?);?\s*[{)]*$/;

export interface Assignment {
  readonly name: string;
  readonly value: string;
}
export function assignmentIn(text: string): Assignment | null {
  const match = ASSIGNMENT.exec(text.trim());
  return match === null ? null : { name: match[2]!, value: match[3]! };
}

/** The variable that the value of an origin went to, where its line is an assignment of just that. */
export function nameOfOrigin(scene: Scene, event: TrailEvent): string | null {
  if (event.at < 0) return null;
  const { insnIndex } = scene.path[event.at]!;
  const assignment = assignmentIn(lineText(scene, insnIndex));
  if (assignment === null) return null;
  const isWhole =
    event.kind === "result"
      ? isCallOf(scene, insnIndex, assignment.value)
      : event.kind === "loaded" && isLoadOf(scene, insnIndex, assignment.value);
  return isWhole ? assignment.name : null;
}

/** `(type)pointer->field[2]`: names and constants only, so that one load, the last, makes the value. */
const MEMBER = /^(?:\([^()]*\)\s*)*\(?([A-Za-z_]\w*)(?:(?:->|\.)([A-Za-z_]\w*))*(?:\[\d+\])?\)?$/;

/** The load is that of the whole value: line information points at its member, or at the start of an array's. */
function isLoadOf(scene: Scene, insnIndex: number, value: string): boolean {
  const match = MEMBER.exec(value);
  const token = tokenAt(scene, insnIndex);
  if (match === null || token === null) return false;
  const [, first, last = first] = match;
  return token === last || (value.includes("[") && token === first);
}

/** Helpers are often called by other names: any call will do that line information points at, if it is the whole value. */
function isCallOf(scene: Scene, insnIndex: number, value: string): boolean {
  const match = /^(?:\([^()]*\)\s*)*([A-Za-z_]\w*)\s*\(.*\)$/.exec(value);
  if (match === null || calleeName(scene.env, insnIndex) === null) return false;
  const token = tokenAt(scene, insnIndex);
  return token === null || token === match[1];
}

/** The word that line information points at; null where it has no column. */
function tokenAt(scene: Scene, insnIndex: number): string | null {
  const line = sourceLineAt(scene.program, insnIndex);
  if (line === null || line.column === 0) return null;
  return /^\w*/.exec(line.text.slice(line.column - 1 - (line.indent ?? 0)))![0];
}

/**
 * The variable of a value with this trail, if the line of the fault has it too: the value may have gone on to another one.
 */
export function variableOf(scene: Scene, trail: readonly TrailEvent[], insnIndex = scene.insnIndex): string | null {
  const origin = trail.find(isOrigin);
  if (origin === undefined) return null;
  const name = nameOfOrigin(scene, origin);
  return name !== null && mentions(lineText(scene, insnIndex), name) ? name : null;
}

function mentions(text: string, name: string): boolean {
  const at = text.indexOf(name);
  return at >= 0 && !/\w/.test(text[at - 1] ?? " ") && !/\w/.test(text[at + name.length] ?? " ");
}

export const quoted = (name: string): string => `\`${name}\``;
