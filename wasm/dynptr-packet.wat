;; Dynptrs of packets: bytes that may lie in several parts, the first of them between the context's data and data_end, the
;; others in its list of fragments. Kernel: bpf_dynptr_from_skb() and its like in net/core/filter.c, bpf_xdp_pointer(),
;; skb_header_pointer().

(func $packet_dynptr (param $ctx i32) (param $flags i64) (param $at i32) (param $type i32) (param $size i32) (result i32)
  (if (i64.ne (local.get $flags) (i64.const 0))
    (then (return (call $dynptr_refuse (local.get $at) (i32.const {-EINVAL})))))
  (call $dynptr_set (local.get $at) (local.get $ctx) (local.get $type) (local.get $size))
  (i32.const 0))

(func $dynptr_from_skb (export "bpf_dynptr_from_skb") (param $ctx i32) (param $flags i64) (param $at i32) (result i32)
  (call $packet_dynptr
    (local.get $ctx) (local.get $flags) (local.get $at)
    (i32.const {DYNPTR_TYPE.skb}) (call $skb_bytes (local.get $ctx))))

;; For programs that may not write packets.
(func (export "dynptr_from_skb_rdonly") (param $ctx i32) (param $flags i64) (param $at i32) (result i32)
  (local $error i32)
  (if
    (local.tee $error
      (call $dynptr_from_skb (local.get $ctx) (local.get $flags) (local.get $at)))
    (then (return (local.get $error))))
  (i32.store offset={DYNPTR.size} (local.get $at)
    (i32.or (i32.load offset={DYNPTR.size} (local.get $at)) (i32.const {DYNPTR_RDONLY})))
  (i32.const 0))

(func (export "bpf_dynptr_from_skb_meta") (param $ctx i32) (param $flags i64) (param $at i32) (result i32)
  (call $packet_dynptr
    (local.get $ctx) (local.get $flags) (local.get $at)
    (i32.const {DYNPTR_TYPE.skb_meta})
    (i32.sub
      (i32.load offset={SK_BUFF.data} (local.get $ctx))
      (i32.load offset={SK_BUFF.data_meta} (local.get $ctx)))))

(func (export "bpf_dynptr_from_xdp") (param $ctx i32) (param $flags i64) (param $at i32) (result i32)
  (call $packet_dynptr
    (local.get $ctx) (local.get $flags) (local.get $at)
    (i32.const {DYNPTR_TYPE.xdp}) (call $xdp_bytes (local.get $ctx))))

;; Address of the bytes where they lie in one part, 0 where they lie in several, an errno where they are not there.
(func $packet_part (param $type i32) (param $ctx i32) (param $offset i32) (param $bytes i32) (result i32)
  (local $start i32) (local $length i32) (local $fragment i32) (local $last i32) (local $end i64)
  (if (i32.eq (local.get $type) (i32.const {DYNPTR_TYPE.skb_meta}))
    (then
      (local.set $start (i32.load offset={SK_BUFF.data_meta} (local.get $ctx)))
      (local.set $length (i32.sub (i32.load offset={SK_BUFF.data} (local.get $ctx)) (local.get $start)))
      (return
        (select
          (i32.add (local.get $start) (local.get $offset))
          (i32.const {EFAULT})
          (i64.le_u
            (i64.add (i64.extend_i32_u (local.get $offset)) (i64.extend_i32_u (local.get $bytes)))
            (i64.extend_i32_u (local.get $length)))))))
  (local.set $end (i64.add (i64.extend_i32_u (local.get $offset)) (i64.extend_i32_u (local.get $bytes))))
  (if (i32.eq (local.get $type) (i32.const {DYNPTR_TYPE.skb}))
    (then
      (if (i64.gt_u (local.get $end) (i64.extend_i32_u (call $skb_bytes (local.get $ctx))))
        (then (return (i32.const {EFAULT}))))
      (local.set $start (i32.load offset={SK_BUFF.data} (local.get $ctx)))
      ;; only the first part is handed out in place
      (return
        (select
          (i32.add (local.get $start) (local.get $offset))
          (i32.const 0)
          (i64.le_u
            (local.get $end)
            (i64.extend_i32_u
              (i32.sub (i32.load offset={SK_BUFF.data_end} (local.get $ctx)) (local.get $start))))))))
  (if (i32.gt_u (i32.or (local.get $offset) (local.get $bytes)) (i32.const 0xffff))
    (then (return (i32.const {EFAULT}))))
  (if (i64.gt_u (local.get $end) (i64.extend_i32_u (call $xdp_bytes (local.get $ctx))))
    (then (return (i32.const {EINVAL}))))
  (local.set $start (i32.load offset={XDP_MD.data} (local.get $ctx)))
  (local.set $length (i32.sub (i32.load offset={XDP_MD.data_end} (local.get $ctx)) (local.get $start)))
  (if (i32.ge_u (local.get $offset) (local.get $length))
    (then
      (local.set $fragment (call $fragments (i32.add (local.get $ctx) (i32.const {XDP_MD_BYTES}))))
      (local.set $offset (i32.sub (local.get $offset) (local.get $length)))
      (local.set $last
        (i32.add
          (i32.add (local.get $fragment) (i32.const {FRAGMENTS.list}))
          (i32.mul (i32.load offset={FRAGMENTS.count} (local.get $fragment)) (i32.const {FRAGMENT.size}))))
      (local.set $fragment (i32.add (local.get $fragment) (i32.const {FRAGMENTS.list})))
      (block $found
        (loop $next
          ;; at the very end of the packet, of no bytes: any address will do
          (if (i32.eq (local.get $fragment) (local.get $last)) (then (return (local.get $start))))
          (local.set $length (i32.load offset={FRAGMENT.bytes} (local.get $fragment)))
          (br_if $found (i32.lt_u (local.get $offset) (local.get $length)))
          (local.set $offset (i32.sub (local.get $offset) (local.get $length)))
          (local.set $fragment (i32.add (local.get $fragment) (i32.const {FRAGMENT.size})))
          (br $next)))
      (local.set $start (i32.load offset={FRAGMENT.data} (local.get $fragment)))))
  (select
    (i32.add (local.get $start) (local.get $offset))
    (i32.const 0)
    (i32.le_u (i32.add (local.get $offset) (local.get $bytes)) (local.get $length))))

(func $is_address (param $part i32) (result i32)
  (i32.ge_u (local.get $part) (i32.const {NULL_GUARD_BYTES})))

;; Between `memory` and the packet; the caller knows that the bytes are there.
(func $packet_transfer
  (param $type i32) (param $ctx i32) (param $offset i32) (param $memory i32) (param $bytes i32) (param $writes i32)
  (local $start i32) (local $length i32) (local $fragment i32) (local $part i32)
  (if (i32.eq (local.get $type) (i32.const {DYNPTR_TYPE.xdp}))
    (then
      (local.set $start (i32.load offset={XDP_MD.data} (local.get $ctx)))
      (local.set $length (i32.sub (i32.load offset={XDP_MD.data_end} (local.get $ctx)) (local.get $start)))
      (local.set $fragment (i32.add (local.get $ctx) (i32.const {XDP_MD_BYTES+8}))))
    (else
      (local.set $start (i32.load offset={SK_BUFF.data} (local.get $ctx)))
      (local.set $length (i32.sub (i32.load offset={SK_BUFF.data_end} (local.get $ctx)) (local.get $start)))
      (local.set $fragment (i32.add (local.get $ctx) (i32.const {SK_BUFF_BYTES+8})))))
  (block $end
    (loop $next
      (if (i32.lt_u (local.get $offset) (local.get $length))
        (then
          (local.set $part (call $smaller (local.get $bytes) (i32.sub (local.get $length) (local.get $offset))))
          (if (local.get $writes)
            (then (call $move (i32.add (local.get $start) (local.get $offset)) (local.get $memory) (local.get $part)))
            (else (call $move (local.get $memory) (i32.add (local.get $start) (local.get $offset)) (local.get $part))))
          (local.set $memory (i32.add (local.get $memory) (local.get $part)))
          (local.set $offset (i32.add (local.get $offset) (local.get $part)))
          (local.set $bytes (i32.sub (local.get $bytes) (local.get $part)))))
      (br_if $end (i32.eqz (local.get $bytes)))
      (local.set $offset (i32.sub (local.get $offset) (local.get $length)))
      (local.set $start (i32.load offset={FRAGMENT.data} (local.get $fragment)))
      (local.set $length (i32.load offset={FRAGMENT.bytes} (local.get $fragment)))
      (local.set $fragment (i32.add (local.get $fragment) (i32.const {FRAGMENT.size})))
      (br $next))))

;; Kernel: __bpf_skb_load_bytes(), __bpf_xdp_load_bytes().
(func $packet_load
  (param $type i32) (param $ctx i32) (param $offset i32) (param $to i32) (param $bytes i32) (result i32)
  (local $part i32)
  (local.set $part (call $packet_part (local.get $type) (local.get $ctx) (local.get $offset) (local.get $bytes)))
  (if (call $is_address (local.get $part))
    (then
      (call $move (local.get $to) (local.get $part) (local.get $bytes))
      (return (i32.const 0))))
  (if (local.get $part)
    (then
      (if (i32.eq (local.get $type) (i32.const {DYNPTR_TYPE.skb}))
        (then (memory.fill (local.get $to) (i32.const 0) (local.get $bytes))))
      (return (i32.sub (i32.const 0) (local.get $part)))))
  (call $packet_transfer
    (local.get $type) (local.get $ctx) (local.get $offset) (local.get $to) (local.get $bytes) (i32.const 0))
  (i32.const 0))

;; Kernel: __bpf_skb_store_bytes(), __bpf_xdp_store_bytes().
(func $packet_store
  (param $type i32) (param $ctx i32) (param $offset i32) (param $from i32) (param $bytes i32) (param $flags i64)
  (result i32)
  (local $part i32)
  (if
    (i64.gt_u
      (local.get $flags)
      (select (i64.const 3) (i64.const 0) (i32.eq (local.get $type) (i32.const {DYNPTR_TYPE.skb}))))
    (then (return (i32.const {-EINVAL}))))
  (local.set $part (call $packet_part (local.get $type) (local.get $ctx) (local.get $offset) (local.get $bytes)))
  (if (call $is_address (local.get $part))
    (then
      (call $move (local.get $part) (local.get $from) (local.get $bytes))
      (return (i32.const 0))))
  (if (local.get $part) (then (return (i32.sub (i32.const 0) (local.get $part)))))
  (call $packet_transfer
    (local.get $type) (local.get $ctx) (local.get $offset) (local.get $from) (local.get $bytes) (i32.const 1))
  (i32.const 0))

(func $packet_slice
  (param $type i32) (param $ctx i32) (param $offset i32) (param $buffer i32) (param $bytes i32) (result i32)
  (local $part i32)
  (local.set $part (call $packet_part (local.get $type) (local.get $ctx) (local.get $offset) (local.get $bytes)))
  (if (call $is_address (local.get $part)) (then (return (local.get $part))))
  (if (i32.or (local.get $part) (i32.eqz (local.get $buffer))) (then (return (i32.const 0))))
  (call $packet_transfer
    (local.get $type) (local.get $ctx) (local.get $offset) (local.get $buffer) (local.get $bytes) (i32.const 0))
  (local.get $buffer))
