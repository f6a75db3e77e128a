/**
 * LD_ABS and LD_IND: a big-endian load from the packet of the __sk_buff in r6 into r0. Outside of the packet the function
 * returns 0 at once. Kernel: bpf_gen_ld_abs(), bpf_skb_load_helper_32(); negative offsets count from the link layer or the
 * network header (bpf_internal_load_pointer_neg_helper()).
 */
import { CTX } from "../../spec/index.ts";
import { MODE, SIZE_BYTES } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import { pointerIn } from "./address.ts";
import { swap32 } from "./alu.ts";
import type { Body } from "./body.ts";
import type { Expr } from "./emit.ts";

/** SKF_NET_OFF, SKF_LL_OFF: include/uapi/linux/filter.h */
const NETWORK_OFFSET = -0x10_0000;
const LINK_OFFSET = -0x20_0000;
const ETHERNET_HEADER_BYTES = 14;
const CTX_REGISTER = 6;

const fieldOffset = (name: "data" | "data_end"): number =>
  CTX.sched_cls.fields.find((field) => field.name === name)!.offset;

export function lowerPacketLoad(body: Body, insn: Insn): Expr[] {
  const { frame, wasm } = body;
  const { m } = wasm;
  const bytes = SIZE_BYTES[insn.opcode & 0x18]!;
  const offset = frame.temp(wasm.i32);
  const start = frame.temp(wasm.i64);
  const isIndirect = (insn.opcode & 0xe0) === MODE.IND;
  const at = isIndirect ? m.i32.add(frame.reg32(insn.src), m.i32.const(insn.imm)) : m.i32.const(insn.imm);
  const end = m.i64.load32_u(fieldOffset("data_end"), 4, pointerIn(body, CTX_REGISTER));
  const fail = m.block(null, [...body.leave(), m.return(m.i64.const(0n))]);
  return [
    offset.set(at),
    start.set(position(body, offset.get)),
    m.if(
      m.i32.or(
        m.i32.lt_s(offset.get(), m.i32.const(LINK_OFFSET)),
        m.i64.gt_s(m.i64.add(start.get(), m.i64.const(BigInt(bytes))), end),
      ),
      fail,
    ),
    frame.setReg(0, m.i64.extend_u(bigEndian(body, m.i32.wrap(start.get()), bytes))),
  ];
}

/** Address of the offset, in 64 bits so that it cannot wrap. */
function position(body: Body, offset: () => Expr): Expr {
  const { m } = body.wasm;
  const data = (): Expr => m.i64.load32_u(fieldOffset("data"), 4, pointerIn(body, CTX_REGISTER));
  // A socket filter sees the packet from its network header on, tc from its link layer header on.
  const linkBytes = body.program.type === "socket_filter" ? -ETHERNET_HEADER_BYTES : 0;
  const shift = (by: number): Expr => m.i64.const(BigInt(by));
  const fromNetwork = shift(linkBytes + ETHERNET_HEADER_BYTES - NETWORK_OFFSET);
  const fromLink = shift(linkBytes - LINK_OFFSET);
  const header = m.select(m.i32.ge_s(offset(), m.i32.const(NETWORK_OFFSET)), fromNetwork, fromLink);
  const correction = m.select(m.i32.ge_s(offset(), m.i32.const(0)), shift(0), header);
  return m.i64.add(m.i64.add(data(), m.i64.extend_s(offset())), correction);
}

function bigEndian(body: Body, pointer: Expr, bytes: number): Expr {
  const { frame, wasm } = body;
  const { i32 } = wasm.m;
  if (bytes === 1) return i32.load8_u(0, 1, pointer);
  if (bytes === 4) return swap32(wasm, frame, i32.load(0, 1, pointer));
  return i32.shr_u(swap32(wasm, frame, i32.load16_u(0, 1, pointer)), i32.const(16));
}
