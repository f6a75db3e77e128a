/** bpf_seq_printf and bpf_seq_write: the output of iterators. What the format language is: format.ts and bprintf.ts. */
import { ERRNO, type HelperImplementation } from "../spec/index.ts";
import { packArguments, printPacked } from "./bprintf.ts";
import { parseFormat } from "./format.ts";
import { argumentsAt, isArgumentBlock, stringAt } from "./print.ts";

/** Returns 0 or -errno. Kernel: bpf_seq_printf(), seq_bprintf(). */
export const seqPrintf: HelperImplementation = (host, low, high, format, formatBytes, data, dataBytes) => {
  if (!isArgumentBlock(data!, dataBytes!)) return -ERRNO.EINVAL;
  const text = stringAt(host, format!, formatBytes!);
  if (text === null) return -ERRNO.EINVAL;
  const parts = parseFormat(text);
  const packed = packArguments(host, parts, argumentsAt(host, data!, dataBytes! / 8));
  if (typeof packed === "number") return packed;
  const file = host.sequence(low!, high!);
  if (file === null) return -ERRNO.EOVERFLOW;
  return file.take(printPacked(file.room, parts, packed)) ? 0 : -ERRNO.EOVERFLOW;
};

/** Returns 0 or -EOVERFLOW: then nothing was written. Kernel: seq_write(). */
export const seqWrite: HelperImplementation = (host, low, high, data, bytes) => {
  const file = host.sequence(low!, high!);
  if (file === null) return -ERRNO.EOVERFLOW;
  const { room } = file;
  if (bytes! < room.length) room.set(host.bytes.subarray(data!, data! + bytes!));
  return file.take(bytes!) ? 0 : -ERRNO.EOVERFLOW;
};
