;; Bytes of packets by their offset, and where a packet is sent next: helpers that take the context itself. What can fail and
;; how is dynptr-packet.wat's. Kernel: bpf_skb_load_bytes(), bpf_xdp_load_bytes(), bpf_redirect(), bpf_xdp_redirect() in
;; net/core/filter.c, which take 32 bits of the offset.

(func (export "bpf_skb_load_bytes") (param $ctx i32) (param $offset i64) (param $to i32) (param $bytes i32) (result i32)
  (call $packet_load
    (i32.const {DYNPTR_TYPE.skb}) (local.get $ctx) (i32.wrap_i64 (local.get $offset))
    (local.get $to) (local.get $bytes)))

(func (export "bpf_xdp_load_bytes") (param $ctx i32) (param $offset i64) (param $to i32) (param $bytes i32) (result i32)
  (call $packet_load
    (i32.const {DYNPTR_TYPE.xdp}) (local.get $ctx) (i32.wrap_i64 (local.get $offset))
    (local.get $to) (local.get $bytes)))

(func (export "bpf_xdp_store_bytes")
  (param $ctx i32) (param $offset i64) (param $from i32) (param $bytes i32) (result i32)
  (call $packet_store
    (i32.const {DYNPTR_TYPE.xdp}) (local.get $ctx) (i32.wrap_i64 (local.get $offset))
    (local.get $from) (local.get $bytes) (i64.const 0)))

;; A verdict that the program answers in its turn; a packet goes nowhere here.
(func (export "bpf_redirect") (param $device i64) (param $flags i64) (result i32)
  (select
    (i32.const {REDIRECT.SHOT})
    (i32.const {REDIRECT.REDIRECT})
    (i64.ne (i64.and (local.get $flags) (i64.const {REDIRECT_REFUSED})) (i64.const 0))))
(func (export "redirect_xdp") (param $device i64) (param $flags i64) (result i32)
  (select
    (i32.const {REDIRECT.XDP_ABORTED})
    (i32.const {REDIRECT.XDP_REDIRECT})
    (i64.ne (local.get $flags) (i64.const 0))))
