/**
 * BPF helpers: one row each. The verifier reads arguments, return and permissions; the lowering derives the call's Wasm
 * signature from the same columns; the runtime binds implementations by name. Adding a helper is a row and a function.
 * Source: include/uapi/linux/bpf.h (ids, names), the bpf_func_proto of each helper in the kernel (kinds, gpl_only).
 *
 * How arguments cross into Wasm (wasmParams() in compiler/lowering and the types in helpers/ follow this):
 *   pointers into the arena and sizes      i32
 *   { is: "anything", bits: 32 }           i32 (the low half of the register)
 *   { is: "anything", bits: 64 }           i64 to a wasm function; two i32 (low, high) to TypeScript
 *   func                                   not passed: the lowering calls the callback itself
 * Results: "int" i32, sign-extended; "u32" i32, zero-extended; pointers i32, tagged unless 0; "void" none;
 * "u64" an i64 from a wasm function, from TypeScript through WORKER.result.
 */
import type { ProgramTypeName } from "./program-types.ts";

/** Argument kinds are the kernel's ARG_*; modifiers its type flags. */
export type ArgSpec =
  /** `unchecked`: need not hold a value at all (what the format does not ask for) */
  | { readonly is: "anything"; readonly bits: 32 | 64; readonly unchecked?: true }
  | {
      readonly is:
        | "constMapPtr"
        | "mapKey"
        | "ctx"
        | "constSize"
        | "constSizeOrZero"
        | "constAllocSizeOrZero"
        | "constStr"
        | "func";
    }
  | { readonly is: "mapValue"; readonly uninit?: true; readonly maybeNull?: true }
  /** memory whose length is the next constSize argument, or `size` bytes where given */
  | {
      readonly is: "mem";
      /** the helper only reads it */
      readonly readOnly?: true;
      /** need not be initialised; the helper writes it */
      readonly uninit?: true;
      readonly maybeNull?: true;
      readonly size?: number;
      readonly aligned?: true;
    }
  /** pointer to stack memory or null: the callback's context */
  | { readonly is: "stackOrNull" }
  | { readonly is: "ringbufMem"; readonly release: true }
  | { readonly is: "spinLock" | "timer" | "kptrXchgDest" | "sockCommon" | "socket" | "percpuBtfId" }
  | { readonly is: "btfId"; readonly type: string; readonly maybeNull?: true; readonly release?: true }
  | { readonly is: "btfIdSockCommon"; readonly maybeNull?: true; readonly release?: true }
  | {
      readonly is: "dynptr";
      readonly dynptr: "any" | "local" | "ringbuf" | "skb" | "xdp";
      readonly uninit?: true;
      readonly readOnly?: true;
      readonly release?: true;
    };

export type RetSpec =
  | "int"
  | "u32"
  | "u64"
  | "void"
  | "mapValueOrNull"
  | "allocMemOrNull"
  | "ringbufMemOrNull"
  | "socketOrNull"
  | "tcpSockOrNull"
  | "sockCommonOrNull"
  | "btfId"
  | "btfIdOrNull"
  | "memOrBtfId"
  | "memOrBtfIdOrNull"
  | "dynptrMemOrNull"
  | "kptrOrNull";

/** Which programs may call it. "tracing": what bpf_tracing_func_proto() gives. */
export type HelperAudience = "all" | readonly (ProgramTypeName | "tracing" | "networking")[];

/**
 * Where it is implemented. "map": a library function chosen by the map's storage (library.ts, MAP_OPERATIONS);
 * "lowering": the lowering emits it itself; null: nowhere yet, so a program that calls it is not run.
 */
export type HelperHome = "wasm" | "js" | "map" | "lowering" | null;

export interface HelperSpec {
  readonly id: number;
  readonly name: string;
  readonly args: readonly ArgSpec[];
  readonly ret: RetSpec;
  /** name of the kernel type for btfId results */
  readonly retType?: string;
  readonly gplOnly: boolean;
  readonly audience: HelperAudience;
  readonly home: HelperHome;
  readonly since: string;
  /** pointers into the packet may be passed for memory (the kernel's pkt_access) */
  readonly packetAccess?: true;
  /** may move the packet: pointers into it are void after the call. Kernel: bpf_helper_changes_pkt_data() */
  readonly changesPacket?: true;
}

const MAP = { is: "constMapPtr" } as const;
const KEY = { is: "mapKey" } as const;
const CTX = { is: "ctx" } as const;
const ANY32 = { is: "anything", bits: 32 } as const;
const ANY64 = { is: "anything", bits: 64 } as const;
const UNCHECKED64 = { is: "anything", bits: 64, unchecked: true } as const;
const MEM_IN = { is: "mem", readOnly: true } as const;
const MEM_OUT = { is: "mem", uninit: true } as const;
const SIZE = { is: "constSize" } as const;
const SIZE0 = { is: "constSizeOrZero" } as const;

export const HELPERS = [
  {
    id: 1,
    name: "bpf_map_lookup_elem",
    args: [MAP, KEY],
    ret: "mapValueOrNull",
    gplOnly: false,
    audience: "all",
    home: "map",
    since: "3.19",
    packetAccess: true,
  },
  {
    id: 2,
    name: "bpf_map_update_elem",
    args: [MAP, KEY, { is: "mapValue" }, ANY64],
    ret: "int",
    gplOnly: false,
    audience: "all",
    home: "map",
    since: "3.19",
    packetAccess: true,
  },
  {
    id: 3,
    name: "bpf_map_delete_elem",
    args: [MAP, KEY],
    ret: "int",
    gplOnly: false,
    audience: "all",
    home: "map",
    since: "3.19",
    packetAccess: true,
  },
  {
    id: 4,
    name: "bpf_probe_read",
    args: [MEM_OUT, SIZE0, ANY64],
    ret: "int",
    gplOnly: true,
    audience: ["tracing"],
    home: "wasm",
    since: "4.1",
  },
  {
    id: 5,
    name: "bpf_ktime_get_ns",
    args: [],
    ret: "u64",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "4.1",
  },
  {
    id: 6,
    name: "bpf_trace_printk",
    args: [MEM_IN, SIZE, UNCHECKED64, UNCHECKED64, UNCHECKED64],
    ret: "int",
    gplOnly: true,
    audience: "all",
    home: "js",
    since: "4.1",
  },
  {
    id: 7,
    name: "bpf_get_prandom_u32",
    args: [],
    ret: "u32",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "4.1",
  },
  {
    id: 8,
    name: "bpf_get_smp_processor_id",
    args: [],
    ret: "u32",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "4.1",
  },
  {
    id: 12,
    name: "bpf_tail_call",
    args: [CTX, MAP, ANY32],
    ret: "void",
    gplOnly: false,
    audience: "all",
    home: "lowering",
    since: "4.2",
    changesPacket: true,
  },
  {
    id: 14,
    name: "bpf_get_current_pid_tgid",
    args: [],
    ret: "u64",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "4.2",
  },
  {
    id: 15,
    name: "bpf_get_current_uid_gid",
    args: [],
    ret: "u64",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "4.2",
  },
  {
    id: 16,
    name: "bpf_get_current_comm",
    args: [MEM_OUT, SIZE],
    ret: "int",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "4.2",
  },
  {
    id: 25,
    name: "bpf_perf_event_output",
    args: [CTX, MAP, ANY64, MEM_IN, SIZE0],
    ret: "int",
    gplOnly: true,
    audience: ["tracing", "xdp", "sched_cls", "socket_filter"],
    home: "map",
    since: "4.4",
  },
  {
    id: 35,
    name: "bpf_get_current_task",
    args: [],
    ret: "u64",
    gplOnly: true,
    audience: "all",
    home: "wasm",
    since: "4.8",
  },
  {
    id: 45,
    name: "bpf_probe_read_str",
    args: [MEM_OUT, SIZE0, ANY64],
    ret: "int",
    gplOnly: true,
    audience: ["tracing"],
    home: "wasm",
    since: "4.11",
  },
  {
    id: 112,
    name: "bpf_probe_read_user",
    args: [MEM_OUT, SIZE0, ANY64],
    ret: "int",
    gplOnly: true,
    audience: "all",
    home: "wasm",
    since: "5.5",
  },
  {
    id: 113,
    name: "bpf_probe_read_kernel",
    args: [MEM_OUT, SIZE0, ANY64],
    ret: "int",
    gplOnly: true,
    audience: "all",
    home: "wasm",
    since: "5.5",
  },
  {
    id: 114,
    name: "bpf_probe_read_user_str",
    args: [MEM_OUT, SIZE0, ANY64],
    ret: "int",
    gplOnly: true,
    audience: "all",
    home: "wasm",
    since: "5.5",
  },
  {
    id: 115,
    name: "bpf_probe_read_kernel_str",
    args: [MEM_OUT, SIZE0, ANY64],
    ret: "int",
    gplOnly: true,
    audience: "all",
    home: "wasm",
    since: "5.5",
  },
  {
    id: 125,
    name: "bpf_ktime_get_boot_ns",
    args: [],
    ret: "u64",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "5.8",
  },
  {
    id: 130,
    name: "bpf_ringbuf_output",
    args: [MAP, MEM_IN, SIZE0, ANY64],
    ret: "int",
    gplOnly: false,
    audience: "all",
    home: "map",
    since: "5.8",
  },
  {
    id: 131,
    name: "bpf_ringbuf_reserve",
    args: [MAP, { is: "constAllocSizeOrZero" }, ANY64],
    ret: "ringbufMemOrNull",
    gplOnly: false,
    audience: "all",
    home: "map",
    since: "5.8",
  },
  {
    id: 132,
    name: "bpf_ringbuf_submit",
    args: [{ is: "ringbufMem", release: true }, ANY64],
    ret: "void",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "5.8",
  },
  {
    id: 133,
    name: "bpf_ringbuf_discard",
    args: [{ is: "ringbufMem", release: true }, ANY64],
    ret: "void",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "5.8",
  },
  {
    id: 134,
    name: "bpf_ringbuf_query",
    args: [MAP, ANY64],
    ret: "u64",
    gplOnly: false,
    audience: "all",
    home: "map",
    since: "5.8",
  },
  {
    id: 164,
    name: "bpf_for_each_map_elem",
    args: [MAP, { is: "func" }, { is: "stackOrNull" }, ANY64],
    ret: "int",
    gplOnly: false,
    audience: "all",
    home: "lowering",
    since: "5.13",
  },
  {
    id: 165,
    name: "bpf_snprintf",
    args: [
      { is: "mem", uninit: true, maybeNull: true },
      SIZE0,
      { is: "constStr" },
      { is: "mem", readOnly: true, maybeNull: true },
      SIZE0,
    ],
    ret: "int",
    gplOnly: true,
    audience: "all",
    home: "js",
    since: "5.13",
  },
  {
    id: 181,
    name: "bpf_loop",
    args: [ANY32, { is: "func" }, { is: "stackOrNull" }, ANY64],
    ret: "int",
    gplOnly: false,
    audience: "all",
    home: "lowering",
    since: "5.17",
  },
  {
    id: 182,
    name: "bpf_strncmp",
    args: [MEM_IN, SIZE, { is: "constStr" }],
    ret: "int",
    gplOnly: false,
    audience: "all",
    home: "wasm",
    since: "5.17",
  },
] as const satisfies readonly HelperSpec[];

type Row = (typeof HELPERS)[number];
export type HelperName = Row["name"];
export type JsHelperName = Extract<Row, { home: "js" }>["name"];
export type WasmHelperName = Extract<Row, { home: "wasm" }>["name"];
export type MapHelperName = Extract<Row, { home: "map" }>["name"];

export type NamedHelper = HelperSpec & { readonly name: HelperName };
const BY_ID = new Map<number, NamedHelper>(HELPERS.map((helper) => [helper.id, helper]));
const BY_NAME = new Map<string, NamedHelper>(HELPERS.map((helper) => [helper.name, helper]));
export const helperById = (id: number): NamedHelper | undefined => BY_ID.get(id);
export const helperByName = (name: string): NamedHelper | undefined => BY_NAME.get(name);
