/**
 * Map contents for people: a table with a column for the key and one for each member of the value, or histograms, or hex.
 * Text in lines, in the order given unless the values are plain counts, which go from the largest down.
 */
import { toHex } from "../../base/index.ts";
import type { CType, MapVariable } from "../../spec/index.ts";
import { formatHistogram, histogramOf, readHistogram } from "./histogram.ts";
import { readValue } from "./read.ts";
import { formatValue } from "./text.ts";
import { extentBytes, flatMembers, isStruct, isText } from "./type.ts";

/** A per-CPU map has an array of values, one for each CPU. */
export interface MapEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array | readonly Uint8Array[];
}

/** A MapSpec is one. */
export interface MapTypes {
  readonly keyType: CType | null;
  readonly valueType: CType | null;
  /** of a data map: its value is shown variable by variable */
  readonly variables?: readonly MapVariable[];
}

export interface TableOptions {
  /** what a histogram's ranges measure */
  readonly unit?: string;
}

/** `(empty)` where there are no entries. */
export function formatEntries(types: MapTypes, entries: readonly MapEntry[], options: TableOptions = {}): string {
  if (entries.length === 0) return "(empty)";
  const { valueType, variables = [] } = types;
  const rows = entries.flatMap(perCpuRows);
  if (variables.length > 0) return rows.map((row) => formatVariables(variables, row.value)).join("\n\n");
  if (valueType !== null && histogramOf(valueType) !== null && rows.every((row) => fits(valueType, row.value))) {
    return formatHistograms(types, valueType, rows, options);
  }
  const shown = rows.length > ROWS_WITH_ZEROS ? rows.filter((row) => !isZero(row.value)) : rows;
  const table = formatTable(types, isCount(valueType) ? byCount(shown, valueType!) : shown);
  const hidden = rows.length - shown.length;
  return hidden === 0 ? table : `${table}\n… and ${hidden} that are zero`;
}

/** A longer table leaves out what is all zero: most of a large array. */
const ROWS_WITH_ZEROS = 16;

interface Row {
  readonly key: Uint8Array;
  /** null: the map is not per CPU */
  readonly cpu: number | null;
  readonly value: Uint8Array;
}

/** One row an entry, or one a CPU whose value is not all zero (the first where all are). */
function perCpuRows(entry: MapEntry): Row[] {
  if (entry.value instanceof Uint8Array) return [{ key: entry.key, cpu: null, value: entry.value }];
  const rows = entry.value.map((value, cpu) => ({ key: entry.key, cpu, value }));
  const used = rows.filter((row) => !isZero(row.value));
  return used.length > 0 ? used : rows.slice(0, 1);
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** A line a variable: its name and value. */
function formatVariables(variables: readonly MapVariable[], bytes: Uint8Array): string {
  const lines = variables.map(({ name, offsetBytes, sizeBytes, type }) => [
    name,
    formatBytes(type, bytes.subarray(offsetBytes, offsetBytes + sizeBytes)),
  ]);
  return layOut([["variable", "value"], ...lines], [false, false]);
}

function formatHistograms(types: MapTypes, valueType: CType, rows: readonly Row[], options: TableOptions): string {
  const place = histogramOf(valueType)!;
  return rows
    .map((row) => {
      const counts = readHistogram(place, valueType, viewOn(row.value), 0);
      const heading = [`key ${formatBytes(types.keyType, row.key)}`, ...otherMembers(valueType, row.value)];
      if (row.cpu !== null) heading.push(`cpu ${row.cpu}`);
      const histogram = formatHistogram(counts, options.unit);
      return rows.length === 1 && heading.length === 1 ? histogram : `${heading.join(", ")}\n${histogram}`;
    })
    .join("\n\n");
}

/** Members beside the histogram say whose it is. */
function otherMembers(type: CType, bytes: Uint8Array): string[] {
  if (!isStruct(type)) return [];
  const view = viewOn(bytes);
  return flatMembers(type)
    .filter((member) => member.name !== "slots" && member.bitfieldBits === 0)
    .map((member) => `${member.name} ${formatValue(member.type, view, member.offsetBits / 8)}`);
}

function formatTable(types: MapTypes, rows: readonly Row[]): string {
  const columns = [...columnsOf("key", types.keyType), ...columnsOf("value", types.valueType)];
  const perCpu = rows.some((row) => row.cpu !== null);
  const head = perCpu ? ["cpu", ...columns.map((column) => column.name)] : columns.map((column) => column.name);
  const cells = rows.map((row) => {
    const own = columns.map((column) => column.cell(column.part === "key" ? row.key : row.value));
    return perCpu ? [String(row.cpu), ...own] : own;
  });
  const alignRight = [...(perCpu ? [true] : []), ...columns.map((column) => column.number)];
  return layOut([head, ...cells], alignRight);
}

interface Column {
  readonly part: "key" | "value";
  readonly name: string;
  readonly number: boolean;
  readonly cell: (bytes: Uint8Array) => string;
}

function columnsOf(part: "key" | "value", type: CType | null): Column[] {
  const whole = { part, name: part, number: isNumber(type), cell: (bytes: Uint8Array) => formatBytes(type, bytes) };
  if (type === null || !isStruct(type)) return [whole];
  const members = flatMembers(type);
  if (type.kind === "union" || members.length === 0 || members.some((member) => member.bitfieldBits !== 0))
    return [whole];
  return members.map((member) => ({
    part,
    name: member.name,
    number: isNumber(member.type),
    cell: (bytes) => (fits(type, bytes) ? cellOf(member.type, bytes, member.offsetBits / 8) : toHex(bytes)),
  }));
}

/** Text stands without quotes in a column of its own. */
function cellOf(type: CType, bytes: Uint8Array, offset: number): string {
  const view = viewOn(bytes);
  return isText(type) ? String(readValue(type, view, offset)) : formatValue(type, view, offset);
}

/** Without a type, or where the bytes are none of it: hexadecimal. */
function formatBytes(type: CType | null, bytes: Uint8Array): string {
  return type !== null && fits(type, bytes) ? cellOf(type, bytes, 0) : toHex(bytes);
}

function layOut(lines: readonly (readonly string[])[], alignRight: readonly boolean[]): string {
  const widths = alignRight.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const pad = (text: string, column: number): string =>
    alignRight[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
  return lines.map((line) => line.map(pad).join("  ").trimEnd()).join("\n");
}

const isNumber = (type: CType | null): boolean => type?.kind === "int" || type?.kind === "float";
const isCount = (type: CType | null): boolean => type?.kind === "int" && !type.signed && type.encoding === "int";
const fits = (type: CType, bytes: Uint8Array): boolean => extentBytes(type) <= bytes.length;

function byCount(rows: readonly Row[], type: CType): readonly Row[] {
  if (!rows.every((row) => fits(type, row.value))) return rows;
  const counted = rows.map((row) => ({ row, count: BigInt(readValue(type, viewOn(row.value), 0) as number | bigint) }));
  return counted.sort((a, b) => (a.count < b.count ? 1 : a.count > b.count ? -1 : 0)).map(({ row }) => row);
}

const viewOn = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
