/**
 * Attaching programs that were built with libbpf's usdt.bpf.h, unmodified: their map of operands is filled, and the link's own
 * cookie is the number of the record in it. libbpf: bpf_program__attach_usdt().
 */
import { AttachError } from "../base/index.ts";
import { type Hook, type Link, type LinkedProgram, parseUsdtOperands, usdtSpec } from "../runtime/index.ts";
import type { TypedMap } from "./map.ts";

export interface UsdtOptions {
  /** operands as the probe's note has them: `-4@-20(%rbp) 8@%rax 4@$5`; default: none */
  readonly args?: string;
  /** what bpf_usdt_cookie() answers; default 0 */
  readonly cookie?: bigint;
}

const SPECS = "__bpf_usdt_specs";

/** Records in use, by map: the same operands and cookie share one. */
const USED = new WeakMap<TypedMap, Map<string, number>>();

/** Whether the programs find operands by libbpf's records. */
export const hasUsdtOperands = (maps: Readonly<Record<string, TypedMap>>): boolean =>
  maps[SPECS]?.raw.spec.valueType?.kind === "struct";

/** Throws UsageError for operands that are none, AttachError where the program is not of usdt.bpf.h or has no record left. */
export function attachUsdt(
  program: LinkedProgram,
  maps: Readonly<Record<string, TypedMap>>,
  hook: Hook,
  { args = "", cookie = 0n }: UsdtOptions,
): Link {
  const where = { program: program.name };
  const map = maps[SPECS];
  if (map === undefined || !hasUsdtOperands(maps)) {
    throw new AttachError("ATTACH_FAILED", `program ${program.name} has no map ${SPECS} of probes' operands`, {
      where,
      hint: "usdt programs include libbpf's usdt.bpf.h",
    });
  }
  const { architecture } = program.manifest;
  const record = usdtSpec(parseUsdtOperands(args, architecture), cookie, architecture);
  let used = USED.get(map);
  if (used === undefined) {
    used = new Map();
    USED.set(map, used);
  }
  const key = `${cookie} ${args}`;
  const known = used.get(key);
  const id = known ?? used.size;
  if (id >= map.raw.maxEntries) {
    throw new AttachError("ATTACH_FAILED", `the ${map.raw.maxEntries} records of ${SPECS} are in use`, {
      where,
      errno: "ENOSPC",
    });
  }
  if (known === undefined) {
    try {
      map.set(id, record);
    } catch (cause) {
      throw new AttachError("ATTACH_FAILED", `the program's usdt.bpf.h has no place for the operands ${args}`, {
        where,
        cause,
        hint: "operands with an index register need libbpf 1.7",
      });
    }
  }
  const link = program.attach({ hook, cookie: BigInt(id) });
  used.set(key, id);
  return link;
}
