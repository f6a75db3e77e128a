/** A crew's threads, and what Linux says of them: the only importer of node:worker_threads in the runtime, on either side. */
import { existsSync, readlinkSync } from "node:fs";
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker, workerData } from "node:worker_threads";
import { threadArguments, threadFile } from "../../base/threads.ts";
import type { MainMessage, ThreadData, ThreadMessage } from "./protocol.ts";

export interface Mailbox<Sent, Received> {
  send(message: Sent): void;
  /** The next message that is there, undefined where there is none. */
  receive(): Received | undefined;
}

export interface Thread extends Mailbox<MainMessage, ThreadMessage> {
  ref(): void;
  unref(): void;
  /** Resolves when it runs no more. */
  terminate(): Promise<void>;
}

/** Starts a thread, which by itself does not keep the process alive. `onExit` gets what it failed with, null: nothing. */
export function startThread(data: ThreadData, onExit: (error: Error | null) => void): Thread {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(threadFile("runtime/workers/thread.js"), {
    workerData: { data, port: port2 },
    transferList: [port2],
    execArgv: threadArguments(),
  });
  worker.unref();
  port1.unref();
  let failure: Error | null = null;
  worker.on("error", (error) => {
    failure = error as Error;
  });
  worker.on("exit", () => {
    port1.close();
    onExit(failure);
  });
  return {
    ...mailbox<MainMessage, ThreadMessage>(port1),
    ref: () => worker.ref(),
    unref: () => worker.unref(),
    terminate: async () => {
      await worker.terminate();
    },
  };
}

/** In the thread: what it was started with, and its end of the mailbox. */
export function threadStart(): { readonly data: ThreadData; readonly mail: Mailbox<ThreadMessage, MainMessage> } {
  const { data, port } = workerData as { readonly data: ThreadData; readonly port: MessagePort };
  return { data, mail: mailbox<ThreadMessage, MainMessage>(port) };
}

/** The operating system's number of the calling thread, 0 where it does not say. */
export function ownThreadNumber(): number {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").pop());
  } catch {
    return 0;
  }
}

/** False where a thread of that number is surely gone, which shows without a turn of the event loop. */
export const threadExists = (number: number): boolean => number === 0 || existsSync(`/proc/self/task/${number}`);

function mailbox<Sent, Received>(port: MessagePort): Mailbox<Sent, Received> {
  return {
    send: (message) => port.postMessage(message),
    receive: () => receiveMessageOnPort(port)?.message as Received | undefined,
  };
}
