/**
 * Compiles in a thread, so that programs run on meanwhile. One thread does all jobs of the process, one after the other; it
 * ends with the last of them, since binaryen keeps a hundred megabytes. It does not keep the process alive.
 */
import { Worker } from "node:worker_threads";
import { BugError, UsageError } from "../../base/index.ts";
import { threadArguments, threadFile } from "../../base/threads.ts";
import type { Compilation } from "../compilation.ts";
import { type OptimizeReply, packCompilation } from "./message.ts";

export interface OptimizeJob {
  /** Rejects where it cannot be compiled, the thread died, or it was cancelled. */
  readonly wasm: Promise<Uint8Array>;
  /** Keeps the process alive until it is done. */
  hold(): void;
  cancel(): void;
}

interface Waiting {
  readonly resolve: (wasm: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  isHeld: boolean;
}

let thread: Worker | null = null;
const waiting = new Map<number, Waiting>();
let jobs = 0;

export function optimizeInBackground(compilation: Compilation): OptimizeJob {
  const request = packCompilation(compilation);
  const job = ++jobs;
  thread ??= startThread();
  try {
    thread.postMessage({ job, request });
  } catch (error) {
    settleThread();
    throw error;
  }
  const wasm = new Promise<Uint8Array>((resolve, reject) => waiting.set(job, { resolve, reject, isHeld: false }));
  return {
    wasm,
    hold: () => {
      const held = waiting.get(job);
      if (held === undefined) return;
      held.isHeld = true;
      thread?.ref();
    },
    cancel: () => {
      waiting.get(job)?.reject(new UsageError("CLOSED", "the object was closed while it was compiled"));
      waiting.delete(job);
      settleThread();
    },
  };
}

function startThread(): Worker {
  const worker = new Worker(threadFile("api/tiers/thread.js"), { execArgv: threadArguments() });
  worker.unref();
  worker.on("message", ({ job, reply }: { readonly job: number; readonly reply: OptimizeReply }) => {
    const done = waiting.get(job);
    waiting.delete(job);
    settleThread();
    if ("wasm" in reply) done?.resolve(reply.wasm);
    else done?.reject(new BugError(`optimising failed: ${reply.failure}`));
  });
  const end = (cause: Error | null): void => {
    if (thread !== worker) return;
    thread = null;
    const lost = [...waiting.values()];
    waiting.clear();
    for (const { reject } of lost) reject(new BugError("the thread that optimises ended", { cause }));
  };
  worker.on("error", end);
  worker.on("exit", () => end(null));
  return worker;
}

/** After a job is gone: a thread without any ends, one that nobody waits for holds nothing up. */
function settleThread(): void {
  if (waiting.size === 0) {
    const idle = thread;
    thread = null;
    void idle?.terminate();
  } else if (![...waiting.values()].some(({ isHeld }) => isHeld)) thread?.unref();
}
