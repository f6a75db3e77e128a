/** Values by C type: read, write, look at without copying, print. Text out is plain; colours are the command's. */
export { hexDump } from "./hexdump.ts";
export { formatHistogram, type HistogramPlace, histogramOf, readHistogram } from "./histogram.ts";
export { type ReadOptions, readValue } from "./read.ts";
export { formatEntries, type MapEntry, type MapTypes, type TableOptions } from "./table.ts";
export { formatValue } from "./text.ts";
export type { Value } from "./type.ts";
export { type LiveMemory, type StructView, type StructViewClass, viewOf } from "./view.ts";
export { writeValue } from "./write.ts";
