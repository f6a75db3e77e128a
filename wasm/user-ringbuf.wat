;; The user ring buffer: the user writes samples, a program's callback reads them one by one. Kernel: bpf_user_ringbuf_drain()
;; in kernel/bpf/ringbuf.c. The lowering calls these four around the callback (compiler/lowering/user-ringbuf.ts).
;;
;; Pages, positions and headers are those of RING; a sample that reaches the end runs on into the overflow tail. Who drains
;; holds USER_RINGBUF.busy, so that the dynptr of the sample under way has its place in the descriptor.

(func $user_ring_total (param $size i32) (result i64)
  (i64.and (i64.add (i64.extend_i32_u (local.get $size)) (i64.const 15)) (i64.const -8)))

;; 0, or why there is nothing to drain.
(func (export "user_ringbuf_begin") (param $map i32) (param $flags i64) (result i32)
  (if (i64.gt_u (local.get $flags) (i64.const 3)) (then (return (i32.const {-EINVAL}))))
  (if
    (i32.atomic.rmw.cmpxchg offset={USER_RINGBUF.busy}
      (local.get $map) (i32.const 0) (i32.add (i32.load offset={WORKER.id} (global.get $worker)) (i32.const 1)))
    (then (return (i32.const {-EBUSY}))))
  (i64.store offset={USER_RINGBUF.passed} (local.get $map) (i64.const 0))
  (i32.const 0))

;; Length of the next sample, which the dynptr is over; -ENODATA: there is none, or enough are read; else what is wrong.
(func (export "user_ringbuf_next") (param $map i32) (result i32)
  (local $ring i32) (local $producer i64) (local $consumer i64) (local $header i32) (local $word i32) (local $size i32)
  (local $total i64)
  (local.set $ring (i32.load offset={USER_RINGBUF.ring} (local.get $map)))
  (loop $next
    (if (i32.ge_u (i32.load offset={USER_RINGBUF.passed} (local.get $map)) (i32.const {USER_RINGBUF_SAMPLES}))
      (then (return (i32.const {-ENODATA}))))
    (local.set $producer (i64.atomic.load offset={RING.producer} (local.get $ring)))
    (if (i32.and (i32.wrap_i64 (local.get $producer)) (i32.const 7)) (then (return (i32.const {-EINVAL}))))
    (local.set $consumer (i64.atomic.load offset={RING.consumer} (local.get $ring)))
    (if (i64.ge_u (local.get $consumer) (local.get $producer)) (then (return (i32.const {-ENODATA}))))
    (local.set $header
      (i32.add
        (i32.add (local.get $ring) (i32.const {RING.data}))
        (i32.and
          (i32.wrap_i64 (local.get $consumer))
          (i32.sub (i32.load offset={USER_RINGBUF.bytes} (local.get $map)) (i32.const 1)))))
    (local.set $word (i32.atomic.load (local.get $header)))
    (local.set $size (i32.and (local.get $word) (i32.const {RING_LENGTH_MASK})))
    (local.set $total (call $user_ring_total (local.get $size)))
    (if (i64.gt_u (local.get $total) (i64.sub (local.get $producer) (local.get $consumer)))
      (then (return (i32.const {-EINVAL}))))
    (if (i64.gt_u (local.get $total) (i64.load32_u offset={USER_RINGBUF.bytes} (local.get $map)))
      (then (return (i32.const {-E2BIG}))))
    (if (i32.gt_u (local.get $size) (i32.const {DYNPTR_LARGEST})) (then (return (i32.const {-E2BIG}))))
    (if (i32.and (local.get $word) (i32.const {RING_DISCARD}))
      (then
        (i32.store offset={USER_RINGBUF.passed} (local.get $map)
          (i32.add (i32.load offset={USER_RINGBUF.passed} (local.get $map)) (i32.const 1)))
        (i64.atomic.store offset={RING.consumer} (local.get $ring)
          (i64.add (local.get $consumer) (local.get $total)))
        (br $next))))
  ;; busy
  (if (i32.lt_s (local.get $word) (i32.const 0)) (then (return (i32.const {-ENODATA}))))
  (call $dynptr_set
    (i32.add (local.get $map) (i32.const {USER_RINGBUF.dynptr}))
    (i32.add (local.get $header) (i32.const {RING.headerBytes}))
    (i32.const {DYNPTR_TYPE.local})
    (local.get $size))
  (local.get $size))

;; The callback has returned: its sample's room is free.
(func (export "user_ringbuf_done") (param $map i32) (param $size i32)
  (local $ring i32)
  (local.set $ring (i32.load offset={USER_RINGBUF.ring} (local.get $map)))
  (i32.store offset={USER_RINGBUF.passed} (local.get $map)
    (i32.add (i32.load offset={USER_RINGBUF.passed} (local.get $map)) (i32.const 1)))
  (i32.store offset={USER_RINGBUF.drained} (local.get $map)
    (i32.add (i32.load offset={USER_RINGBUF.drained} (local.get $map)) (i32.const 1)))
  (i64.atomic.store offset={RING.consumer} (local.get $ring)
    (i64.add
      (i64.load offset={RING.consumer} (local.get $ring))
      (call $user_ring_total (local.get $size)))))

;; `last`: what user_ringbuf_next said at last. How many samples were drained, or what was wrong.
(func (export "user_ringbuf_end") (param $map i32) (param $flags i64) (param $last i32) (result i32)
  (local $passed i32) (local $drained i32) (local $wakes i64)
  (local.set $passed (i32.load offset={USER_RINGBUF.passed} (local.get $map)))
  (local.set $drained (i32.load offset={USER_RINGBUF.drained} (local.get $map)))
  (i32.atomic.store offset={USER_RINGBUF.busy} (local.get $map) (i32.const 0))
  (local.set $wakes (i64.and (local.get $flags) (i64.const {RINGBUF_FLAG.FORCE_WAKEUP})))
  (if
    (i32.or
      (i64.ne (local.get $wakes) (i64.const 0))
      (i32.and
        (i64.eqz (i64.and (local.get $flags) (i64.const {RINGBUF_FLAG.NO_WAKEUP})))
        (i32.ne (local.get $passed) (i32.const 0))))
    (then
      (drop (i32.atomic.rmw.add offset={USER_RINGBUF.wake} (local.get $map) (i32.const 1)))
      (if (i32.atomic.load offset={USER_RINGBUF.waiters} (local.get $map))
        (then (drop (memory.atomic.notify offset={USER_RINGBUF.wake} (local.get $map) (i32.const -1)))))))
  (select
    (local.get $last)
    (local.get $drained)
    (i32.and
      (i32.lt_s (local.get $last) (i32.const 0))
      (i32.ne (local.get $last) (i32.const {-ENODATA})))))
