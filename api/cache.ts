/**
 * Compiled objects on disk: a file for each key, with the Wasm module that `bpfjit build` would write behind a head that says
 * whether it is whole. What is found there is run without being verified, so a directory is trusted like code; a file that
 * is damaged, cut short or of another key or version is as good as none.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BpfError } from "../base/index.ts";
import { readManifest } from "../base/manifest.ts";
import type { CompiledObject } from "../spec/index.ts";

const MAGIC = new TextEncoder().encode("bpfjit cache 1\n");
const HASH_BYTES = 32;

/** What an earlier compilation of that key gave; null where there is none that can be used. */
export async function readCached(directory: string, key: string): Promise<CompiledObject | null> {
  const bytes = await readFile(pathOf(directory, key)).catch(() => null);
  if (bytes === null || bytes.length < MAGIC.length + HASH_BYTES) return null;
  const wasm = new Uint8Array(bytes.subarray(MAGIC.length + HASH_BYTES));
  if (!bytes.subarray(0, MAGIC.length + HASH_BYTES).equals(headOf(key, wasm))) return null;
  try {
    return { wasm, manifest: readManifest(wasm) };
  } catch (error) {
    if (error instanceof BpfError) return null;
    throw error;
  }
}

/** Whoever reads meanwhile sees the old file or the new one. Where nothing can be written nothing is kept. */
export async function writeCached(directory: string, key: string, wasm: Uint8Array): Promise<void> {
  const path = pathOf(directory, key);
  const unfinished = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`;
  try {
    await makeDirectory(directory);
    await writeFile(unfinished, Buffer.concat([headOf(key, wasm), wasm]), { flag: "wx", mode: 0o600 });
    await rename(unfinished, path);
  } catch {
    await rm(unfinished, { force: true }).catch(() => {});
  }
}

/** With those above it. Node's own way of doing so never returns where a directory above refuses: /proc does. */
async function makeDirectory(path: string): Promise<void> {
  const make = (): Promise<string | null> => mkdir(path, { mode: 0o700 }).then(() => null, codeOf);
  let failure = await make();
  if (failure === "ENOENT" && dirname(path) !== path) {
    await makeDirectory(dirname(path));
    failure = await make();
  }
  if (failure !== null && failure !== "EEXIST") throw new Error(failure);
}

const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message;

const pathOf = (directory: string, key: string): string => join(directory, `${key}.bpfjit`);

/** The key is in the hash, so that a file under another's name does not count. */
const headOf = (key: string, wasm: Uint8Array): Uint8Array =>
  Buffer.concat([MAGIC, createHash("sha256").update(key).update(wasm).digest()]);
