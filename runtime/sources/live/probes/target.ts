/**
 * What names a probe in user code, as libbpf's section names do: `PATH:function[+offset]` (or an offset in the file instead of
 * the function), `PATH:provider:name` of a USDT probe. Two parts may follow that libbpf takes as options: `(OFFSET)`, the
 * semaphore of the place, and `#PID`, the only process whose hits count.
 */
import { AttachError } from "../../../../base/index.ts";
import type { HookKind } from "../../../../spec/index.ts";

export interface FunctionTarget {
  readonly path: string;
  /** a name, a pattern with `*` or `?`, or null where `offset` is from the file's start */
  readonly function: string | null;
  readonly offset: number;
  /** in the file; null: none */
  readonly semaphore: number | null;
  readonly pid: number | null;
}

export interface UsdtTarget {
  readonly path: string;
  readonly provider: string;
  readonly name: string;
  /** which of the sets of operands that the probe has in the file: usdtVariants() */
  readonly variant: number;
  readonly pid: number | null;
}

const NUMBER = "(?:0x[0-9a-fA-F]+|\\d+)";
const FUNCTION = new RegExp(`^(.+):([^:+(#]+)(?:\\+(${NUMBER}))?(?:\\((${NUMBER})\\))?(?:#(\\d+))?$`);
const ADDRESS = new RegExp(`^${NUMBER}$`);
const USDT = /^(.+):([^:]+):([^:/#]+)(?:\/(\d+))?(?:#(\d+))?$/;

export function parseFunctionTarget(kind: HookKind, text: string): FunctionTarget {
  const [, path, name, offset, semaphore, pid] = FUNCTION.exec(text) ?? [];
  if (path === undefined || name === undefined)
    throw unnamed(kind, text, "PATH:FUNCTION, PATH:FUNCTION+OFFSET or PATH:OFFSET");
  const isAddress = ADDRESS.test(name);
  const place = { path, semaphore: numberOf(semaphore), pid: numberOf(pid) };
  return isAddress
    ? { ...place, function: null, offset: Number(name) + (numberOf(offset) ?? 0) }
    : { ...place, function: name, offset: numberOf(offset) ?? 0 };
}

export function functionTargetName({ path, function: name, offset, semaphore, pid }: FunctionTarget): string {
  const place =
    name === null ? `0x${offset.toString(16)}` : `${name}${offset === 0 ? "" : `+0x${offset.toString(16)}`}`;
  return `${path}:${place}${semaphore === null ? "" : `(0x${semaphore.toString(16)})`}${pid === null ? "" : `#${pid}`}`;
}

export function parseUsdtTarget(text: string): UsdtTarget {
  const [, path, provider, name, variant, pid] = USDT.exec(text) ?? [];
  if (path === undefined || provider === undefined || name === undefined)
    throw unnamed("usdt", text, "PATH:PROVIDER:NAME");
  return { path, provider, name, variant: numberOf(variant) ?? 0, pid: numberOf(pid) };
}

export function usdtTargetName({ path, provider, name, variant, pid }: UsdtTarget): string {
  return `${path}:${provider}:${name}${variant === 0 ? "" : `/${variant}`}${pid === null ? "" : `#${pid}`}`;
}

const numberOf = (text: string | undefined): number | null => (text === undefined ? null : Number(text));

function unnamed(kind: HookKind, text: string, form: string): AttachError {
  return new AttachError("ATTACH_TARGET", `"${text}" names no place of a ${kind}`, {
    hint: `name it as ${form}`,
    errno: "EINVAL",
  });
}
