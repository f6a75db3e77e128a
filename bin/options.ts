/** Options that every command takes, and those that one cannot do without. */
import { UsageError } from "../base/index.ts";

export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
}

/**
 * The value of an option that must be given. Commander's own check comes before that of unknown options, and would say of
 * `--inputt` only that `--input` is missing.
 */
export function requireOption(value: string | undefined, synopsis: string, hint?: string): string {
  if (value !== undefined) return value;
  throw new UsageError("USAGE", `${synopsis} is missing`, { hint });
}

/** For commander: the values of an option that may be repeated. */
export const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];
