;; Bytes that a context stands for, beyond the context itself: a packet, which may be a list of fragments. Each type of
;; context brings two functions, how many bytes there are and a copy of the first of them, and a number in CONTEXT_COPY.
;; Kernel: the bpf_ctx_copy_t that bpf_event_output() is given; bpf_skb_copy(), bpf_xdp_copy().

(func $context_bytes (param $copier i32) (param $ctx i32) (result i32)
  (if (i32.eq (local.get $copier) (i32.const {CONTEXT_COPY.skb}))
    (then (return (call $skb_bytes (local.get $ctx)))))
  (if (i32.eq (local.get $copier) (i32.const {CONTEXT_COPY.xdp}))
    (then (return (call $xdp_bytes (local.get $ctx)))))
  (if (result i32) (i32.eq (local.get $copier) (i32.const {CONTEXT_COPY.kernelSkb}))
    (then (call $kernel_skb_bytes (local.get $ctx)))
    (else (call $kernel_xdp_bytes (local.get $ctx)))))

(func $context_copy (param $copier i32) (param $to i32) (param $ctx i32) (param $bytes i32)
  (if (i32.eq (local.get $copier) (i32.const {CONTEXT_COPY.skb}))
    (then (call $skb_copy (local.get $to) (local.get $ctx) (local.get $bytes)) (return)))
  (if (i32.eq (local.get $copier) (i32.const {CONTEXT_COPY.xdp}))
    (then (call $xdp_copy (local.get $to) (local.get $ctx) (local.get $bytes)) (return)))
  (call $kernel_copy
    (local.get $to)
    (local.get $ctx)
    (select
      (i32.const {RUNTIME_SKB_DATA})
      (i32.const {RUNTIME_XDP_DATA})
      (i32.eq (local.get $copier) (i32.const {CONTEXT_COPY.kernelSkb})))
    (local.get $bytes)))

(func $skb_bytes (param $ctx i32) (result i32)
  (call $packet_bytes
    (i32.load offset={SK_BUFF.data} (local.get $ctx))
    (i32.load offset={SK_BUFF.data_end} (local.get $ctx))
    (call $fragments (i32.add (local.get $ctx) (i32.const {SK_BUFF_BYTES})))))

(func $skb_copy (param $to i32) (param $ctx i32) (param $bytes i32)
  (call $packet_copy
    (local.get $to)
    (i32.load offset={SK_BUFF.data} (local.get $ctx))
    (i32.load offset={SK_BUFF.data_end} (local.get $ctx))
    (call $fragments (i32.add (local.get $ctx) (i32.const {SK_BUFF_BYTES})))
    (local.get $bytes)))

(func $xdp_bytes (param $ctx i32) (result i32)
  (call $packet_bytes
    (i32.load offset={XDP_MD.data} (local.get $ctx))
    (i32.load offset={XDP_MD.data_end} (local.get $ctx))
    (call $fragments (i32.add (local.get $ctx) (i32.const {XDP_MD_BYTES})))))

(func $xdp_copy (param $to i32) (param $ctx i32) (param $bytes i32)
  (call $packet_copy
    (local.get $to)
    (i32.load offset={XDP_MD.data} (local.get $ctx))
    (i32.load offset={XDP_MD.data_end} (local.get $ctx))
    (call $fragments (i32.add (local.get $ctx) (i32.const {XDP_MD_BYTES})))
    (local.get $bytes)))

;; The list behind a context (FRAGMENTS), 0 where the event says that there is none.
(func $fragments (param $behind i32) (result i32)
  (select
    (local.get $behind)
    (i32.const 0)
    (i32.and (i32.load offset={EVENT.flags} (call $current_event)) (i32.const {EVENT_FLAG.fragments}))))

;; With no list the null guard answers, which is zeros.
(func $packet_bytes (param $data i32) (param $data_end i32) (param $fragments i32) (result i32)
  (i32.add
    (i32.sub (local.get $data_end) (local.get $data))
    (i32.load offset={FRAGMENTS.bytes} (local.get $fragments))))

;; The first `bytes` bytes of the packet; the caller knows that there are so many.
(func $packet_copy (param $to i32) (param $data i32) (param $data_end i32) (param $fragments i32) (param $bytes i32)
  (local $part i32)
  (local.set $part (call $smaller (local.get $bytes) (i32.sub (local.get $data_end) (local.get $data))))
  (call $copy (local.get $to) (local.get $data) (local.get $part))
  (local.set $fragments (i32.add (local.get $fragments) (i32.const {FRAGMENTS.list})))
  (block $end
    (loop $next
      (local.set $to (i32.add (local.get $to) (local.get $part)))
      (br_if $end (i32.eqz (local.tee $bytes (i32.sub (local.get $bytes) (local.get $part)))))
      (local.set $part
        (call $smaller (local.get $bytes) (i32.load offset={FRAGMENT.bytes} (local.get $fragments))))
      (call $copy (local.get $to) (i32.load offset={FRAGMENT.data} (local.get $fragments)) (local.get $part))
      (local.set $fragments (i32.add (local.get $fragments) (i32.const {FRAGMENT.size})))
      (br $next))))
