/** Sinks: files of records that other tools read. */
export { openSink, SINK_FORMATS, type SinkFormat, type SinkOptions, sinkFormatOf } from "./open.ts";
export type { PacketLayout } from "./pcapng/layout.ts";
export { PcapngSink, type SinkPacket } from "./pcapng/sink.ts";
export type { RecordOrigin, RecordPlace, RecordSink, RecordTask } from "./sink.ts";
