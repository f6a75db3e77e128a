/**
 * Calls of every helper with every kind of value in each argument: the other arguments are what the helper wants, as far as a
 * few instructions can make it. One program a call, for one type of program that may call the helper.
 */
import { assembleProgram } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/index.ts";
import { type ArgSpec, HELPERS, type NamedHelper } from "../../spec/index.ts";

export interface Call {
  /** `bpf_skb_load_bytes sched_cls r2=packet` */
  readonly name: string;
  readonly program: Program;
}

/** How a register is given each kind of value; r6 … r9 hold ctx, packet, its end, a map value. */
const VALUES = {
  nothing: () => [],
  zero: (r: number) => [`r${r} = 0`],
  eight: (r: number) => [`r${r} = 8`],
  minus: (r: number) => [`r${r} = -1`],
  stack: (r: number) => [`r${r} = r10`, `r${r} += -64`],
  empty: (r: number) => [`r${r} = r10`, `r${r} += -128`],
  moved: (r: number) => [`r${r} = r6`, `r${r} += 8`],
  ctx: (r: number) => [`r${r} = r6`],
  map: (r: number) => [`r${r} = map[wanted] ll`],
  other: (r: number) => [`r${r} = map[values] ll`],
  value: (r: number) => [`r${r} = r9`],
  packet: (r: number) => [`r${r} = r7`],
  function: (r: number) => [`r${r} = r10`],
} as const satisfies Record<string, (register: number) => readonly string[]>;
type Value = keyof typeof VALUES;
const SUBSTITUTES = Object.keys(VALUES).filter((name) => name !== "function") as Value[];

/** The best that can be had for an argument; null: calls that want it cannot be made here. */
function wanted(arg: ArgSpec): Value | null {
  switch (arg.is) {
    case "anything":
    case "scalar":
    case "constSize":
    case "constSizeOrZero":
    case "constAllocSizeOrZero":
      return "eight";
    case "constMapPtr":
      return "map";
    case "ctx":
      return "ctx";
    case "mapKey":
    case "mapValue":
    case "mem":
    case "stackOrNull":
      return "stack";
    case "constStr":
      return "value";
    case "func":
      return null;
    default:
      return "zero";
  }
}

/** Maps by the helpers that want them: type, key, value, entries. */
const MAPS: readonly (readonly [names: RegExp, map: string])[] = [
  [/tail_call/, "prog_array key=4 value=4 max=4"],
  [/perf_event|skb_output|xdp_output/, "perf_event_array key=4 value=4 max=4"],
  [/ringbuf_/, "ringbuf max=4096"],
  [/get_stackid/, "stack_trace key=4 value=128 max=4"],
  [/under_cgroup/, "cgroup_array key=4 value=4 max=4"],
  [/bpf_redirect_map/, "devmap key=4 value=4 max=4"],
  [/sk_redirect_map|msg_redirect_map|sock_map_update/, "sockmap key=4 value=4 max=4"],
  [/_hash$|hash_update/, "sockhash key=4 value=4 max=4"],
  [/select_reuseport/, "reuseport_sockarray key=4 value=8 max=4"],
  [/map_(push|pop|peek)/, "queue value=8 max=4"],
  [/percpu_elem/, "percpu_array key=4 value=8 max=4"],
];
const mapOf = (helper: NamedHelper): string =>
  MAPS.find(([names]) => names.test(helper.name))?.[1] ?? "hash key=4 value=8 max=4";

/** Program types asked, the first that may call the helper; with where their packet is in the context. */
const TYPES: readonly {
  readonly type: string;
  readonly attach?: string;
  readonly packet?: readonly [string, number];
}[] = [
  { type: "sched_cls", packet: ["u32", 76] },
  { type: "xdp", packet: ["u32", 0] },
  { type: "kprobe" },
  { type: "perf_event" },
  { type: "cgroup_skb", packet: ["u32", 76] },
  { type: "sk_skb", packet: ["u32", 76] },
  { type: "sk_msg", packet: ["u64", 0] },
  { type: "sock_ops", packet: ["u64", 192] },
  { type: "lwt_xmit", packet: ["u32", 76] },
  { type: "lwt_in", packet: ["u32", 76] },
  { type: "lwt_seg6local", packet: ["u32", 76] },
  { type: "sk_reuseport", packet: ["u64", 0] },
  { type: "cgroup_sysctl", attach: "cgroup_sysctl" },
  { type: "cgroup_sock_addr", attach: "cgroup_inet4_connect" },
  { type: "cgroup_sockopt", attach: "cgroup_setsockopt", packet: ["u64", 8] },
  { type: "socket_filter" },
];

export function calls(): Call[] {
  return HELPERS.flatMap((helper) => {
    const found = TYPES.filter(({ type, attach }) => mayCall(helper, type, attach ?? "")).slice(0, 3);
    const usual = helper.args.map(wanted);
    if (usual.includes(null)) return [];
    return found.flatMap((kind) => {
      const call = (values: readonly Value[], name: string): Call => ({
        name: `${helper.name} ${kind.type} ${name}`,
        program: assembleProgram(text(helper, kind, values)).program,
      });
      const substituted = usual.flatMap((_, index) =>
        SUBSTITUTES.filter((value) => value !== "packet" || kind.packet).map((value) =>
          call(usual.with(index, value) as Value[], `r${index + 1}=${value}`),
        ),
      );
      return [call(usual as Value[], "usual"), ...substituted];
    });
  });
}

function mayCall({ audience }: NamedHelper, type: string, attach: string): boolean {
  return audience === "all" || audience.some((who) => who === type || who === `${type}/${attach}`);
}

function text(helper: NamedHelper, { type, attach, packet }: (typeof TYPES)[number], values: readonly Value[]): string {
  const [size, offset] = packet ?? ["u32", 0];
  const loads = packet
    ? [
        `r7 = *(${size} *)(r1 + ${offset})`,
        `r8 = *(${size} *)(r1 + ${offset + (size === "u32" ? 4 : 8)})`,
        ...["r2 = r7", "r2 += 64", "if r2 > r8 goto out"],
      ]
    : [];
  return [
    `; map: wanted ${mapOf(helper)}`,
    "; map: values array key=4 value=64 max=1",
    `; prog: ${type} license=GPL${attach ? ` attach=${attach}` : ""}`,
    "r6 = r1",
    ...Array.from({ length: 8 }, (_, index) => `*(u64 *)(r10 - ${8 * (index + 1)}) = 0`),
    ...["r1 = map[values] ll", "r2 = r10", "r2 += -8", "call 1", "if r0 == 0 goto out", "r9 = r0", "r1 = r6"],
    ...loads,
    ...values.flatMap((value, index) => VALUES[value](index + 1)),
    `call ${helper.id}`,
    ...["out:", "r0 = 1", "exit"],
  ].join("\n");
}
