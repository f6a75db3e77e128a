/** The tables by name. */
import { compile } from "./compile.ts";
import { latency } from "./latency.ts";
import { maps } from "./maps.ts";
import { memory } from "./memory.ts";
import { processes } from "./processes.ts";
import { profile } from "./profile.ts";
import { programs } from "./programs.ts";
import { readers } from "./readers.ts";
import { startup } from "./startup.ts";
import type { Table } from "./table.ts";
import { tracepoints } from "./tracepoints.ts";

export const TABLES: readonly Table[] = [
  tracepoints,
  compile,
  maps,
  readers,
  latency,
  programs,
  processes,
  startup,
  memory,
  profile,
];
