/** Bytes without a type, for people: offset, sixteen bytes in hexadecimal, the same as ASCII. */
import { toHex } from "../../base/index.ts";

const ROW_BYTES = 16;

/** Rows joined by line feeds, none at the end. Bytes that are not printable ASCII show as a dot. */
export function hexDump(bytes: Uint8Array, offset = 0): string {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += ROW_BYTES) rows.push(row(bytes.subarray(at, at + ROW_BYTES), offset + at));
  return rows.join("\n");
}

function row(bytes: Uint8Array, offset: number): string {
  const pairs = Array.from(bytes, (byte) => toHex(Uint8Array.of(byte)));
  const half = (from: number): string => pairs.slice(from, from + 8).join(" ");
  const hex = `${half(0)}  ${half(8)}`.padEnd(ROW_BYTES * 3);
  const text = Array.from(bytes, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
  return `${offset.toString(16).padStart(6, "0")}  ${hex}  ${text}`;
}
