/**
 * Where a sink's bytes go: a file, whose beginning can be written again at the end, or a stream. A write never waits; a
 * stream that falls behind says so with `isFull`, and relieved() waits for it: that bounds the memory.
 */
import { closeSync, createWriteStream, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import type { Writable } from "node:stream";
import { UsageError } from "../../base/index.ts";
import { errnoOf } from "../../spec/index.ts";

export interface OutputTarget {
  /** for messages: the path, usually */
  readonly name: string;
  /** a regular file: rewrite() and cut() work */
  readonly seekable: boolean;
  /** Takes all bytes, which may be used again afterwards. */
  write(bytes: Uint8Array): void;
  /** Writes over what was written at `position`. */
  rewrite(bytes: Uint8Array, position: number): void;
  /** The output ends at `length` bytes. */
  cut(length: number): void;
  /** more is waiting to be written than should */
  readonly isFull: boolean;
  /** Resolves when `isFull` is over. Throws what stopped the output. */
  relieved(): Promise<void>;
  /** Waits until all is written. A stream that was given stays open. */
  close(): Promise<void>;
}

/** A path is made anew; what is no regular file (a pipe, a device) is written forwards only. */
export function openTarget(destination: string | Writable): OutputTarget {
  if (typeof destination !== "string") return new StreamTarget(destination, "output stream", { ends: false });
  const path = destination;
  const fd = attempt(path, () => openSync(path, "w"));
  if (attempt(path, () => fstatSync(fd)).isFile()) return new FileTarget(path, fd);
  return new StreamTarget(createWriteStream(path, { fd }), path, { ends: true });
}

class FileTarget implements OutputTarget {
  readonly name: string;
  readonly seekable = true;
  readonly isFull = false;
  readonly #fd: number;
  #position = 0;
  #open = true;

  constructor(path: string, fd: number) {
    this.name = path;
    this.#fd = fd;
  }

  write(bytes: Uint8Array): void {
    this.rewrite(bytes, this.#position);
    this.#position += bytes.length;
  }
  rewrite(bytes: Uint8Array, position: number): void {
    let done = 0;
    while (done < bytes.length) {
      done += attempt(this.name, () => writeSync(this.#fd, bytes, done, bytes.length - done, position + done));
    }
  }
  cut(length: number): void {
    attempt(this.name, () => ftruncateSync(this.#fd, length));
  }
  async relieved(): Promise<void> {}
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    attempt(this.name, () => closeSync(this.#fd));
  }
}

class StreamTarget implements OutputTarget {
  readonly name: string;
  readonly seekable = false;
  readonly #stream: Writable;
  readonly #ends: boolean;
  #failure: unknown = null;
  /** resolved when the stream takes more, has closed or has failed */
  #waiting: (() => void)[] = [];
  readonly #onError = (cause: unknown): void => {
    this.#failure ??= cause;
    this.#wake();
  };
  readonly #wake = (): void => {
    for (const resolve of this.#waiting.splice(0)) resolve();
  };

  constructor(stream: Writable, name: string, { ends }: { readonly ends: boolean }) {
    this.name = name;
    this.#stream = stream;
    this.#ends = ends;
    stream.on("error", this.#onError).on("drain", this.#wake).on("close", this.#wake);
  }

  get isFull(): boolean {
    return this.#stream.writableNeedDrain || this.#failure !== null;
  }

  write(bytes: Uint8Array): void {
    this.#requireOpen();
    this.#stream.write(bytes.slice());
  }
  rewrite(): void {
    throw this.#unwritable("a stream cannot be written again");
  }
  cut(): void {
    throw this.#unwritable("a stream cannot be cut");
  }

  async relieved(): Promise<void> {
    while (this.#stream.writableNeedDrain && this.#failure === null && !this.#stream.closed) await this.#next();
    this.#requireOpen();
  }

  async close(): Promise<void> {
    try {
      this.#requireOpen();
      await new Promise<void>((resolve) => {
        const onDone = (cause?: Error | null): void => {
          this.#failure ??= cause ?? null;
          resolve();
        };
        // an error or a close may come instead
        this.#waiting.push(resolve);
        if (this.#ends) this.#stream.end(onDone);
        else this.#stream.write("", onDone);
      });
      if (this.#failure !== null) this.#requireOpen();
    } finally {
      this.#stream.off("drain", this.#wake).off("close", this.#wake);
      if (!this.#ends) this.#stream.off("error", this.#onError);
    }
  }

  #next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #requireOpen(): void {
    if (this.#failure !== null) throw unwritable(this.name, this.#failure);
    if (this.#stream.destroyed || this.#stream.writableEnded) throw this.#unwritable("it is closed");
  }
  #unwritable(reason: string): UsageError {
    return new UsageError("OUTPUT_UNWRITABLE", `${this.name}: ${reason}`, { errno: "EBADF" });
  }
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

function unwritable(path: string, cause: unknown): UsageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const where = { file: path };
  return new UsageError("OUTPUT_UNWRITABLE", `${path}: ${reason}`, { cause, errno: errnoOf(cause), where });
}
