;; The kernel functions on dynptrs. Kernel: bpf_dynptr_slice() and its like in kernel/bpf/helpers.c.

;; Address of the bytes, in place or copied to `buffer` (0: none), or 0.
(func $dynptr_slice (export "bpf_dynptr_slice")
  (param $at i32) (param $offset i32) (param $buffer i32) (param $bytes i32) (result i32)
  (if (i32.eqz (i32.load (local.get $at))) (then (return (i32.const 0))))
  (if (i32.eqz (call $dynptr_fits (local.get $at) (local.get $offset) (local.get $bytes)))
    (then (return (i32.const 0))))
  (if (call $dynptr_is_memory (local.get $at))
    (then (return (call $dynptr_address (local.get $at) (local.get $offset)))))
  (call $packet_slice
    (call $dynptr_type (local.get $at)) (i32.load (local.get $at))
    (call $dynptr_place (local.get $at) (local.get $offset)) (local.get $buffer) (local.get $bytes)))

(func $dynptr_slice_rdwr (export "bpf_dynptr_slice_rdwr")
  (param $at i32) (param $offset i32) (param $buffer i32) (param $bytes i32) (result i32)
  (if (call $dynptr_is_rdonly (local.get $at)) (then (return (i32.const 0))))
  (call $dynptr_slice (local.get $at) (local.get $offset) (local.get $buffer) (local.get $bytes)))

(func (export "bpf_dynptr_adjust") (param $at i32) (param $start i32) (param $end i32) (result i32)
  (local $size i32)
  (if (i32.or (i32.eqz (i32.load (local.get $at))) (i32.gt_u (local.get $start) (local.get $end)))
    (then (return (i32.const {-EINVAL}))))
  (local.set $size (call $dynptr_bytes (local.get $at)))
  ;; the end is not before the start
  (if (i32.gt_u (local.get $end) (local.get $size)) (then (return (i32.const {-ERANGE}))))
  (i32.store offset={DYNPTR.offset} (local.get $at) (call $dynptr_place (local.get $at) (local.get $start)))
  (i32.store offset={DYNPTR.size} (local.get $at)
    (i32.or
      (i32.and (i32.load offset={DYNPTR.size} (local.get $at)) (i32.const {~DYNPTR_LARGEST}))
      (i32.sub (local.get $end) (local.get $start))))
  (i32.const 0))

(func (export "bpf_dynptr_is_null") (param $at i32) (result i32)
  (i32.eqz (i32.load (local.get $at))))

;; One over nothing has all bits clear.
(func (export "bpf_dynptr_is_rdonly") (param $at i32) (result i32)
  (call $dynptr_is_rdonly (local.get $at)))

(func (export "bpf_dynptr_size") (param $at i32) (result i32)
  (if (i32.eqz (i32.load (local.get $at))) (then (return (i32.const {-EINVAL}))))
  (call $dynptr_bytes (local.get $at)))

(func (export "bpf_dynptr_clone") (param $at i32) (param $clone i32) (result i32)
  (if (i32.eqz (i32.load (local.get $at)))
    (then (return (call $dynptr_refuse (local.get $clone) (i32.const {-EINVAL})))))
  (i64.store (local.get $clone) (i64.load (local.get $at)))
  (i64.store offset=8 (local.get $clone) (i64.load offset=8 (local.get $at)))
  (i32.const 0))

;; Through the worker's scratch buffer where neither is in one piece.
(func (export "bpf_dynptr_copy")
  (param $to i32) (param $to_offset i32) (param $from i32) (param $from_offset i32) (param $bytes i32) (result i32)
  (local $source i32) (local $target i32) (local $part i32) (local $error i32)
  (local.set $source
    (call $dynptr_slice (local.get $from) (local.get $from_offset) (i32.const 0) (local.get $bytes)))
  (local.set $target
    (call $dynptr_slice_rdwr (local.get $to) (local.get $to_offset) (i32.const 0) (local.get $bytes)))
  (if (i32.and (i32.ne (local.get $source) (i32.const 0)) (i32.ne (local.get $target) (i32.const 0)))
    (then
      (call $move (local.get $target) (local.get $source) (local.get $bytes))
      (return (i32.const 0))))
  (if (local.get $source)
    (then
      (return
        (call $dynptr_write
          (local.get $to) (local.get $to_offset) (local.get $source) (local.get $bytes) (i64.const 0)))))
  (if (local.get $target)
    (then
      (return
        (call $dynptr_read
          (local.get $target) (local.get $bytes) (local.get $from) (local.get $from_offset) (i64.const 0)))))
  (if
    (i32.eqz
      (i32.and
        (call $dynptr_fits (local.get $to) (local.get $to_offset) (local.get $bytes))
        (call $dynptr_fits (local.get $from) (local.get $from_offset) (local.get $bytes))))
    (then (return (i32.const {-E2BIG}))))
  (local.set $target (i32.load offset={WORKER.scratchValue} (global.get $worker)))
  (block $end
    (loop $next
      (br_if $end (i32.eqz (local.get $bytes)))
      (local.set $part (call $smaller (local.get $bytes) (i32.const {DYNPTR_CHUNK})))
      (br_if $end
        (local.tee $error
          (call $dynptr_read
            (local.get $target) (local.get $part) (local.get $from) (local.get $from_offset) (i64.const 0))))
      (br_if $end
        (local.tee $error
          (call $dynptr_write
            (local.get $to) (local.get $to_offset) (local.get $target) (local.get $part) (i64.const 0))))
      (local.set $from_offset (i32.add (local.get $from_offset) (local.get $part)))
      (local.set $to_offset (i32.add (local.get $to_offset) (local.get $part)))
      (local.set $bytes (i32.sub (local.get $bytes) (local.get $part)))
      (br $next)))
  (local.get $error))

(func (export "bpf_dynptr_memset")
  (param $at i32) (param $offset i32) (param $bytes i32) (param $value i32) (result i32)
  (local $target i32) (local $part i32) (local $error i32)
  (local.set $target
    (call $dynptr_slice_rdwr (local.get $at) (local.get $offset) (i32.const 0) (local.get $bytes)))
  (if (local.get $target)
    (then
      (memory.fill (local.get $target) (local.get $value) (local.get $bytes))
      (return (i32.const 0))))
  (if (call $dynptr_is_rdonly (local.get $at)) (then (return (i32.const {-EINVAL}))))
  (if (i32.eqz (call $dynptr_fits (local.get $at) (local.get $offset) (local.get $bytes)))
    (then (return (i32.const {-E2BIG}))))
  (local.set $target (i32.load offset={WORKER.scratchValue} (global.get $worker)))
  (memory.fill
    (local.get $target) (local.get $value) (call $smaller (local.get $bytes) (i32.const {DYNPTR_CHUNK})))
  (block $end
    (loop $next
      (br_if $end (i32.eqz (local.get $bytes)))
      (local.set $part (call $smaller (local.get $bytes) (i32.const {DYNPTR_CHUNK})))
      (br_if $end
        (local.tee $error
          (call $dynptr_write
            (local.get $at) (local.get $offset) (local.get $target) (local.get $part) (i64.const 0))))
      (local.set $offset (i32.add (local.get $offset) (local.get $part)))
      (local.set $bytes (i32.sub (local.get $bytes) (local.get $part)))
      (br $next)))
  (local.get $error))
