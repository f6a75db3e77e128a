/** Attaching to functions in user code by what libbpf calls options. libbpf: bpf_program__attach_uprobe_opts(). */
import { UsageError } from "../base/index.ts";
import { functionTargetName, type Link, type LinkedProgram, type Runtime } from "../runtime/index.ts";

export interface UprobeOptions {
  /** a function, or a pattern with `*` and `?` for many; absent: the place is `offset` in the file */
  readonly funcName?: string | undefined;
  /** bytes behind the function's start, or in the file */
  readonly offset?: number | undefined;
  /** in the file: the counter that the kernel raises in processes while the place is probed, a USDT probe's semaphore */
  readonly refCtrOffset?: number | undefined;
  /** at the function's return; default false */
  readonly retprobe?: boolean | undefined;
  /** only this process of those that are traced; default all */
  readonly pid?: number | undefined;
  readonly cookie?: bigint | undefined;
}

/** `path`: a file, or the bare name of a library or program. */
export function attachUprobe(program: LinkedProgram, { hooks }: Runtime, path: string, options: UprobeOptions): Link {
  const { funcName, offset, refCtrOffset, retprobe = false, pid, cookie } = options;
  if (funcName === undefined && offset === undefined) {
    throw new UsageError("USAGE", `a probe in ${path} needs a function or an offset`);
  }
  const name = functionTargetName({
    path,
    function: funcName ?? null,
    offset: offset ?? 0,
    semaphore: refCtrOffset ?? null,
    pid: pid ?? null,
  });
  return program.attach({ hook: hooks.get(retprobe ? "uretprobe" : "uprobe", name), cookie });
}
