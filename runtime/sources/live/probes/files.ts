/**
 * The file that a probe's path means. One with a slash is that file, as the traced process sees it; a bare name is what the
 * process has mapped, else a library where the loader looks for libraries, else a program in PATH. libbpf: resolve_full_path().
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { AttachError } from "../../../../base/index.ts";
import { fileIdentity, isExecutable } from "../executable.ts";

/** Where libraries are, besides what LD_LIBRARY_PATH and /etc/ld.so.conf name. */
const LIBRARY_PATHS = [
  "/lib/x86_64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu",
  "/lib64",
  "/usr/lib64",
  "/lib",
  "/usr/lib",
  "/usr/local/lib",
] as const;
const LOADER_FOLDER = "/etc/ld.so.conf.d";
const PROGRAM_PATHS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] as const;

/** A file that a process has mapped as code. */
export interface MappedFile {
  /** to open it by: as this process sees it */
  readonly path: string;
  /** as the process names it */
  readonly name: string;
}

/** `pid`: the traced process; null: what is traced has not begun. Throws AttachError where there is no such file. */
export function resolveFile(path: string, pid: number | null): string {
  if (path.includes("/")) {
    const full = resolve(path);
    return pid === null ? full : seenBy(pid, full);
  }
  const names = libraryName(path);
  const mapped =
    pid === null
      ? undefined
      : mappedFiles(pid).find(({ name }) => names.test(basename(name)) || basename(name) === path);
  const found = mapped?.path ?? findLibrary(names) ?? findProgram(path);
  if (found !== null) return found;
  throw new AttachError("ATTACH_TARGET", `there is no program and no library ${path}`, {
    hint: "give its path, with a slash",
  });
}

/** The executable files of a process, each once; none where it is gone. */
export function mappedFiles(pid: number): MappedFile[] {
  let maps: string;
  try {
    maps = readFileSync(`/proc/${pid}/maps`, "utf8");
  } catch {
    return [];
  }
  const names = new Set<string>();
  for (const line of maps.split("\n")) {
    const [, flags, name] = /^\S+ (\S+) \S+ \S+ \d+ +(\/.*)$/.exec(line) ?? [];
    if (flags?.includes("x") && name !== undefined && !name.endsWith(" (deleted)")) names.add(name);
  }
  return [...names].map((name) => ({ name, path: seenBy(pid, name) }));
}

/** A container's process means files of its own. Where they are the ones that we see too, the path stays as it is. */
function seenBy(pid: number, path: string): string {
  const theirs = `/proc/${pid}/root${path}`;
  const [own, other] = [path, theirs].map(fileIdentity);
  return other === null || other === undefined || own === other ? path : theirs;
}

/** `libssl.so.3` means itself and what follows it, `ssl` and `libssl` the library: `libssl.so`, `libssl.so.3`, `libc-2.31.so`. */
function libraryName(name: string): RegExp {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return name.includes(".so")
    ? new RegExp(`^${escaped}(\\.|$)`)
    : new RegExp(`^(lib)?${escaped}(-[\\d.]+)?\\.so(\\.|$)`);
}

export function findLibrary(name: RegExp): string | null {
  for (const folder of libraryFolders()) {
    const found = list(folder)
      .filter((file) => name.test(file))
      .sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
      .map((file) => join(folder, file))
      // `libc.so` is a text for the linker where developers' files are installed
      .find(isElf);
    if (found !== undefined) return found;
  }
  return null;
}

function libraryFolders(): string[] {
  const own = (process.env.LD_LIBRARY_PATH ?? "").split(/[:;]/).filter(Boolean);
  const configured = list(LOADER_FOLDER).flatMap((file) => folderLines(join(LOADER_FOLDER, file)));
  return [...new Set([...own, ...LIBRARY_PATHS, ...configured])];
}

function folderLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line.startsWith("/"))
      .map((line) => line.trim());
  } catch {
    return [];
  }
}

function findProgram(name: string): string | null {
  const folders = [...(process.env.PATH ?? "").split(":").filter(Boolean), ...PROGRAM_PATHS];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

export function isElf(path: string): boolean {
  let fd: number;
  try {
    if (!statSync(path).isFile()) return false;
    fd = openSync(path, "r");
  } catch {
    return false;
  }
  try {
    const head = new Uint8Array(4);
    return (
      readSync(fd, head, 0, 4, 0) === 4 && head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46
    );
  } finally {
    closeSync(fd);
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
