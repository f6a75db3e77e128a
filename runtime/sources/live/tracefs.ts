/**
 * The kernel's tracing files: where they are mounted, and reading and writing them. What goes wrong is an AttachError that
 * says what to do. Linux only.
 */
import { accessSync, constants, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AttachError } from "../../../base/index.ts";
import { parseFormat, type TracepointFormat } from "../format.ts";

const MOUNTS = "/proc/self/mounts";
/** Where it is mounted on demand: to look there mounts it. */
const DEFAULTS = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] as const;

export interface Tracefs {
  /** the directory that holds `events`, `instances`, `uprobe_events` */
  readonly root: string;
  /** Text of a file, by its path below the root. */
  read(path: string): string;
  /** Writes in one piece, without cutting off what the file holds: `uprobe_events` would lose everybody's. */
  append(path: string, text: string): void;
  /** As append, but the file is cut off first: most files hold one value. */
  write(path: string, text: string): void;
  /** Names in a directory; none where there is no such directory. */
  list(path: string): readonly string[];
  exists(path: string): boolean;
  /** Null: this kernel has no such event. `name` is `system/event`. */
  format(name: string): TracepointFormat | null;
}

/** Throws AttachError where there is no tracing to be had: another system, not mounted, no rights. */
export function openTracefs(): Tracefs {
  if (process.platform !== "linux") {
    throw new AttachError("TRACING_UNAVAILABLE", `live tracing needs Linux, this is ${process.platform}`, {
      hint: "record on a Linux machine (perf record -R) and give the capture to bpfjit run",
      errno: "EOPNOTSUPP",
    });
  }
  return tracefsAt(findRoot());
}

function findRoot(): string {
  const places = [...DEFAULTS, ...mounted()];
  const found = places.find((place) => canUse(place, constants.R_OK | constants.W_OK));
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0 || places.some((place) => isDenied(place))) {
    throw new AttachError("TRACING_UNAVAILABLE", "the kernel's tracing files are for root only", {
      hint: "run it as root: sudo bpfjit trace …",
      errno: "EACCES",
    });
  }
  const readable = places.find((place) => canUse(place, constants.R_OK));
  if (readable !== undefined) {
    throw new AttachError("TRACING_UNAVAILABLE", `the kernel's tracing files in ${readable} can only be read`, {
      hint: `mount -o remount,rw ${readable}; a container needs the rights to do so from its host`,
      errno: "EACCES",
    });
  }
  throw new AttachError("TRACING_UNAVAILABLE", "tracefs is not mounted", {
    hint: "mount -t tracefs tracefs /sys/kernel/tracing; a container needs it from its host",
    errno: "ENOENT",
  });
}

function mounted(): string[] {
  let text = "";
  try {
    text = readFileSync(MOUNTS, "utf8");
  } catch {
    // without /proc the usual places remain
  }
  return text.split("\n").flatMap((line) => {
    const [, place, type] = line.split(" ");
    return type === "tracefs" && place !== undefined ? [place.replace(/\\040/g, " ")] : [];
  });
}

/** Everything below is asked of `trace_marker`'s neighbour `events`, which a directory that is not tracefs does not have. */
function canUse(place: string, mode: number): boolean {
  try {
    accessSync(join(place, "events"), constants.R_OK);
    accessSync(join(place, "instances"), mode);
    return true;
  } catch {
    return false;
  }
}

function isDenied(place: string): boolean {
  try {
    readdirSync(join(place, "events"));
    return false;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EACCES" || (cause as NodeJS.ErrnoException).code === "EPERM";
  }
}

export function tracefsAt(root: string): Tracefs {
  const attempt = <Result>(path: string, action: (full: string) => Result, what: string): Result => {
    try {
      return action(join(root, path));
    } catch (cause) {
      throw tracingError(`cannot ${what} ${join(root, path)}`, cause);
    }
  };
  return {
    root,
    read: (path) => attempt(path, (full) => readFileSync(full, "utf8"), "read"),
    append: (path, text) => attempt(path, (full) => writeFileSync(full, text, { flag: "a" }), `write ${text} to`),
    write: (path, text) => attempt(path, (full) => writeFileSync(full, text), `write ${text} to`),
    list: (path) => {
      try {
        return readdirSync(join(root, path));
      } catch {
        return [];
      }
    },
    exists: (path) => {
      try {
        accessSync(join(root, path));
        return true;
      } catch {
        return false;
      }
    },
    format: (name) => {
      const [system = ""] = name.split("/", 1);
      let text: string;
      try {
        text = readFileSync(join(root, "events", name, "format"), "utf8");
      } catch {
        return null;
      }
      return parseFormat(text, system);
    },
  };
}

/** A failed operation on the tracing files, as what it means to who asked for it. */
export function tracingError(message: string, cause: unknown): AttachError {
  const { code = "EIO" } = cause as NodeJS.ErrnoException;
  const hint = HINTS[code];
  return new AttachError("TRACING_FAILED", `${message}: ${code}`, { cause, hint });
}

const RIGHTS = "it needs root and a kernel that is not locked down (lockdown=integrity or none)";
const HINTS: Readonly<Record<string, string>> = {
  EACCES: RIGHTS,
  EPERM: RIGHTS,
  ENOMEM:
    "the kernel has no memory for rings of that size: a smaller --buffer-size (library: bufferKilobytes) needs less",
};
