/** The USDT probe that a hook's name means: its file, and its places by their operands. */
import { AttachError } from "../../../../base/index.ts";
import { withElfFile } from "./elf.ts";
import { resolveFile } from "./files.ts";
import { readUsdtProbes, type UsdtProbe, usdtVariants } from "./notes.ts";
import { parseUsdtTarget, type UsdtTarget, usdtTargetName } from "./target.ts";

export interface FoundUsdtProbe {
  readonly path: string;
  /** each set of operands with the places that have them */
  readonly variants: readonly (readonly UsdtProbe[])[];
}

/** `traced`: the process that is traced, null: a command that has not begun. Throws AttachError where there is no such probe. */
export function findUsdtProbe({ path: given, provider, name, pid }: UsdtTarget, traced: number | null): FoundUsdtProbe {
  const path = resolveFile(given, pid ?? traced);
  const probes = withElfFile(path, readUsdtProbes);
  const variants = usdtVariants(probes, provider, name);
  if (variants.length > 0) return { path, variants };
  const names = [...new Set(probes.map((probe) => `${probe.provider}:${probe.name}`))].slice(0, NAMES_MAX);
  throw new AttachError("ATTACH_TARGET", `${path} has no USDT probe ${provider}:${name}`, {
    hint: names.length === 0 ? "it has none at all: readelf -n shows them" : `it has ${names.join(", ")}`,
  });
}
const NAMES_MAX = 20;

/** A hook for each set of operands that the probe has, since programs find them by the cookie of their link. */
export interface UsdtHook {
  readonly name: string;
  readonly args: string;
}

export function usdtHooks(probe: string, traced: number | null): UsdtHook[] {
  const target = parseUsdtTarget(probe);
  const { variants } = findUsdtProbe(target, traced);
  return variants.map((places, variant) => ({
    name: usdtTargetName({ ...target, variant }),
    args: places[0]!.args,
  }));
}
