/**
 * The kernel that programs are prepared for, as files say it: BTF by itself or in an ELF file, a directory with `vmlinux`
 * and its modules (as /sys/kernel/btf is), a directory of several kernels. Nothing here looks at the machine it runs on.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ObjectError, UsageError } from "../base/index.ts";
import {
  type Btf,
  findKernelVersion,
  type ModuleBtf,
  readBtf,
  type SymbolAddresses,
  tracepointBtf,
} from "../compiler/front.ts";
import type { Architecture, ErrorCodeOf, TracepointDefinition } from "../spec/index.ts";

/** What CO-RE relocations, externs and attach targets are resolved against. */
export interface TargetOptions {
  /** BTF of the kernel whose structs the programs read */
  readonly targetBtf?: Btf;
  /** BTF of its modules, split on `targetBtf` */
  readonly modules?: readonly ModuleBtf[];
  /** machine that the programs are prepared for: registers of probes. Unless given: that of `targetBtf`, else x86_64 */
  readonly architecture?: Architecture;
  /** LINUX_VERSION_CODE: major << 16 | minor << 8 | patch. Unless given: that of `kconfig`, else 6.18 */
  readonly kernelVersion?: number;
  /** text of the kernel's configuration file: values of `__kconfig` variables; a whole one also tells which helpers it has */
  readonly kconfig?: string;
  /** addresses of kernel symbols, for `__ksym` variables without type */
  readonly symbols?: SymbolAddresses;
}

/** What an embedding program adds to a target. */
export interface TracepointOptions {
  /** tracepoints of its own (defineTracepoint), which programs name like the kernel's: `SEC("tp_btf/http_request")` */
  readonly tracepoints?: readonly TracepointDefinition[];
}

/** The target with those tracepoints among its modules. */
export function withTracepoints<Options extends TargetOptions & TracepointOptions>(options: Options): Options {
  const { tracepoints, targetBtf = null, modules = [] } = options;
  if (tracepoints === undefined || tracepoints.length === 0) return options;
  return { ...options, modules: [...modules, { name: OWN_MODULE, btf: tracepointBtf(tracepoints, targetBtf) }] };
}
const OWN_MODULE = "bpfjit";

/** A kernel that was read from files; give it to load() and others with `...kernel`. */
export interface KernelTarget extends TargetOptions {
  /** name of the file or directory, for tables and messages */
  readonly kernel: string;
  readonly targetBtf: Btf;
  readonly modules: readonly ModuleBtf[];
}

const KERNEL = "vmlinux";

/** BTF as /sys/kernel/btf/vmlinux has it, or the .BTF section of an ELF file. `base`: the kernel's, for a module's BTF. */
export function readTargetBtf(bytes: Uint8Array, base: Btf | null = null): Btf {
  return readBtf(bytes, base);
}

/**
 * One kernel: a file, or a directory with a file `vmlinux` and, beside it, its modules. The version is taken from the
 * name of the file (`6.1.0-50-amd64.btf`) or of the directory around a `vmlinux`. Modules are read when a name is not in
 * the kernel itself. Throws UsageError for what cannot be read, ObjectError for what is no BTF.
 */
export function readKernel(path: string): KernelTarget {
  if (!isDirectory(path)) return readKernelFile(path);
  const { kernel, others } = namesIn(path);
  if (kernel === null)
    throw new UsageError("USAGE", `${path} has no file ${KERNEL}`, { hint: "give one of the files in it" });
  const target = readKernelFile(join(path, kernel));
  const modules = others.map((name) => lazyModule(join(path, name), name, target.targetBtf));
  return { ...target, kernel: basename(path), modules };
}

/** Every kernel of a directory (files, and directories with a `vmlinux`), or the one that a file or `vmlinux` directory is. */
export function readKernels(path: string): KernelTarget[] {
  if (!isDirectory(path) || namesIn(path).kernel !== null) return [readKernel(path)];
  const entries = namesIn(path).others.map((name) => join(path, name));
  const kernels = entries.filter((entry) => !isDirectory(entry) || namesIn(entry).kernel !== null).map(readKernel);
  if (kernels.length === 0) throw new UsageError("USAGE", `${path} has no BTF files`);
  return kernels.sort(
    (a, b) =>
      (a.kernelVersion ?? 0) - (b.kernelVersion ?? 0) || (a.kernel < b.kernel ? -1 : a.kernel > b.kernel ? 1 : 0),
  );
}

function readKernelFile(path: string): KernelTarget {
  const file = basename(path);
  const version = findKernelVersion(file) ?? (file === KERNEL ? findKernelVersion(basename(dirname(path))) : null);
  const targetBtf = located(path, () => readBtf(readBytes(path)));
  return {
    kernel: file.replace(/\.(btf|elf)$/, ""),
    targetBtf,
    modules: [],
    ...(version !== null && { kernelVersion: version }),
  };
}

function lazyModule(path: string, name: string, base: Btf): ModuleBtf {
  let btf: Btf | null = null;
  return {
    name: name.replace(/\.(btf|ko)$/, ""),
    get btf() {
      btf ??= located(path, () => readBtf(readBytes(path), base));
      return btf;
    },
  };
}

/** Names in a directory, in the order of their bytes, the kernel's apart. */
function namesIn(path: string): { kernel: string | null; others: string[] } {
  const names = attempt(path, () => readdirSync(path)).sort();
  return {
    kernel: names.includes(KERNEL) ? KERNEL : null,
    others: names.filter((name) => name !== KERNEL && !name.startsWith(".")),
  };
}

const isDirectory = (path: string): boolean => attempt(path, () => statSync(path)).isDirectory();
const readBytes = (path: string): Uint8Array => attempt(path, () => readFileSync(path));

function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new UsageError("INPUT_UNREADABLE", `cannot read ${path}: ${reason}`, { cause });
  }
}

/** An error of the BTF itself, with the file's name. */
function located<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ObjectError)) throw error;
    const where = { ...error.where, object: path };
    throw new ObjectError(error.code as ErrorCodeOf<"object">, `${path}: ${error.message}`, { where, cause: error });
  }
}
