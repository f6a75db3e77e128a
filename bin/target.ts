/**
 * The kernel that the command prepares programs for: --btf and --kconfig, else the one it runs on where that shows its BTF
 * and configuration. run, test-run, verify and inspect share this; the library never looks at the machine.
 */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";
import { readKernel, type TargetOptions } from "../api/index.ts";
import { UsageError } from "../base/index.ts";
import { DEFAULT_KERNEL_VERSION, findKernelVersion, type SymbolAddresses } from "../compiler/index.ts";
import { readInputFile } from "./input.ts";

const OWN_BTF = "/sys/kernel/btf";
const OWN_CONFIG = "/proc/config.gz";
const OWN_SYMBOLS = "/proc/kallsyms";

export interface TargetArguments {
  readonly btf?: string;
  readonly kconfig?: string;
}

export function readTarget({ btf, kconfig }: TargetArguments): TargetOptions {
  const configFile = kconfig ?? (existsSync(OWN_CONFIG) ? OWN_CONFIG : undefined);
  const config = configFile === undefined ? {} : { kconfig: readConfig(configFile) };
  if (btf !== undefined) {
    const kernel = readKernel(btf);
    // The configuration of this machine says nothing of another kernel's version.
    const version = kconfig === undefined ? { kernelVersion: DEFAULT_KERNEL_VERSION } : {};
    return { ...version, ...kernel, ...config };
  }
  const version = findKernelVersion(release());
  return {
    ...(existsSync(`${OWN_BTF}/vmlinux`) && readKernel(OWN_BTF)),
    ...config,
    ...(kconfig === undefined && version !== null && { kernelVersion: version }),
    symbols: new KernelSymbols(),
  };
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
  if (!existsSync(OWN_SYMBOLS)) return addresses;
  for (const line of readFileSync(OWN_SYMBOLS, "latin1").split("\n")) {
    const [address, , name] = line.split(/[ \t]/, 3);
    if (address && name !== undefined && !addresses.has(name)) addresses.set(name, BigInt(`0x${address}`));
  }
  return addresses;
}
