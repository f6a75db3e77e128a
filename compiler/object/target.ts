/** What the machine that a program is prepared for provides: types, configuration, symbols. Libbpf reads these from the kernel. */
import type { Btf } from "./btf/btf.ts";

export interface Target {
  readonly btf: Btf | null;
  /** LINUX_VERSION_CODE: major << 16 | minor << 8 | patch */
  readonly kernelVersion: number;
  /** values of CONFIG_… as in a kernel's configuration file: `y`, `m`, `n`, `"text"`, `250`, `0x10` */
  readonly config: ReadonlyMap<string, string>;
  /** addresses of kernel symbols */
  readonly symbols: ReadonlyMap<string, bigint>;
}

/** 6.18.0: the kernel whose verdicts bpfjit gives. */
export const DEFAULT_KERNEL_VERSION = (6 << 16) | (18 << 8);

/** The CONFIG_ lines of a kernel's configuration file. */
export function parseConfig(text: string): Map<string, string> {
  const config = new Map<string, string>();
  for (const line of text.split("\n")) {
    const found = /^(CONFIG_\w+)=(.+)$/.exec(line);
    if (found !== null && !config.has(found[1]!)) config.set(found[1]!, found[2]!);
  }
  return config;
}
