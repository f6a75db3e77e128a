/** Where in a record the meta ends and the packet begins: `bpf_perf_event_output(ctx, map, flags | len << 32, meta, size)`. */
import { UsageError } from "../../../base/index.ts";
import type { CType } from "../../../spec/index.ts";
import { readMember } from "../../values/read.ts";
import { flatMembers, isStruct, type StructType } from "../../values/type.ts";
import type { SinkStart } from "../sink.ts";

/** How the records of a map hold packets. */
export interface PacketLayout {
  /** the meta in front of the packet: a struct of the object's BTF, or its number of bytes */
  readonly meta: string | number;
  /** member of that struct that holds the bytes of the packet behind it; without it the record's padding stays on the packet */
  readonly length?: string | undefined;
  /** LINKTYPE_… of the packets; default Ethernet */
  readonly linkType?: number | undefined;
}

/** Source: the registry of link types at tcpdump.org */
export const LINK_TYPE = { ETHERNET: 1, USER0: 147 } as const;

/** A layout whose names are looked up. */
export interface ResolvedLayout {
  readonly metaBytes: number;
  readonly metaType: CType | null;
  /** bytes of the packet as the meta says, null where it does not */
  readonly packetBytes: (record: DataView) => number | null;
  readonly linkType: number;
}

export function resolveLayout(map: string, layout: PacketLayout, types: SinkStart["types"]): ResolvedLayout {
  const linkType = layout.linkType ?? LINK_TYPE.ETHERNET;
  if (typeof layout.meta === "number") {
    if (!Number.isInteger(layout.meta) || layout.meta < 0)
      throw new UsageError("USAGE", `the meta of ${map} has ${layout.meta} bytes: a whole number is needed`);
    if (layout.length !== undefined)
      throw new UsageError("USAGE", `the packet's length ${layout.length} needs the struct of the meta of ${map}`);
    return { metaBytes: layout.meta, metaType: null, packetBytes: () => null, linkType };
  }
  const type = Object.hasOwn(types, layout.meta) ? types[layout.meta]! : null;
  if (type === null || !isStruct(type)) {
    const known = Object.keys(types).sort().join(", ");
    throw new UsageError("USAGE", `the object has no struct ${layout.meta} for the meta of ${map}`, {
      hint: known === "" ? "it was built without BTF (-g)" : `it has ${known}`,
    });
  }
  const packetBytes = layout.length === undefined ? () => null : lengthReader(type, layout.meta, layout.length);
  return { metaBytes: type.size, metaType: type, packetBytes, linkType };
}

function lengthReader(type: StructType, typeName: string, name: string): (record: DataView) => number | null {
  const members = flatMembers(type);
  const member = members.find((each) => each.name === name);
  if (member === undefined || member.type.kind !== "int") {
    throw new UsageError("USAGE", `struct ${typeName} has no number ${name}`, {
      hint: `it has ${members.map((each) => each.name).join(", ")}`,
    });
  }
  return (record) => Number(readMember(member, record, 0, {}));
}
