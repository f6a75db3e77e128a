/* SPDX-License-Identifier: MIT
 * protocols: packets and bytes by IP protocol; drops UDP to one port.
 */
#include "include/bpf.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define PROTOCOL_UDP 17
#define IPV6_HEADER_BYTES 40
/* where what is no IP is counted */
#define NOT_IP 255

enum verdict { XDP_ABORTED, XDP_DROP, XDP_PASS };

struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};

struct ethernet {
	u8 destination[6];
	u8 source[6];
	u16 type;
};

struct ipv4 {
	u8 version_and_words;
	u8 service;
	u16 bytes;
	u16 id;
	u16 fragment;
	u8 ttl;
	u8 protocol;
	u16 checksum;
	u32 source;
	u32 destination;
};

struct ipv6 {
	u32 version_class_flow;
	u16 payload_bytes;
	u8 next_header;
	u8 hop_limit;
	u8 source[16];
	u8 destination[16];
};

struct udp {
	u16 source;
	u16 destination;
	u16 bytes;
	u16 checksum;
};

struct traffic {
	u64 packets;
	u64 bytes;
};

struct {
	MAP_NUMBER(type, MAP_PERCPU_ARRAY);
	MAP_NUMBER(max_entries, 256);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct traffic);
} traffic SEC(".maps");

/* UDP port to drop; 0: none */
const volatile u16 drop_port = 7777;

/* UDP packets that were dropped */
u64 dropped;

static ALWAYS_INLINE void count(u32 protocol, u64 bytes)
{
	struct traffic *entry = map_lookup(&traffic, &protocol);

	if (!entry)
		return;
	entry->packets++;
	entry->bytes += bytes;
}

SEC("xdp")
int count_protocols(struct xdp_md *ctx)
{
	void *start = (void *)(u64)ctx->data;
	void *end = (void *)(u64)ctx->data_end;
	struct ethernet *ethernet = start;
	u32 protocol = NOT_IP;
	void *payload = 0;

	if ((void *)(ethernet + 1) > end)
		return XDP_PASS;
	if (ethernet->type == __builtin_bswap16(ETHERTYPE_IPV4)) {
		struct ipv4 *ip = (void *)(ethernet + 1);

		if ((void *)(ip + 1) > end)
			return XDP_PASS;
		protocol = ip->protocol;
		payload = (void *)ip + (ip->version_and_words & 15) * 4;
	} else if (ethernet->type == __builtin_bswap16(ETHERTYPE_IPV6)) {
		struct ipv6 *ip = (void *)(ethernet + 1);

		if ((void *)(ip + 1) > end)
			return XDP_PASS;
		protocol = ip->next_header;
		payload = (void *)ip + IPV6_HEADER_BYTES;
	}
	count(protocol, end - start);

	if (protocol == PROTOCOL_UDP && drop_port) {
		struct udp *udp = payload;

		if ((void *)(udp + 1) <= end && udp->destination == __builtin_bswap16(drop_port)) {
			__sync_fetch_and_add(&dropped, 1);
			return XDP_DROP;
		}
	}
	return XDP_PASS;
}

const char LICENSE[] SEC("license") = "GPL";
