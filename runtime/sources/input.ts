/**
 * Where a capture's bytes come from: a file, bytes in memory, or a stream that can only be read forwards. A reader of a
 * format asks for bytes at a position and names the memory they go to, so file bytes can land in the arena directly.
 */
import { closeSync, createReadStream, fstatSync, openSync, readSync } from "node:fs";
import { UsageError } from "../../base/index.ts";

export interface CaptureInput {
  /** for messages: the path, usually */
  readonly name: string;
  /** bytes in all; null: a stream, whose positions must be asked for in order */
  readonly size: number | null;
  /** Fills `target` from `position` on as far as it can; returns the bytes read, 0 at the end. May return fewer. */
  read(target: Uint8Array, position: number): number | Promise<number>;
  /** A second time does nothing. */
  close(): void;
}

/** A regular file is read where it is asked for; anything else (a pipe, a device) is read forwards, without blocking. */
export function fileInput(path: string): CaptureInput {
  const fd = attempt(path, () => openSync(path, "r"));
  let closed = false;
  const status = attempt(path, () => fstatSync(fd));
  if (!status.isFile()) return streamInput(createReadStream(path, { fd }), path);
  return {
    name: path,
    size: status.size,
    read: (target, position) => attempt(path, () => readSync(fd, target, 0, target.length, position)),
    close: () => {
      if (!closed) closeSync(fd);
      closed = true;
    },
  };
}

export function bytesInput(bytes: Uint8Array, name = "capture"): CaptureInput {
  return {
    name,
    size: bytes.length,
    read: (target, position) => {
      const part = bytes.subarray(position, position + target.length);
      target.set(part);
      return part.length;
    },
    close: () => {},
  };
}

/** Reads forwards only; `size` stays unknown. A read that waits when the input is closed ends with nothing. */
export function streamInput(stream: AsyncIterable<Uint8Array>, name = "stream"): CaptureInput {
  const iterator = stream[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  let closed = false;
  let stopWaiting = (): void => {};
  /** The stream's next bytes, null at its end and when the input is closed. */
  const next = (): Promise<Uint8Array | null> =>
    new Promise((resolve, reject) => {
      stopWaiting = () => resolve(null);
      iterator.next().then(
        (result) => resolve(result.done ? null : result.value),
        (cause: unknown) => reject(unreadable(name, cause)),
      );
    });
  return {
    name,
    size: null,
    read: async (target) => {
      while (rest.length === 0) {
        const part = closed ? null : await next();
        if (part === null) return 0;
        rest = part;
      }
      const part = rest.subarray(0, target.length);
      target.set(part);
      rest = rest.subarray(part.length);
      return part.length;
    },
    close: () => {
      if (closed) return;
      closed = true;
      stopWaiting();
      iterator.return?.().catch(() => {});
    },
  };
}

/** Puts bytes that were read ahead back in front of a stream. Inputs with a size need it not: they can be asked again. */
export function unread(input: CaptureInput, ahead: Uint8Array, position: number): CaptureInput {
  return {
    ...input,
    read: (target, at) => {
      if (at >= position + ahead.length || at < position) return input.read(target, at);
      const part = ahead.subarray(at - position, at - position + target.length);
      target.set(part);
      return part.length;
    },
  };
}

/** Reads until `target` is full or the input ends; returns the bytes read. */
export async function readFully(input: CaptureInput, target: Uint8Array, position: number): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const read = await input.read(target.subarray(filled), position + filled);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}

function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): UsageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new UsageError("INPUT_UNREADABLE", `${path}: ${reason}`, { cause, where: { file: path } });
}
