/** Which helpers take which maps. Kernel: check_map_func_compatibility(). */
import type { HelperName } from "../../spec/helpers.ts";
import type { Callee, KfuncName } from "../../spec/kfuncs.ts";
import { type MapSpec, type MapTypeName, mapTypeByName } from "../../spec/map-types.ts";
import type { ProgramTypeName } from "../../spec/program-types.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";

/** Maps that only these helpers take; a type that is not listed goes with every helper that does not choose. */
const HELPERS_OF_MAP: Partial<Record<MapTypeName, readonly string[]>> = {
  prog_array: ["bpf_tail_call"],
  perf_event_array: [
    "bpf_perf_event_read",
    "bpf_perf_event_output",
    "bpf_skb_output",
    "bpf_perf_event_read_value",
    "bpf_xdp_output",
    "bpf_perf_reserve",
  ],
  ringbuf: [
    "bpf_ringbuf_output",
    "bpf_ringbuf_reserve",
    "bpf_ringbuf_query",
    "bpf_ringbuf_reserve_dynptr",
    "bpf_ringbuf_submit_dynptr",
    "bpf_ringbuf_discard_dynptr",
  ],
  user_ringbuf: ["bpf_user_ringbuf_drain"],
  stack_trace: ["bpf_get_stackid"],
  cgroup_array: ["bpf_skb_under_cgroup", "bpf_current_task_under_cgroup"],
  cgroup_storage: ["bpf_get_local_storage"],
  percpu_cgroup_storage: ["bpf_get_local_storage"],
  devmap: ["bpf_redirect_map", "bpf_map_lookup_elem"],
  devmap_hash: ["bpf_redirect_map", "bpf_map_lookup_elem"],
  cpumap: ["bpf_redirect_map"],
  xskmap: ["bpf_redirect_map", "bpf_map_lookup_elem"],
  array_of_maps: ["bpf_map_lookup_elem"],
  hash_of_maps: ["bpf_map_lookup_elem"],
  reuseport_sockarray: ["bpf_sk_select_reuseport"],
  queue: ["bpf_map_peek_elem", "bpf_map_pop_elem", "bpf_map_push_elem"],
  stack: ["bpf_map_peek_elem", "bpf_map_pop_elem", "bpf_map_push_elem"],
  sk_storage: ["bpf_sk_storage_get", "bpf_sk_storage_delete", "bpf_kptr_xchg"],
  inode_storage: ["bpf_inode_storage_get", "bpf_inode_storage_delete", "bpf_kptr_xchg"],
  task_storage: ["bpf_task_storage_get", "bpf_task_storage_delete", "bpf_kptr_xchg"],
  cgrp_storage: ["bpf_cgrp_storage_get", "bpf_cgrp_storage_delete", "bpf_kptr_xchg"],
  bloom_filter: ["bpf_map_peek_elem", "bpf_map_push_elem"],
  sockmap: [
    "bpf_sk_redirect_map",
    "bpf_sock_map_update",
    "bpf_msg_redirect_map",
    "bpf_sk_select_reuseport",
    "bpf_map_lookup_elem",
  ],
  sockhash: [
    "bpf_sk_redirect_hash",
    "bpf_sock_hash_update",
    "bpf_msg_redirect_hash",
    "bpf_sk_select_reuseport",
    "bpf_map_lookup_elem",
  ],
};

/** Programs that cannot hold a lock of a socket, so that they may change socket maps. Kernel: may_update_sockmap(). */
const SOCKET_MAP_UPDATERS: ReadonlySet<ProgramTypeName> = new Set([
  "socket_filter",
  "sched_cls",
  "sched_act",
  "xdp",
  "sk_reuseport",
  "flow_dissector",
  "sk_lookup",
]);

function mayUpdateSockets(env: Env, helper: string): boolean {
  if (helper !== "bpf_map_update_elem" && helper !== "bpf_map_delete_elem") return false;
  if (env.program.type === "sock_ops") return helper === "bpf_map_delete_elem";
  const isIterator = env.program.type === "tracing" && env.attachType === "trace_iter";
  return isIterator || SOCKET_MAP_UPDATERS.has(env.program.type);
}

const PERF: readonly MapTypeName[] = ["perf_event_array"];
const RING: readonly MapTypeName[] = ["ringbuf"];
const CGROUPS: readonly MapTypeName[] = ["cgroup_array"];
const QUEUES: readonly MapTypeName[] = ["queue", "stack"];

/** Helpers that take only maps of these types. */
const MAPS_OF_HELPER: Partial<Record<HelperName | KfuncName, readonly MapTypeName[]>> = {
  bpf_tail_call: ["prog_array"],
  bpf_perf_event_read: PERF,
  bpf_perf_event_output: PERF,
  bpf_perf_event_read_value: PERF,
  bpf_skb_output: PERF,
  bpf_xdp_output: PERF,
  bpf_perf_reserve: PERF,
  bpf_ringbuf_output: RING,
  bpf_ringbuf_reserve: RING,
  bpf_ringbuf_query: RING,
  bpf_ringbuf_reserve_dynptr: RING,
  bpf_user_ringbuf_drain: ["user_ringbuf"],
  bpf_get_stackid: ["stack_trace"],
  bpf_current_task_under_cgroup: CGROUPS,
  bpf_skb_under_cgroup: CGROUPS,
  bpf_redirect_map: ["devmap", "devmap_hash", "cpumap", "xskmap"],
  bpf_sk_redirect_map: ["sockmap"],
  bpf_msg_redirect_map: ["sockmap"],
  bpf_sock_map_update: ["sockmap"],
  bpf_sk_redirect_hash: ["sockhash"],
  bpf_msg_redirect_hash: ["sockhash"],
  bpf_sock_hash_update: ["sockhash"],
  bpf_get_local_storage: ["cgroup_storage", "percpu_cgroup_storage"],
  bpf_sk_select_reuseport: ["reuseport_sockarray", "sockmap", "sockhash"],
  bpf_map_pop_elem: QUEUES,
  bpf_map_peek_elem: [...QUEUES, "bloom_filter"],
  bpf_map_push_elem: [...QUEUES, "bloom_filter"],
  bpf_map_lookup_percpu_elem: ["percpu_array", "percpu_hash", "lru_percpu_hash"],
  bpf_sk_storage_get: ["sk_storage"],
  bpf_sk_storage_delete: ["sk_storage"],
  bpf_inode_storage_get: ["inode_storage"],
  bpf_inode_storage_delete: ["inode_storage"],
  bpf_task_storage_get: ["task_storage"],
  bpf_task_storage_delete: ["task_storage"],
  bpf_cgrp_storage_get: ["cgrp_storage"],
  bpf_cgrp_storage_delete: ["cgrp_storage"],
};

export function requireCompatibleMap(env: Env, map: MapSpec | null, helper: Callee): void {
  if (map === null) return;
  const helpers = HELPERS_OF_MAP[map.type];
  const types = MAPS_OF_HELPER[helper.name];
  const isSocketMap = map.type === "sockmap" || map.type === "sockhash";
  const isListed = !helpers || helpers.includes(helper.name) || (isSocketMap && mayUpdateSockets(env, helper.name));
  const fits = isListed && (!types || types.includes(map.type));
  if (fits) return;
  reject(env, "EINVAL", `cannot pass map_type ${mapTypeByName(map.type)!.id} into func ${helper.name}#${helper.id}`);
}
