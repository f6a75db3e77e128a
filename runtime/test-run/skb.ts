/**
 * Packets as struct __sk_buff: socket filters and traffic control. Kernel: bpf_prog_test_run_skb(), convert___skb_to_skb(),
 * convert_skb_to___skb() in net/bpf/test_run.c, eth_type_trans().
 *
 *     64 bytes of headroom │ Ethernet header │ what follows
 *                          ^ data of sched_cls
 *                                            ^ data of socket filters, as a socket receives it
 */
import { CTX, PAGE_BYTES } from "../../spec/index.ts";
import { type Device, LOOPBACK } from "../device.ts";
import {
  type ContextProgram,
  type ContextRoom,
  ETHERNET_HEADER_BYTES,
  givenContext,
  offsetsOf,
  PACKET_ALIGNMENT,
  type PreparedContext,
  refuse,
  SHARED_INFO_BYTES,
  type TestRunInput,
  wantsContext,
} from "./context.ts";
import { concatenate, placeFragments, withFragmentList } from "./fragments.ts";

/** NET_SKB_PAD + NET_IP_ALIGN on x86-64 */
const HEADROOM_BYTES = 64;
const LARGEST_PACKET_BYTES = PAGE_BYTES - HEADROOM_BYTES - SHARED_INFO_BYTES;
/** GSO_LEGACY_MAX_SIZE, GSO_MAX_SEGS */
const LARGEST_WIRE_BYTES = 65_536;
const MOST_SEGMENTS = 65_535;
/** ETH_P_*, as the header holds them */
const PROTOCOL = { ip: 0x0800, ipv6: 0x86dd, ieee8023: 0x0001, ieee8022: 0x0004 } as const;
/** ETH_P_802_3_MIN: smaller numbers in the header are a length */
const SMALLEST_ETHERTYPE = 0x0600;
const PACKET_TYPE = { host: 0, broadcast: 1, multicast: 2, otherHost: 3 } as const;

const SIZE = CTX.sched_cls.size;
const AT = offsetsOf(CTX.sched_cls.fields, [
  ...([
    "len",
    "pkt_type",
    "mark",
    "protocol",
    "priority",
    "ingress_ifindex",
    "ifindex",
    "cb0",
    "data",
    "data_end",
  ] as const),
  ...(["data_meta", "tstamp", "wire_len", "gso_segs", "gso_size", "hwtstamp"] as const),
]);
const CB_BYTES = 20;

/** What user space may set in __sk_buff; every other byte must be zero. */
const ALLOWED: readonly { readonly at: number; readonly bytes: number }[] = [
  { at: AT.mark, bytes: 4 },
  { at: AT.priority, bytes: 4 },
  { at: AT.ingress_ifindex, bytes: 4 },
  { at: AT.ifindex, bytes: 4 },
  { at: AT.cb0, bytes: CB_BYTES },
  { at: AT.tstamp, bytes: 8 },
  { at: AT.wire_len, bytes: 4 },
  { at: AT.gso_segs, bytes: 4 },
  { at: AT.gso_size, bytes: 4 },
  { at: AT.hwtstamp, bytes: 8 },
];

export function prepareSkb(room: ContextRoom, program: ContextProgram, input: TestRunInput): PreparedContext {
  const packet = input.dataIn ?? new Uint8Array(0);
  if (packet.length < ETHERNET_HEADER_BYTES) {
    refuse("EINVAL", `a packet has an Ethernet header of 14 bytes at least, this one has ${packet.length} bytes`);
  }
  if (packet.length > LARGEST_PACKET_BYTES) {
    refuse("EINVAL", `a packet of ${packet.length} bytes is larger than ${LARGEST_PACKET_BYTES}`);
  }
  const given = givenContext(input, SIZE);
  const device = deviceOf(room, given);
  requireNetworkHeader(packet);
  if (given !== null) requireAllowed(given);

  const seesEthernet = program.type === "sched_cls";
  const hidden = seesEthernet ? 0 : ETHERNET_HEADER_BYTES;
  const start = room.allocate(HEADROOM_BYTES + packet.length, PACKET_ALIGNMENT) + HEADROOM_BYTES;
  const behind = input.fragments ?? [];
  const address = room.allocate(withFragmentList(SIZE, behind), PACKET_ALIGNMENT);
  const fragments = placeFragments(room, address + SIZE, behind);
  room.bytes.set(packet, start);
  const length = packet.length - hidden + fragments.bytes;
  const set = (offset: number, value: number): void => room.view.setUint32(address + offset, value, true);
  set(AT.len, length);
  set(AT.pkt_type, packetType(packet, device));
  set(AT.protocol, protocolOf(packet));
  set(AT.ifindex, device.ifindex);
  set(AT.data, start + hidden);
  set(AT.data_meta, start + hidden);
  set(AT.data_end, start + packet.length);
  if (given !== null) takeContext(room, address, given, length);

  return {
    address,
    eventFlags: fragments.eventFlags,
    finish: () => ({
      dataOut: concatenate([packetAfter(room, start, packet.length, hidden), ...fragments.read()]),
      ctxOut: given !== null && wantsContext(input) ? contextAfter(room, address, given) : null,
    }),
  };
}

function deviceOf(room: ContextRoom, given: Uint8Array | null): Device {
  const ifindex = given === null ? 0 : viewOf(given).getUint32(AT.ifindex, true);
  if (ifindex <= LOOPBACK.ifindex) return LOOPBACK;
  return room.device(ifindex) ?? refuse("ENODEV", `there is no device with ifindex ${ifindex}`);
}

function requireNetworkHeader(packet: Uint8Array): void {
  const protocol = ethertype(packet);
  const needed = protocol === PROTOCOL.ip ? 20 : protocol === PROTOCOL.ipv6 ? 40 : 0;
  if (packet.length - ETHERNET_HEADER_BYTES < needed) {
    refuse("EINVAL", `the packet ends inside its IP header of ${needed} bytes`);
  }
}

function requireAllowed(given: Uint8Array): void {
  const isAllowed = (offset: number): boolean => ALLOWED.some(({ at, bytes }) => offset >= at && offset < at + bytes);
  const bad = given.findIndex((byte, offset) => byte !== 0 && !isAllowed(offset));
  if (bad >= 0) refuse("EINVAL", `byte ${bad} of __sk_buff cannot be set and must be zero`);
}

function takeContext(room: ContextRoom, address: number, given: Uint8Array, length: number): void {
  const from = viewOf(given);
  const wireLength = from.getUint32(AT.wire_len, true);
  if (wireLength !== 0 && (wireLength < length || wireLength > LARGEST_WIRE_BYTES)) {
    refuse("EINVAL", `wire_len ${wireLength} is not within ${length} and ${LARGEST_WIRE_BYTES}`);
  }
  const segments = from.getUint32(AT.gso_segs, true);
  if (segments > MOST_SEGMENTS) refuse("EINVAL", `gso_segs ${segments} is larger than ${MOST_SEGMENTS}`);
  for (const { at, bytes } of ALLOWED) {
    if (at !== AT.ifindex) room.bytes.set(given.subarray(at, at + bytes), address + at);
  }
  room.view.setUint32(address + AT.wire_len, wireLength === 0 ? length : wireLength, true);
  // struct skb_shared_info keeps 16 bits of it
  room.view.setUint32(address + AT.gso_size, from.getUint32(AT.gso_size, true) & 0xffff, true);
}

/** The Ethernet header that a socket filter does not see comes back as zeros. */
function packetAfter(room: ContextRoom, start: number, bytes: number, hidden: number): Uint8Array {
  const packet = room.bytes.slice(start, start + bytes);
  packet.fill(0, 0, hidden);
  return packet;
}

/** What was given, with the fields that the kernel writes back. gso_size stays as given. */
function contextAfter(room: ContextRoom, address: number, given: Uint8Array): Uint8Array {
  const context = given.slice();
  for (const { at, bytes } of ALLOWED) {
    if (at !== AT.gso_size) context.set(room.bytes.subarray(address + at, address + at + bytes), at);
  }
  return context;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const ethertype = (packet: Uint8Array): number => (packet[12]! << 8) | packet[13]!;

/** skb->protocol as a load of the field yields it: network byte order. Kernel: eth_type_trans(). */
function protocolOf(packet: Uint8Array): number {
  return swap16(etherProtocol(packet));
}

function etherProtocol(packet: Uint8Array): number {
  const type = ethertype(packet);
  if (type >= SMALLEST_ETHERTYPE) return type;
  // IPX over raw 802.3 has no LLC header: its checksum field, always 0xffff, stands there.
  const isRaw = packet[14] === 0xff && packet[15] === 0xff;
  return isRaw ? PROTOCOL.ieee8023 : PROTOCOL.ieee8022;
}

const swap16 = (value: number): number => ((value & 0xff) << 8) | (value >> 8);

function packetType(packet: Uint8Array, device: Device): number {
  const isSentTo = (address: readonly number[]): boolean => address.every((byte, index) => packet[index] === byte);
  if (isSentTo(device.address)) return PACKET_TYPE.host;
  const isMulticast = (packet[0]! & 1) !== 0;
  if (!isMulticast) return PACKET_TYPE.otherHost;
  return isSentTo(device.broadcast) ? PACKET_TYPE.broadcast : PACKET_TYPE.multicast;
}
