/**
 * The kernel that the command prepares programs for: --btf and --kconfig, else the one it runs on where that shows its BTF
 * and configuration. run, test-run, verify and inspect share this; the library never looks at the machine.
 */
import { accessSync, constants, readFileSync } from "node:fs";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";
import {
  isPrebuilt,
  readKernel,
  type TargetOptions,
  type TracepointDefinition,
  type TracepointOptions,
  tracepointsOf,
} from "../api/index.ts";
import { BpfError, UsageError } from "../base/index.ts";
import { DEFAULT_KERNEL_VERSION, findKernelVersion, type SymbolAddresses } from "../compiler/front.ts";
import { type ProgramTypeName, programTypeByName } from "../spec/index.ts";
import { readInputFile } from "./input.ts";
import { note } from "./output.ts";

const OWN_BTF = "/sys/kernel/btf";
const OWN_CONFIG = "/proc/config.gz";
const OWN_SYMBOLS = "/proc/kallsyms";

export interface TargetArguments {
  readonly btf?: string;
  readonly kconfig?: string;
  readonly progType?: readonly string[];
  readonly tracepoints?: string;
}

/** What api functions take as the target, and the types of programs that their sections do not say. */
export interface Preparation extends TargetOptions, TracepointOptions {
  readonly types?: Readonly<Record<string, ProgramTypeName>>;
}

/** Nothing for an object that was compiled ahead of time: it was prepared then. */
export const readTargetFor = (object: Uint8Array, options: TargetArguments): Preparation =>
  isPrebuilt(object) ? {} : readTarget(options);

export function readTarget({ btf, kconfig, progType, tracepoints }: TargetArguments): Preparation {
  return {
    ...readKernelOptions(btf, kconfig),
    ...(progType !== undefined && { types: parseTypes(progType) }),
    ...(tracepoints !== undefined && { tracepoints: readTracepoints(tracepoints) }),
  };
}

function readTracepoints(path: string): TracepointDefinition[] {
  const text = new TextDecoder().decode(readInputFile(path));
  let declaration: unknown;
  try {
    declaration = JSON.parse(text);
  } catch (cause) {
    throw new UsageError("INPUT_UNREADABLE", `${path} is no JSON: ${(cause as Error).message}`, { cause });
  }
  return tracepointsOf(declaration);
}

function parseTypes(pairs: readonly string[]): Record<string, ProgramTypeName> {
  const types: Record<string, ProgramTypeName> = Object.create(null);
  for (const pair of pairs) {
    const [, name, type] = /^(.+)=(\w+)$/.exec(pair) ?? [];
    const spec = type === undefined ? undefined : programTypeByName(type);
    if (name === undefined || spec === undefined)
      throw new UsageError("USAGE", `--prog-type takes name=type, not ${pair}`, {
        hint: "types are as xdp, sched_cls",
      });
    types[name] = spec.name;
  }
  return types;
}

function readKernelOptions(btf: string | undefined, kconfig: string | undefined): TargetOptions {
  const configFile = kconfig ?? (canRead(OWN_CONFIG) ? OWN_CONFIG : undefined);
  const config = configFile === undefined ? {} : { kconfig: readConfig(configFile) };
  if (btf !== undefined) {
    const kernel = readKernel(btf);
    // The configuration of this machine says nothing of another kernel's version.
    const version = kconfig === undefined ? { kernelVersion: DEFAULT_KERNEL_VERSION } : {};
    return { ...version, ...kernel, ...config };
  }
  const version = findKernelVersion(release());
  return {
    ...(canRead(`${OWN_BTF}/vmlinux`) && readOwnKernel()),
    ...config,
    ...(kconfig === undefined && version !== null && { kernelVersion: version }),
    ...(canRead(OWN_SYMBOLS) && { symbols: new KernelSymbols() }),
  };
}

function canRead(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** BTF that is newer than bpfjit must not keep it from objects that need none. */
function readOwnKernel(): TargetOptions {
  try {
    return readKernel(OWN_BTF);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    note(`cannot use this kernel's BTF: ${error.message}`);
    return {};
  }
}

function readConfig(path: string): string {
  const bytes = readInputFile(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return new TextDecoder().decode(bytes);
  try {
    return new TextDecoder().decode(gunzipSync(bytes));
  } catch (cause) {
    throw new UsageError("INPUT_UNREADABLE", `cannot decompress ${path}`, { cause });
  }
}

/** /proc/kallsyms, read when the first address is asked for. */
class KernelSymbols implements SymbolAddresses {
  #addresses: Map<string, bigint> | null = null;

  get(name: string): bigint | undefined {
    this.#addresses ??= readSymbols();
    return this.#addresses.get(name);
  }
}

function readSymbols(): Map<string, bigint> {
  const addresses = new Map<string, bigint>();
  for (const line of readFileSync(OWN_SYMBOLS, "latin1").split("\n")) {
    const [address, , name] = line.split(/[ \t]/, 3);
    if (/^[0-9a-f]+$/.test(address ?? "") && name !== undefined && !addresses.has(name))
      addresses.set(name, BigInt(`0x${address}`));
  }
  return addresses;
}
