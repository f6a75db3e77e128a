/**
 * Every program of the corpus whose hook bpfjit has runs on events that its hook could have, without a fault: kernel objects that
 * lead to others, and whatever registers and arguments can hold. What does not load is listed with what it misses.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type LoadedObject, openObject, readKernel } from "../../api/index.ts";
import { ObjectError, UnsupportedError } from "../../base/index.ts";
import { hookName, hookOfProgram } from "../../spec/index.ts";
import { Events, numbers } from "./plausible.ts";

const FOLDER = join(process.env.BPFJIT_CORPUS ?? "/tmp/corpus", "objects");
const KERNEL = "/sys/kernel/btf/vmlinux";
const CAN_RUN = existsSync(FOLDER) && existsSync(KERNEL);
const TARGET = CAN_RUN ? readKernel(KERNEL) : null;
const ROUNDS = 40;
/** Of stacks where a tool says how deep they are. */
const STACK_BYTES = 127 * 8;

/** Targets that a tool puts in place of its programs' own. */
const TARGETS: Readonly<Record<string, string>> = {
  dummy_file_read: "ext4_file_read_iter",
  dummy_file_write: "ext4_file_write_iter",
  dummy_file_open: "ext4_file_open",
  dummy_file_sync: "ext4_sync_file",
  dummy_getattr: "ext4_file_getattr",
  dummy_fentry: "vfs_read",
  dummy_fexit: "vfs_read",
};
/** ObjectErrors of what this kernel lacks. */
const LACKS = ["ATTACH_BTF_MISSING", "BTF_MISSING", "KSYM_MISSING"];

const objects = !CAN_RUN
  ? []
  : readdirSync(FOLDER).flatMap((project) =>
      readdirSync(join(FOLDER, project))
        .filter((name) => name.endsWith(".o"))
        .map((name) => `${project}/${name}`),
    );

/** Fires each program's hook; returns how often the program ran. */
function fireAll(object: LoadedObject): number {
  const events = new Events(object.runtime, TARGET!);
  const reading = object.openRecords(() => {});
  const next = numbers(7);
  let runs = 0;
  for (const program of Object.values(object.programs)) {
    const { manifest } = program;
    const { kind } = hookOfProgram(manifest)!;
    const named = hookName(manifest.section, manifest.attachTarget || program.name);
    using link = program.attach({ hook: object.runtime.hooks.get(kind, named), cookie: 3n });
    for (let round = 0; round < ROUNDS; round++) {
      const payload =
        round % 2 === 0 ? events.linked(link.hook, program, next) : events.random(link.hook, program, next);
      const pid = 1 + (next() % 5);
      link.hook.fire(payload, {
        cpu: next() % 2,
        timeNs: BigInt(round) * 1_000_000n + 1n,
        task: { pid, tgid: pid, comm: `task-${pid}`, uid: next() % 3, ppid: 1 },
        memory: [{ address: 256n, bytes: "a text of the user's" }],
      });
      reading.drain();
    }
    runs += link.runs;
  }
  reading.close();
  return runs;
}

describe.skipIf(!CAN_RUN)("the corpus", () => {
  it.each(objects)(
    "%s runs on events that its hooks could have",
    async (path) => {
      const names = Object.values((await openObject(join(FOLDER, path), TARGET!)).programs)
        .filter(
          ({ section, type, attachType }) => type !== null && hookOfProgram({ section, type, attachType }) !== null,
        )
        .map(({ name }) => name);
      const missing: string[] = [];
      for (const name of names) {
        const opened = await openObject(join(FOLDER, path), { ...TARGET!, optimize: 0 });
        const program = opened.program(name);
        program.attachTarget = TARGETS[program.attachTarget ?? ""] ?? program.attachTarget;
        for (const map of Object.values(opened.maps)) {
          if (map.maxEntries === 0) map.maxEntries = 1024;
          if (map.type === "stack_trace" && map.valueSize === 0) map.valueSize = STACK_BYTES;
        }
        let object: LoadedObject;
        try {
          object = await opened.select([name]).load({ runtimeOptions: { cpus: 2 } });
        } catch (error) {
          const isLacking = error instanceof ObjectError && LACKS.includes(error.code);
          if (!(error instanceof UnsupportedError || isLacking)) throw error;
          missing.push(`${name}: ${(error as Error).message}`);
          continue;
        }
        using loaded = object;
        expect(fireAll(loaded)).toBe(ROUNDS);
      }
      if (missing.length > 0) console.log(`${path}\n  ${missing.join("\n  ")}`);
    },
    120_000,
  );
});
