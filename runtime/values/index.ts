/** Values by C type: read, write, look at without copying, print. Text out is plain; colours are the command's. */
export { hexDump } from "./hexdump.ts";
export { formatHistogram, histogramOf } from "./histogram.ts";
export { readMember, readValue } from "./read.ts";
export { formatEntries } from "./table.ts";
export { formatValue } from "./text.ts";
export { type FlatMember, flatMembers, isStruct, isText, type StructType, type Value } from "./type.ts";
export { type StructView, viewOf } from "./view.ts";
export { writeMember, writeValue } from "./write.ts";
