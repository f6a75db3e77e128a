/**
 * Packets as struct xdp_md. Kernel: bpf_prog_test_run_xdp(), xdp_convert_md_to_buff(), xdp_convert_buff_to_md() in
 * net/bpf/test_run.c. In ctxIn `data` is the length of the metadata in front of the packet, `data_end` the length of both.
 *
 *     256 bytes of headroom, metadata at its end │ packet, up to the end of the page │ 320 bytes
 *                           ^ data_meta          ^ data                              ^ data_end
 *
 * What does not fit, and what is given as fragments, follows in a list that data_end does not cover.
 */
import { CTX, PAGE_BYTES } from "../../spec/index.ts";
import { LOOPBACK } from "../device.ts";
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
import { concatenate, inPages, placeFragments, withFragmentList } from "./fragments.ts";

/** XDP_PACKET_HEADROOM, of which sizeof(struct xdp_frame) is not for metadata */
const HEADROOM_BYTES = 256;
const LARGEST_METADATA_BYTES = HEADROOM_BYTES - 40;
/** MAX_SKB_FRAGS pages */
const LARGEST_FRAGMENTS_BYTES = 17 * PAGE_BYTES;

const SIZE = CTX.xdp_md.size;
const AT = offsetsOf(CTX.xdp_md.fields, [
  "data",
  "data_end",
  "data_meta",
  "ingress_ifindex",
  "rx_queue_index",
  "egress_ifindex",
]);

export function prepareXdp(room: ContextRoom, program: ContextProgram, input: TestRunInput): PreparedContext {
  if (program.attachType === "xdp_devmap" || program.attachType === "xdp_cpumap") {
    refuse("EINVAL", `programs for ${program.attachType} cannot be test-run`);
  }
  const packet = input.dataIn ?? new Uint8Array(0);
  const given = givenContext(input, SIZE);
  const { metaBytes, linearBytes } = layOut(packet, given);
  const queue = receiveQueue(room, given);
  const behind = [...inPages(packet.subarray(linearBytes)), ...(input.fragments ?? [])];
  if (behind.reduce((sum, { length }) => sum + length, 0) > LARGEST_FRAGMENTS_BYTES) {
    refuse("ENOMEM", "the packet has more than 17 pages of fragments");
  }

  const page = room.allocate(PAGE_BYTES, PACKET_ALIGNMENT);
  const address = room.allocate(withFragmentList(SIZE, behind), PACKET_ALIGNMENT);
  const fragments = placeFragments(room, address + SIZE, behind);
  const start = page + HEADROOM_BYTES - metaBytes;
  room.bytes.set(packet.subarray(0, linearBytes), start);
  const set = (offset: number, value: number): void => room.view.setUint32(address + offset, value, true);
  const get = (offset: number): number => room.view.getUint32(address + offset, true);
  set(AT.data_meta, start);
  set(AT.data, start + metaBytes);
  set(AT.data_end, start + linearBytes);
  set(AT.ingress_ifindex, queue.ifindex);
  set(AT.rx_queue_index, queue.index);

  return {
    address,
    eventFlags: fragments.eventFlags,
    finish: () => {
      const meta = get(AT.data_meta);
      const linear = room.bytes.slice(meta, get(AT.data_end));
      return {
        dataOut: concatenate([linear, ...fragments.read()]),
        ctxOut:
          given !== null && wantsContext(input)
            ? contextAfter(given, get(AT.data) - meta, get(AT.data_end) - meta)
            : null,
      };
    },
  };
}

/** How many bytes are metadata, and how many (with them) are in the page. */
function layOut(packet: Uint8Array, given: Uint8Array | null): { metaBytes: number; linearBytes: number } {
  let metaBytes = 0;
  let linearBytes = packet.length;
  if (given !== null) {
    const from = new DataView(given.buffer);
    const end = from.getUint32(AT.data_end, true);
    metaBytes = from.getUint32(AT.data, true);
    linearBytes = end;
    if (from.getUint32(AT.data_meta, true) !== 0) refuse("EINVAL", "data_meta must be 0: metadata starts the data");
    if (end > packet.length) refuse("EINVAL", `data_end ${end} lies behind the packet of ${packet.length} bytes`);
    if (metaBytes > end) refuse("EINVAL", `data ${metaBytes} lies behind data_end ${end}`);
    if (metaBytes % 4 !== 0 || metaBytes > LARGEST_METADATA_BYTES) {
      refuse("EINVAL", `metadata of ${metaBytes} bytes: at most ${LARGEST_METADATA_BYTES}, a multiple of 4`);
    }
  }
  if (packet.length - metaBytes < ETHERNET_HEADER_BYTES) {
    refuse(
      "EINVAL",
      `a packet has an Ethernet header of 14 bytes at least, this one ${packet.length - metaBytes} bytes`,
    );
  }
  const room = PAGE_BYTES - (HEADROOM_BYTES - metaBytes) - SHARED_INFO_BYTES;
  return { metaBytes, linearBytes: Math.min(linearBytes, room) };
}

function receiveQueue(room: ContextRoom, given: Uint8Array | null): { ifindex: number; index: number } {
  if (given === null) return { ifindex: LOOPBACK.ifindex, index: 0 };
  const from = new DataView(given.buffer);
  const ifindex = from.getUint32(AT.ingress_ifindex, true);
  const index = from.getUint32(AT.rx_queue_index, true);
  if (from.getUint32(AT.egress_ifindex, true) !== 0) refuse("EINVAL", "egress_ifindex must be 0");
  if (ifindex === 0 && index !== 0) refuse("EINVAL", "rx_queue_index needs an ingress_ifindex");
  if (ifindex === 0) return { ifindex: LOOPBACK.ifindex, index: 0 };
  const device = room.device(ifindex) ?? refuse("ENODEV", `there is no device with ifindex ${ifindex}`);
  if (index >= device.rxQueues)
    refuse("EINVAL", `the device has ${device.rxQueues} receive queues, no number ${index}`);
  return { ifindex, index };
}

function contextAfter(given: Uint8Array, data: number, dataEnd: number): Uint8Array {
  const context = given.slice();
  const view = new DataView(context.buffer);
  view.setUint32(AT.data, data, true);
  view.setUint32(AT.data_end, dataEnd, true);
  return context;
}
