/**
 * BPF helpers: one row each. The verifier reads arguments, return and permissions; the lowering derives the call's Wasm
 * signature from the same columns; the runtime binds implementations by name. Adding a helper is a row and a function.
 * The rows are in helpers/, a file a family; this file puts them together.
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
import { GENERAL_HELPERS } from "./helpers/general.ts";
import { MAP_HELPERS } from "./helpers/maps.ts";
import { PACKET_HELPERS } from "./helpers/packets.ts";
import type { HelperSpec } from "./helpers/row.ts";
import { SOCKET_HELPERS } from "./helpers/sockets.ts";
import { TRACING_HELPERS } from "./helpers/tracing.ts";

export type { ArgSpec, HelperAudience, HelperSpec, RetSpec } from "./helpers/row.ts";

type Row =
  | (typeof GENERAL_HELPERS)[number]
  | (typeof MAP_HELPERS)[number]
  | (typeof PACKET_HELPERS)[number]
  | (typeof SOCKET_HELPERS)[number]
  | (typeof TRACING_HELPERS)[number];
export type HelperName = Row["name"];
export type JsHelperName = Extract<Row, { home: "js" }>["name"];
export type MapHelperName = Extract<Row, { home: "map" }>["name"];

export type NamedHelper = HelperSpec & { readonly name: HelperName };

/** All of the kernel's, ascending by id. */
export const HELPERS: readonly NamedHelper[] = [
  ...GENERAL_HELPERS,
  ...MAP_HELPERS,
  ...PACKET_HELPERS,
  ...SOCKET_HELPERS,
  ...TRACING_HELPERS,
].sort((a, b) => a.id - b.id);

const BY_ID = new Map<number, NamedHelper>(HELPERS.map((helper) => [helper.id, helper]));
const BY_NAME = new Map<string, NamedHelper>(HELPERS.map((helper) => [helper.name, helper]));
export const helperById = (id: number): NamedHelper | undefined => BY_ID.get(id);
export const helperByName = (name: string): NamedHelper | undefined => BY_NAME.get(name);
