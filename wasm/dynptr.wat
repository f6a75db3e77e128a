;; Dynptrs: memory together with its length, checked when it is used. Kernel: bpf_dynptr_from_mem() and its like in
;; kernel/bpf/helpers.c, bpf_ringbuf_reserve_dynptr() and its like in kernel/bpf/ringbuf.c.
;;
;; One is a DYNPTR (spec/library.ts) on the program's stack, laid out as the kernel's. `data` is the address of the memory, or
;; of the context whose packet it is over (dynptr-packet.wat); 0: it is over nothing.
;;
;;   data u64 | read-only 1, type 3, not used 4, size 24 bits | offset u32

(func $dynptr_set (param $at i32) (param $data i32) (param $type i32) (param $size i32)
  (i64.store (local.get $at) (i64.extend_i32_u (local.get $data)))
  (i32.store offset={DYNPTR.size} (local.get $at)
    (i32.or (local.get $size) (i32.shl (local.get $type) (i32.const {DYNPTR_TYPE_SHIFT}))))
  (i32.store offset={DYNPTR.offset} (local.get $at) (i32.const 0)))

(func $dynptr_clear (param $at i32)
  (i64.store (local.get $at) (i64.const 0))
  (i64.store offset=8 (local.get $at) (i64.const 0)))

(func $dynptr_refuse (param $at i32) (param $error i32) (result i32)
  (call $dynptr_clear (local.get $at))
  (local.get $error))

(func $dynptr_bytes (param $at i32) (result i32)
  (i32.and (i32.load offset={DYNPTR.size} (local.get $at)) (i32.const {DYNPTR_LARGEST})))

(func $dynptr_type (param $at i32) (result i32)
  (i32.and (i32.shr_u (i32.load offset={DYNPTR.size} (local.get $at)) (i32.const {DYNPTR_TYPE_SHIFT})) (i32.const 7)))

(func $dynptr_is_memory (param $at i32) (result i32)
  (i32.le_u (call $dynptr_type (local.get $at)) (i32.const {DYNPTR_TYPE.ringbuf})))

(func $dynptr_is_rdonly (param $at i32) (result i32)
  (i32.shr_u (i32.load offset={DYNPTR.size} (local.get $at)) (i32.const 31)))

;; 1 where `bytes` bytes from `offset` on are inside.
(func $dynptr_fits (param $at i32) (param $offset i32) (param $bytes i32) (result i32)
  (local $size i32)
  (local.set $size (call $dynptr_bytes (local.get $at)))
  (if (i32.gt_u (local.get $bytes) (local.get $size)) (then (return (i32.const 0))))
  (i32.le_u (local.get $offset) (i32.sub (local.get $size) (local.get $bytes))))

;; Where byte `offset` is in the memory or the packet.
(func $dynptr_place (param $at i32) (param $offset i32) (result i32)
  (i32.add (i32.load offset={DYNPTR.offset} (local.get $at)) (local.get $offset)))

(func $dynptr_address (param $at i32) (param $offset i32) (result i32)
  (i32.add (i32.load (local.get $at)) (call $dynptr_place (local.get $at) (local.get $offset))))

;; May overlap.
(func $move (param $to i32) (param $from i32) (param $bytes i32)
  (if (i32.lt_u (i32.sub (local.get $to) (local.get $from)) (local.get $bytes))
    (then (memory.copy (local.get $to) (local.get $from) (local.get $bytes)))
    (else (call $copy (local.get $to) (local.get $from) (local.get $bytes)))))

(func (export "bpf_dynptr_from_mem")
  (param $data i32) (param $size i32) (param $flags i64) (param $at i32) (result i32)
  (if (i32.gt_u (local.get $size) (i32.const {DYNPTR_LARGEST}))
    (then (return (call $dynptr_refuse (local.get $at) (i32.const {-E2BIG})))))
  (if (i64.ne (local.get $flags) (i64.const 0))
    (then (return (call $dynptr_refuse (local.get $at) (i32.const {-EINVAL})))))
  (call $dynptr_set (local.get $at) (local.get $data) (i32.const {DYNPTR_TYPE.local}) (local.get $size))
  (i32.const 0))

(func (export "ringbuf_reserve_dynptr")
  (param $map i32) (param $size i32) (param $flags i64) (param $at i32) (result i32)
  (local $sample i32)
  (if (i64.ne (local.get $flags) (i64.const 0))
    (then (return (call $dynptr_refuse (local.get $at) (i32.const {-EINVAL})))))
  (if (i32.gt_u (local.get $size) (i32.const {DYNPTR_LARGEST}))
    (then (return (call $dynptr_refuse (local.get $at) (i32.const {-E2BIG})))))
  (if (i32.eqz (local.tee $sample (call $ring_reserve (local.get $map) (local.get $size))))
    (then (return (call $dynptr_refuse (local.get $at) (i32.const {-EINVAL})))))
  (call $dynptr_set (local.get $at) (local.get $sample) (i32.const {DYNPTR_TYPE.ringbuf}) (local.get $size))
  (i32.const 0))

(func $dynptr_commit (param $at i32) (param $flags i64) (param $discard i32)
  (if (i32.eqz (i32.load (local.get $at))) (then (return)))
  (call $ring_commit (i32.load (local.get $at)) (local.get $flags) (local.get $discard))
  (call $dynptr_clear (local.get $at)))

(func (export "bpf_ringbuf_submit_dynptr") (param $at i32) (param $flags i64)
  (call $dynptr_commit (local.get $at) (local.get $flags) (i32.const 0)))

(func (export "bpf_ringbuf_discard_dynptr") (param $at i32) (param $flags i64)
  (call $dynptr_commit (local.get $at) (local.get $flags) (i32.const {RING_DISCARD})))

(func $dynptr_read (export "bpf_dynptr_read")
  (param $to i32) (param $bytes i32) (param $at i32) (param $offset i32) (param $flags i64) (result i32)
  (if (i32.or (i32.eqz (i32.load (local.get $at))) (i64.ne (local.get $flags) (i64.const 0)))
    (then (return (i32.const {-EINVAL}))))
  (if (i32.eqz (call $dynptr_fits (local.get $at) (local.get $offset) (local.get $bytes)))
    (then (return (i32.const {-E2BIG}))))
  (if (i32.eqz (call $dynptr_is_memory (local.get $at)))
    (then
      (return
        (call $packet_load
          (call $dynptr_type (local.get $at)) (i32.load (local.get $at))
          (call $dynptr_place (local.get $at) (local.get $offset)) (local.get $to) (local.get $bytes)))))
  (call $move (local.get $to) (call $dynptr_address (local.get $at) (local.get $offset)) (local.get $bytes))
  (i32.const 0))

(func $dynptr_write (export "bpf_dynptr_write")
  (param $at i32) (param $offset i32) (param $from i32) (param $bytes i32) (param $flags i64) (result i32)
  (if (i32.or (i32.eqz (i32.load (local.get $at))) (call $dynptr_is_rdonly (local.get $at)))
    (then (return (i32.const {-EINVAL}))))
  (if (i32.eqz (call $dynptr_fits (local.get $at) (local.get $offset) (local.get $bytes)))
    (then (return (i32.const {-E2BIG}))))
  (if (i32.eqz (call $dynptr_is_memory (local.get $at)))
    (then
      (return
        (call $packet_store
          (call $dynptr_type (local.get $at)) (i32.load (local.get $at))
          (call $dynptr_place (local.get $at) (local.get $offset)) (local.get $from) (local.get $bytes)
          (local.get $flags)))))
  (if (i64.ne (local.get $flags) (i64.const 0)) (then (return (i32.const {-EINVAL}))))
  (call $move (call $dynptr_address (local.get $at) (local.get $offset)) (local.get $from) (local.get $bytes))
  (i32.const 0))

;; Address of memory that may be written, or 0; never of a packet.
(func (export "bpf_dynptr_data") (param $at i32) (param $offset i32) (param $bytes i32) (result i32)
  (if (i32.eqz (i32.load (local.get $at))) (then (return (i32.const 0))))
  (if (i32.eqz (call $dynptr_fits (local.get $at) (local.get $offset) (local.get $bytes)))
    (then (return (i32.const 0))))
  (if (call $dynptr_is_rdonly (local.get $at)) (then (return (i32.const 0))))
  (if (i32.eqz (call $dynptr_is_memory (local.get $at))) (then (return (i32.const 0))))
  (call $dynptr_address (local.get $at) (local.get $offset)))
