;; Packets that programs of tracing name by a pointer to the kernel's own struct: two more context types, like those of
;; packet.wat. Where the members lie is the target's to say: the runtime block has their offsets, plus one; 0: not known.
;; Kernel: bpf_skb_output(), bpf_xdp_output().

;; A pointer as the address of `bytes` bytes, 0 where they are not in the arena.
(func $arena_address (param $pointer i64) (param $bytes i32) (result i32)
  (select
    (i32.wrap_i64 (local.get $pointer))
    (i32.const 0)
    (call $is_arena (local.get $pointer) (local.get $bytes))))

;; Address of a member of the object, 0 where it is not known.
(func $member (param $object i32) (param $place i32) (result i32)
  (local $after i32)
  (local.set $after (i32.load (local.get $place)))
  (select
    (i32.sub (i32.add (local.get $object) (local.get $after)) (i32.const 1))
    (i32.const 0)
    (i32.and (i32.ne (local.get $after) (i32.const 0)) (i32.ne (local.get $object) (i32.const 0)))))

;; What lies in front; parts of a packet behind it are not followed. With a member that is not known the null guard answers.
(func $kernel_skb_bytes (param $skb i32) (result i32)
  (local $bytes i32)
  (local.set $bytes
    (i32.sub
      (i32.load (call $member (local.get $skb) (i32.const {RUNTIME_SKB_LENGTH})))
      (i32.load (call $member (local.get $skb) (i32.const {RUNTIME_SKB_FRAGMENTED})))))
  (select
    (local.get $bytes)
    (i32.const 0)
    (call $is_arena (i64.load (call $member (local.get $skb) (i32.const {RUNTIME_SKB_DATA}))) (local.get $bytes))))

(func $kernel_xdp_bytes (param $xdp i32) (result i32)
  (local $data i64) (local $bytes i64)
  (local.set $data (i64.load (call $member (local.get $xdp) (i32.const {RUNTIME_XDP_DATA}))))
  (local.set $bytes
    (i64.sub (i64.load (call $member (local.get $xdp) (i32.const {RUNTIME_XDP_DATA_END}))) (local.get $data)))
  (if (i64.gt_u (local.get $bytes) (i64.const 0x7fffffff)) (then (return (i32.const 0))))
  (select
    (i32.wrap_i64 (local.get $bytes))
    (i32.const 0)
    (call $is_arena (local.get $data) (i32.wrap_i64 (local.get $bytes)))))

;; The caller knows that there are so many bytes.
(func $kernel_copy (param $to i32) (param $object i32) (param $place i32) (param $bytes i32)
  (call $copy
    (local.get $to)
    (i32.wrap_i64 (i64.load (call $member (local.get $object) (local.get $place))))
    (local.get $bytes)))

(func (export "bpf_skb_output")
  (param $skb i64) (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (result i32)
  (call $perf_context
    (local.get $map) (local.get $flags) (local.get $data) (local.get $size)
    (i32.const {CONTEXT_COPY.kernelSkb}) (call $arena_address (local.get $skb) (i32.const 8))))

(func (export "bpf_xdp_output")
  (param $xdp i64) (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (result i32)
  (call $perf_context
    (local.get $map) (local.get $flags) (local.get $data) (local.get $size)
    (i32.const {CONTEXT_COPY.kernelXdp}) (call $arena_address (local.get $xdp) (i32.const 8))))
