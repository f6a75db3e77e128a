/** Which helpers take which maps. Kernel: check_map_func_compatibility(). */
import type { HelperName, NamedHelper } from "../../spec/helpers.ts";
import { type MapSpec, type MapTypeName, mapTypeByName } from "../../spec/map-types.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";

/** Maps that only these helpers take; a type that is not listed goes with every helper that does not choose. */
const HELPERS_OF_MAP: Partial<Record<MapTypeName, readonly string[]>> = {
  prog_array: ["bpf_tail_call"],
  perf_event_array: [
    "bpf_perf_event_read",
    "bpf_perf_event_output",
    "bpf_skb_output",
    "bpf_perf_event_read_value",
    "bpf_xdp_output",
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
};

/** Helpers of the table that take only maps of these types. */
const MAPS_OF_HELPER: Partial<Record<HelperName, readonly MapTypeName[]>> = {
  bpf_tail_call: ["prog_array"],
  bpf_perf_event_output: ["perf_event_array"],
  bpf_ringbuf_output: ["ringbuf"],
  bpf_ringbuf_reserve: ["ringbuf"],
  bpf_ringbuf_query: ["ringbuf"],
};

export function requireCompatibleMap(env: Env, map: MapSpec | null, helper: NamedHelper): void {
  if (map === null) return;
  if (map.type === "sockmap" || map.type === "sockhash") unsupported("socket maps");
  const helpers = HELPERS_OF_MAP[map.type];
  const types = MAPS_OF_HELPER[helper.name];
  const fits = (!helpers || helpers.includes(helper.name)) && (!types || types.includes(map.type));
  if (fits) return;
  reject(env, "EINVAL", `cannot pass map_type ${mapTypeByName(map.type)!.id} into func ${helper.name}#${helper.id}`);
}
