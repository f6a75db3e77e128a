/** bpf_trace_printk and bpf_snprintf. What the format language is: format.ts and bprintf.ts. */
import { ERRNO, type HelperHost, type HelperImplementation, LIMITS } from "../spec/index.ts";
import { type FormatArguments, packArguments, printPacked } from "./bprintf.ts";
import { parseFormat } from "./format.ts";

/** MAX_BPRINTF_BUF: longer lines are cut */
const TRACE_LINE_BYTES = 1024;
const DECODER = new TextDecoder();

/** Returns the length of the line, also of what was cut. */
export const tracePrintk: HelperImplementation = (host, format, formatBytes, ...words) => {
  const text = stringAt(host, format!, formatBytes!);
  if (text === null) return -ERRNO.EINVAL;
  const parts = parseFormat(text);
  const packed = packArguments(host, parts, {
    count: LIMITS.tracePrintkArguments,
    low: (index) => words[2 * index]! >>> 0,
    high: (index) => words[2 * index + 1]! >>> 0,
  });
  if (typeof packed === "number") return packed;
  const line = new Uint8Array(TRACE_LINE_BYTES);
  const length = printPacked(line, parts, packed);
  host.traceLine(DECODER.decode(line.subarray(0, Math.min(length, TRACE_LINE_BYTES - 1))));
  return length;
};

/** Returns the length of the text with its zero, also of what did not fit. */
export const snprintf: HelperImplementation = (host, target, targetBytes, format, data, dataBytes) => {
  if (dataBytes! % 8 !== 0 || dataBytes! > LIMITS.bprintfArguments * 8 || (dataBytes! > 0 && data === 0)) {
    return -ERRNO.EINVAL;
  }
  const text = stringAt(host, format!, host.bytes.length - format!);
  if (text === null) return -ERRNO.EINVAL;
  const parts = parseFormat(text);
  const packed = packArguments(host, parts, argumentsAt(host, data!, dataBytes! / 8));
  if (typeof packed === "number") return packed;
  return printPacked(host.bytes.subarray(target!, target! + targetBytes!), parts, packed) + 1;
};

/** The bytes before the zero; null where there is none within `most` bytes. */
function stringAt(host: HelperHost, address: number, most: number): Uint8Array | null {
  const end = host.bytes.indexOf(0, address);
  return end < 0 || end >= address + most ? null : host.bytes.slice(address, end);
}

function argumentsAt(host: HelperHost, address: number, count: number): FormatArguments {
  return {
    count,
    low: (index) => host.view.getUint32(address + 8 * index, true),
    high: (index) => host.view.getUint32(address + 8 * index + 4, true),
  };
}
