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
  return typeof packed === "number" ? packed : traceLine(host, parts, packed);
};

/** Returns the length of the line, also of what was cut; takes as many values as bpf_snprintf. */
export const traceVprintk: HelperImplementation = (host, format, formatBytes, data, dataBytes) => {
  if (!isArgumentBlock(data!, dataBytes!)) return -ERRNO.EINVAL;
  const text = stringAt(host, format!, formatBytes!);
  if (text === null) return -ERRNO.EINVAL;
  const parts = parseFormat(text);
  const packed = packArguments(host, parts, argumentsAt(host, data!, dataBytes! / 8));
  return typeof packed === "number" ? packed : traceLine(host, parts, packed);
};

/** Returns the length of the text with its zero, also of what did not fit. */
export const snprintf: HelperImplementation = (host, target, targetBytes, format, data, dataBytes) => {
  if (!isArgumentBlock(data!, dataBytes!)) return -ERRNO.EINVAL;
  const text = stringAt(host, format!, host.bytes.length - format!);
  if (text === null) return -ERRNO.EINVAL;
  const parts = parseFormat(text);
  const packed = packArguments(host, parts, argumentsAt(host, data!, dataBytes! / 8));
  if (typeof packed === "number") return packed;
  return printPacked(host.bytes.subarray(target!, target! + targetBytes!), parts, packed) + 1;
};

/** Returns the length of the line before it was cut. */
function traceLine(
  host: HelperHost,
  parts: Parameters<typeof printPacked>[1],
  packed: Parameters<typeof printPacked>[2],
): number {
  const line = new Uint8Array(TRACE_LINE_BYTES);
  const length = printPacked(line, parts, packed);
  host.traceLine(DECODER.decode(line.subarray(0, Math.min(length, TRACE_LINE_BYTES - 1))));
  return length;
}

export const isArgumentBlock = (data: number, bytes: number): boolean =>
  bytes % 8 === 0 && bytes <= LIMITS.bprintfArguments * 8 && (bytes === 0 || data !== 0);

/** The bytes before the zero; null where there is none within `most` bytes. */
export function stringAt(host: HelperHost, address: number, most: number): Uint8Array | null {
  const end = host.bytes.indexOf(0, address);
  return end < 0 || end >= address + most ? null : host.bytes.slice(address, end);
}

export function argumentsAt(host: HelperHost, address: number, count: number): FormatArguments {
  return {
    count,
    low: (index) => host.view.getUint32(address + 8 * index, true),
    high: (index) => host.view.getUint32(address + 8 * index + 4, true),
  };
}
