/** What the machine that a program is prepared for provides: types, configuration, symbols. Libbpf reads these from the kernel. */
import { OWNED_KERNEL_TYPES } from "../../spec/special-fields.ts";
import type { Btf } from "./btf/btf.ts";
import type { IsKernelType } from "./btf/fields.ts";

/** A kernel module's BTF, split on the kernel's. `btf` may read itself when it is first asked for. */
export interface ModuleBtf {
  readonly name: string;
  readonly btf: Btf;
}

/** Addresses of kernel symbols by name; a Map is one. */
export interface SymbolAddresses {
  get(name: string): bigint | undefined;
}

export interface Target {
  readonly btf: Btf | null;
  /** in the order in which they are searched */
  readonly modules: readonly ModuleBtf[];
  /** LINUX_VERSION_CODE: major << 16 | minor << 8 | patch */
  readonly kernelVersion: number;
  /** values of CONFIG_… as in a kernel's configuration file: `y`, `m`, `n`, `"text"`, `250`, `0x10` */
  readonly config: ReadonlyMap<string, string>;
  readonly symbols: SymbolAddresses;
  /** the same where they were given; null: what the kernel lists is not known */
  readonly listed: SymbolAddresses | null;
  /** symbols that are not among `symbols` count as there, at address 0 */
  readonly hasAllSymbols: boolean;
  /** values that are not in `config` count as there, and 0 */
  readonly hasAllConfig: boolean;
}

/** Whether the target, or one of its modules, has such a type; without its BTF, those that objects may own count as there. */
export function kernelTypes({ btf, modules }: Pick<Target, "btf" | "modules">): IsKernelType {
  if (btf === null) return (name) => OWNED_KERNEL_TYPES.has(name);
  return (name, kind) =>
    name !== "" &&
    (btf.findByName(name, kind) !== null || modules.some((module) => module.btf.findOwnByName(name, kind) !== null));
}

/** 6.18.0: the kernel whose verdicts bpfjit gives. */
export const DEFAULT_KERNEL_VERSION = (6 << 16) | (18 << 8);

/** major << 16 | minor << 8 | patch, as LINUX_VERSION_CODE has it: the patch level ends at 255. */
export const kernelVersionCode = (major: number, minor: number, patch = 0): number =>
  ((major & 0xff) << 16) | ((minor & 0xff) << 8) | Math.min(patch, 255);

/** The version in a text as kernels and their files have it (`6.1.0-50-amd64`, `6.18`), null where there is none. */
export function findKernelVersion(text: string): number | null {
  const found = /(?<![\d.])(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?!\d)/.exec(text);
  return found === null ? null : kernelVersionCode(Number(found[1]), Number(found[2]), Number(found[3] ?? 0));
}

/** `# Linux/x86 6.1.176 Kernel Configuration`: the version that a configuration file says it is of. */
export function configVersion(text: string): number | null {
  const header = /^# Linux\/\S+ (\S+) Kernel Configuration$/m.exec(text.slice(0, 1000));
  return header === null ? null : findKernelVersion(header[1]!);
}

/** The CONFIG_ lines of a kernel's configuration file. */
export function parseConfig(text: string): Map<string, string> {
  const config = new Map<string, string>();
  for (const line of text.split("\n")) {
    const found = /^(CONFIG_\w+)=(.+)$/.exec(line);
    if (found !== null && !config.has(found[1]!)) config.set(found[1]!, found[2]!);
  }
  return config;
}
