/**
 * The traced command: started, but held back before it executes its file until everything is attached. A shell waits for a
 * line and then becomes the command, so that the command's first event is its own execve, with the number that is traced.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Writable } from "node:stream";
import { AttachError } from "../../../base/index.ts";
import { isExecutable } from "./executable.ts";

export interface HeldChild {
  readonly pid: number;
  /** Lets it execute the file. */
  release(): void;
  /** Resolves when it has ended. */
  readonly ended: Promise<ChildStatus>;
  /** null while it runs */
  readonly status: ChildStatus | null;
  /** This process may end before it does. */
  leave(): void;
}

export interface ChildStatus {
  /** null: it was ended by a signal */
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** Waits for a line on descriptor 3; its end without one means that nobody is there any more. */
const WAIT = 'read -r line <&3 || exit 125; unset line; exec "$@" 3<&-';
/** As WAIT, and the command sees the name that it was called by. */
const WAIT_NAMED = 'read -r line <&3 || exit 125; unset line; exec -a "$0" "$@" 3<&-';
const NAMING_SHELLS = ["/bin/bash", "/usr/bin/bash"] as const;
const SHELL = "/bin/sh";

/** `path`: the file of the command; `output`: descriptor that takes the place of its standard output. */
export async function startHeld(command: readonly string[], path: string, output: number): Promise<HeldChild> {
  const [name = "", ...args] = command;
  const naming = NAMING_SHELLS.find(isExecutable);
  const shell = naming ?? SHELL;
  const script = naming === undefined ? WAIT : WAIT_NAMED;
  const child = spawn(shell, ["-c", script, name, path, ...args], { stdio: [0, output, 2, "pipe"] });
  await started(child, shell);
  const gate = child.stdio[GATE] as Writable;
  // a command that is gone before it is let go says so by its status
  gate.on("error", () => {});
  let status: ChildStatus | null = null;
  const ended = new Promise<ChildStatus>((resolve) => {
    child.once("exit", (exitCode, signal) => {
      status = { exitCode, signal };
      resolve(status);
    });
  });
  return {
    pid: child.pid!,
    release: () => gate.end("\n"),
    ended,
    get status() {
      return status;
    },
    leave: () => {
      gate.destroy();
      child.unref();
    },
  };
}
const GATE = 3;

function started(child: ChildProcess, shell: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) => {
      reject(new AttachError("TRACING_TARGET", `cannot start ${shell}: ${cause.message}`, { cause }));
    });
  });
}

/** As execvp() looks for it. */
export function findCommand(name: string): string {
  if (name === "") throw new AttachError("TRACING_TARGET", "there is no command to trace");
  const places = name.includes("/") ? [name] : searchPath().map((directory) => join(directory, name));
  const found = places.find(isExecutable);
  if (found !== undefined) return found;
  const isThere = places.some((place) => statSync(place, { throwIfNoEntry: false })?.isFile() === true);
  if (isThere) throw new AttachError("TRACING_TARGET", `${name} is not executable`, { errno: "EACCES" });
  const hint = name.includes("/")
    ? undefined
    : "it is looked for in the directories of PATH; a path with a / also does";
  throw new AttachError("TRACING_TARGET", `there is no command ${name}`, { errno: "ENOENT", hint });
}

/** An empty entry is the working directory. */
const searchPath = (): string[] =>
  (process.env.PATH ?? "/usr/bin:/bin").split(delimiter).map((directory) => (directory === "" ? "." : directory));
