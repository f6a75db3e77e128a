/** Records and maps as text for people. */
import type { MapRecord, TypedMap, Value } from "../api/index.ts";
import { formatEntries, hexDump } from "../api/index.ts";
import { out } from "./colors.ts";

/** `TIME [CPU] map: { pid = 12, comm = "sh" }`; without BTF a hex dump. */
export function recordText(record: MapRecord): string {
  const place = [
    record.time === null ? "" : (Number(record.time) / 1e9).toFixed(9),
    record.cpu === null ? "" : `[${String(record.cpu).padStart(3, "0")}]`,
    `${record.map}:`,
  ].filter((part) => part !== "");
  const head = out.dim(place.join(" "));
  if (record.fields === undefined) return `${head}\n${hexDump(record.data)}`;
  return `${head} ${valueText(record.fields)}`;
}

export function mapText(map: TypedMap): string {
  return formatEntries(map.raw.spec, [...map.raw.entries()]);
}

function valueText(value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return Object.entries(value)
      .map(
        ([name, each]) =>
          `${out.cyan(name)}=${typeof each === "object" && each !== null && !(each instanceof Uint8Array) ? `{${valueText(each)}}` : valueText(each)}`,
      )
      .join(" ");
  }
  return String(value);
}
