/**
 * BTF of the kernel that file tests call functions of and take types from: Linux 6.18 as it was when they were written,
 * thinned to what they look at (recorded/types.json.gz). On that kernel itself it is the kernel's own, and what is looked
 * at is noted; `RECORD=1 npx vitest run tests/filetests` writes it anew.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { Btf } from "../../../compiler/object/btf/btf.ts";
import { RECORDING, readRecording, writeRecording } from "../../kernel/recording.ts";
import { thinBtf, WatchedBtf } from "../../kernel/thin-btf.ts";

const VMLINUX = "/sys/kernel/btf/vmlinux";
const FILE = "recorded/types.json.gz";
/** Beside this folder, or, where this runs from dist/, where it is in the checkout. */
const RECORDED =
  [`../${FILE}`, `../../../../tests/filetests/${FILE}`]
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url)) ?? new URL(`../${FILE}`, import.meta.url);

interface Target {
  readonly btf: Btf;
  /** of the running kernel, where that is the one that the tests were written for */
  readonly own: { readonly btf: WatchedBtf; readonly bytes: Uint8Array; readonly hash: string } | null;
}

let known: Target | undefined;

function target(): Target {
  known ??= findTarget();
  return known;
}

function findTarget(): Target {
  const { hash = "", types = "" } = readRecording(RECORDED);
  const isAnother = RECORDING && release().startsWith("6.18.");
  if (process.env.BPFJIT_TEST_KERNEL !== "0" && existsSync(VMLINUX)) {
    const bytes = new Uint8Array(readFileSync(VMLINUX));
    const running = createHash("sha256").update(bytes).digest("base64url");
    if (running === hash || isAnother) {
      const btf = new WatchedBtf(bytes);
      return { btf, own: { btf, bytes, hash: running } };
    }
  }
  return { btf: new Btf(new Uint8Array(Buffer.from(types, "base64"))), own: null };
}

export const targetBtf = (): Btf => target().btf;

/** Whether ids of types, in calls and places to attach to, are the running kernel's too. */
export const hasOwnIds = (): boolean => target().own !== null;

/** Types that the tests so far looked at and the recording does not have. */
export function unrecordedTypes(): number[] {
  const { own } = target();
  if (own === null) return [];
  const kept = new Set(recordedIds());
  return [...own.btf.seen].filter((id) => id !== 0 && !kept.has(id));
}

const recordedIds = (): number[] => (readRecording(RECORDED).ids ?? "").split(",").filter(Boolean).map(Number);

/** Adds what was looked at to the recording. */
export function recordTypes(): void {
  const { own } = target();
  if (own === null) return;
  const isSame = readRecording(RECORDED).hash === own.hash;
  const ids = [...new Set([...(isSame ? recordedIds() : []), ...own.btf.seen])].sort((a, b) => a - b);
  const types = Buffer.from(thinBtf(own.bytes, new Set(ids))).toString("base64");
  writeRecording(RECORDED, { hash: own.hash, ids: ids.join(","), types });
}
