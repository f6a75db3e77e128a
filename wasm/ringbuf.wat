;; The BPF ring buffer. Kernel: __bpf_ringbuf_reserve(), bpf_ringbuf_commit(), bpf_ringbuf_query() in kernel/bpf/ringbuf.c.
;;
;; A ring (RING in spec/library.ts) has the kernel's pages: its own words, the consumer's page, the producer's page, then
;; the data, so that pg_off of a record's header counts back to the ring as it does in the kernel. The data area is
;; followed by an overflow tail: a record that reaches the end runs on into it and is contiguous, for the program that
;; writes it and for the reader; its length still counts on the ring.
;;
;;   header: len u32 (bit 31 busy, bit 30 discarded) | pg_off u32, then the payload, padded to 8
;;
;; Each lane of workers has a ring of its own, or all share one (RINGBUF.lanes). A shared ring is reserved under a lock, and
;; a busy record's header says whose it is: with that, what a worker leaves when it dies can be repaired after every single
;; store (runtime/workers/repair.ts). So the order of stores matters: a record's header before the producer's position.

(func $ring_of (param $map i32) (result i32)
  (i32.load
    (i32.add
      (i32.load offset={RINGBUF.lanes} (local.get $map))
      (i32.load offset={WORKER.lane} (global.get $worker)))))

;; Address of the payload of a new busy record, or 0. What is short is part of the program; the rest is a call, so that what it
;; needs does not take the program's registers.
(func $ring_reserve (param $map i32) (param $size i32) (result i32)
  (local $ring i32) (local $producer i64) (local $end i64) (local $offset i32) (local $header i32)
  (local.set $ring (call $ring_of (local.get $map)))
  (local.set $producer (i64.load offset={RING.producer} (local.get $ring)))
  (local.set $end
    (i64.add (local.get $producer) (call $ring_length (local.get $size))))
  ;; the consumer's page is not looked at: its word and the producer's differ by whole pages, which processors take for the same
  (if
    (i32.or
      (i64.gt_u (local.get $end) (i64.load offset={RING.easy} (local.get $ring)))
      (i64.gt_u (call $ring_length (local.get $size)) (i64.load32_u offset={RINGBUF.tailBytes} (local.get $map))))
    (then (return (call $ring_reserve_any (local.get $map) (local.get $ring) (local.get $size)))))
  (local.set $offset
    (i32.and
      (i32.wrap_i64 (local.get $producer))
      (i32.sub (i32.load offset={RINGBUF.bytes} (local.get $map)) (i32.const 1))))
  (local.set $header (i32.add (local.get $ring) (local.get $offset)))
  (i32.store offset={RING.data} (local.get $header) (i32.or (local.get $size) (i32.const {RING_BUSY})))
  (i32.store offset={RING.data+4} (local.get $header)
    (i32.add (i32.shr_u (local.get $offset) (i32.const 12)) (i32.const {RING_DATA_PAGE})))
  (i64.store offset={RING.producer} (local.get $ring) (local.get $end))
  (i32.add (local.get $header) (i32.const {RING.data+8})))

;; Of the payload and its header, rounded up to 8.
(func $ring_length (param $size i32) (result i64)
  (i64.and (i64.add (i64.extend_i32_u (local.get $size)) (i64.const 15)) (i64.const -8)))

;; The same in any ring, however full.
(func $ring_reserve_any (param $map i32) (param $ring i32) (param $size i32) (result i32)
  (local $owner i32) (local $sample i32)
  (if (i32.load offset={RING.shared} (local.get $ring))
    (then
      (call $lock (i32.add (local.get $ring) (i32.const {RING.lock})))
      (local.set $owner
        (i32.shl
          (i32.add (i32.shr_u (i32.load offset={WORKER.lane} (global.get $worker)) (i32.const 2)) (i32.const 1))
          (i32.const {RING_PAGE_BITS})))))
  (local.set $sample
    (call $ring_take (local.get $map) (local.get $ring) (local.get $size) (local.get $owner)))
  (if (local.get $owner) (then (call $unlock (i32.add (local.get $ring) (i32.const {RING.lock})))))
  (local.get $sample))

;; `owner` goes into the header beside pg_off.
(func $ring_take (param $map i32) (param $ring i32) (param $size i32) (param $owner i32) (result i32)
  (local $length i64) (local $mask i64) (local $producer i64) (local $end i64) (local $used i64)
  (local $offset i32) (local $header i32)
  (local.set $mask (i64.sub (i64.load32_u offset={RINGBUF.bytes} (local.get $map)) (i64.const 1)))
  (local.set $length (call $ring_length (local.get $size)))
  (if (i32.gt_u (local.get $size) (i32.const {RINGBUF_MAX_RECORD})) (then (return (i32.const 0))))
  ;; longer than the tail: the map was made for smaller records (createMap's largestRecordBytes)
  (if (i64.gt_u (local.get $length) (i64.load32_u offset={RINGBUF.tailBytes} (local.get $map)))
    (then (return (call $ring_full (local.get $ring)))))
  (local.set $producer (i64.load offset={RING.producer} (local.get $ring)))
  (local.set $end (i64.add (local.get $producer) (local.get $length)))
  (local.set $used (i64.sub (local.get $end) (i64.load offset={RING.consumer} (local.get $ring))))
  ;; Up to half full there is room, whatever is still busy: no reader passes a busy record.
  (if (i64.gt_u (i64.shl (local.get $used) (i64.const 1)) (local.get $mask))
    (then
      (if
        (i32.or
          (i64.gt_u (local.get $used) (local.get $mask))
          (i64.gt_u
            (i64.sub (local.get $end) (call $ring_pending (local.get $ring) (local.get $mask) (local.get $producer)))
            (local.get $mask)))
        (then (return (call $ring_full (local.get $ring)))))
      ;; the batch driver lets the reader in after this event
      (i32.store offset={WORKER.yield} (global.get $worker) (i32.const 1)))
    (else
      (if
        (i32.eqz
          (i32.or (i32.load offset={RING.shared} (local.get $ring)) (i32.load offset={RING.times} (local.get $ring))))
        (then
          (i64.store offset={RING.easy} (local.get $ring)
            (i64.add
              (i64.sub (local.get $end) (local.get $used))
              (i64.shr_u (local.get $mask) (i64.const 1))))))))
  (local.set $offset (i32.wrap_i64 (i64.and (local.get $producer) (local.get $mask))))
  (local.set $header (i32.add (local.get $ring) (local.get $offset)))
  (i32.store offset={RING.data} (local.get $header) (i32.or (local.get $size) (i32.const {RING_BUSY})))
  (i32.store offset={RING.data+4} (local.get $header)
    (i32.or
      (i32.add (i32.shr_u (local.get $offset) (i32.const 12)) (i32.const {RING_DATA_PAGE}))
      (local.get $owner)))
  (if (i32.load offset={RING.times} (local.get $ring))
    (then
      (i64.store (i32.add (i32.load offset={RING.times} (local.get $ring)) (local.get $offset)) (call $event_time))))
  (i64.store offset={RING.producer} (local.get $ring) (local.get $end))
  (i32.add (local.get $header) (i32.const {RING.data+8})))

;; Where the oldest record starts that is not committed; all before it is, up to `producer`.
(func $ring_pending (param $ring i32) (param $mask i64) (param $producer i64) (result i64)
  (local $pending i64) (local $consumer i64) (local $word i32)
  (local.set $pending (i64.load offset={RING.pending} (local.get $ring)))
  (local.set $consumer (i64.load offset={RING.consumer} (local.get $ring)))
  (if (i64.lt_u (local.get $pending) (local.get $consumer)) (then (local.set $pending (local.get $consumer))))
  (block $busy
    (loop $next
      (br_if $busy (i64.ge_u (local.get $pending) (local.get $producer)))
      (local.set $word
        (i32.load offset={RING.data}
          (i32.add (local.get $ring) (i32.wrap_i64 (i64.and (local.get $pending) (local.get $mask))))))
      (br_if $busy (i32.lt_s (local.get $word) (i32.const 0)))
      (local.set $pending
        (i64.add
          (local.get $pending)
          (i64.and
            (i64.add
              (i64.extend_i32_u (i32.and (local.get $word) (i32.const {RING_LENGTH_MASK})))
              (i64.const 15))
            (i64.const -8))))
      (br $next)))
  (i64.store offset={RING.pending} (local.get $ring) (local.get $pending))
  (local.get $pending))

(func $ring_full (param $ring i32) (result i32)
  (i32.store offset={WORKER.yield} (global.get $worker) (i32.const 1))
  (i64.store offset={RING.dropped} (local.get $ring)
    (i64.add (i64.load offset={RING.dropped} (local.get $ring)) (i64.const 1)))
  (i32.const 0))

;; Clears busy (and sets the discard bit where `discard` is it) and wakes the reader if it has come to this record.
(func $ring_commit (param $sample i32) (param $flags i64) (param $discard i32)
  (local $header i32) (local $ring i32) (local $map i32) (local $pages i32)
  (local.set $header (i32.sub (local.get $sample) (i32.const 8)))
  (local.set $pages (i32.and (i32.load offset=4 (local.get $header)) (i32.const {RING_PAGE_MASK})))
  ;; both words at once: a record is busy and somebody's, or neither
  (i64.store (local.get $header)
    (i64.or
      (i64.extend_i32_u
        (i32.or
          (i32.xor (i32.load (local.get $header)) (i32.const {RING_BUSY}))
          (local.get $discard)))
      (i64.shl (i64.extend_i32_u (local.get $pages)) (i64.const 32))))
  (if (i64.eq (local.get $flags) (i64.const {RINGBUF_FLAG.NO_WAKEUP})) (then (return)))
  (local.set $ring
    (i32.sub (i32.and (local.get $header) (i32.const -4096)) (i32.shl (local.get $pages) (i32.const 12))))
  (local.set $map (i32.load offset={RING.map} (local.get $ring)))
  (if (i32.wrap_i64 (i64.and (local.get $flags) (i64.const {RINGBUF_FLAG.FORCE_WAKEUP})))
    (then (call $ring_wake (local.get $map)) (return)))
  (if (i32.wrap_i64 (i64.and (local.get $flags) (i64.const {RINGBUF_FLAG.NO_WAKEUP}))) (then (return)))
  (if
    (i32.eq
      (i32.and
        (i32.load offset={RING.consumer} (local.get $ring))
        (i32.sub (i32.load offset={RINGBUF.bytes} (local.get $map)) (i32.const 1)))
      (i32.sub (local.get $header) (i32.add (local.get $ring) (i32.const {RING.data}))))
    (then (call $ring_wake (local.get $map)))))

;; The reader compares `wake` before it waits, and says in `waiters` that it does: no notify without one.
(func $ring_wake (param $map i32)
  (drop (i32.atomic.rmw.add offset={RINGBUF.wake} (local.get $map) (i32.const 1)))
  (if (i32.atomic.load offset={RINGBUF.waiters} (local.get $map))
    (then (drop (memory.atomic.notify offset={RINGBUF.wake} (local.get $map) (i32.const -1))))))

(func (export "ringbuf_reserve") (param $map i32) (param $size i32) (param $flags i64) (result i32)
  (if (result i32) (i64.eqz (local.get $flags))
    (then (call $ring_reserve (local.get $map) (local.get $size)))
    (else (i32.const 0))))

(func (export "bpf_ringbuf_submit") (param $sample i32) (param $flags i64)
  (call $ring_commit (local.get $sample) (local.get $flags) (i32.const 0)))

(func (export "bpf_ringbuf_discard") (param $sample i32) (param $flags i64)
  (call $ring_commit (local.get $sample) (local.get $flags) (i32.const {RING_DISCARD})))

(func (export "ringbuf_output")
  (param $map i32) (param $data i32) (param $size i32) (param $flags i64) (result i32)
  (local $sample i32)
  (if (i64.gt_u (local.get $flags) (i64.const 3)) (then (return (i32.const {-EINVAL}))))
  (if (i32.eqz (local.tee $sample (call $ring_reserve (local.get $map) (local.get $size))))
    (then (return (i32.const {-EAGAIN}))))
  (call $copy (local.get $sample) (local.get $data) (local.get $size))
  (call $ring_commit (local.get $sample) (local.get $flags) (i32.const 0))
  (i32.const 0))

;; Of all rings together, where lanes have their own.
(func (export "ringbuf_query") (param $map i32) (param $flags i64) (result i64)
  (local $ring i32) (local $left i32) (local $sum i64)
  (local.set $ring (i32.load offset={RINGBUF.ring} (local.get $map)))
  (local.set $left (i32.load offset={RINGBUF.rings} (local.get $map)))
  (loop $next
    (local.set $sum
      (i64.add (local.get $sum) (call $ring_query (local.get $map) (local.get $ring) (local.get $flags))))
    (local.set $ring (i32.add (local.get $ring) (i32.load offset={RINGBUF.ringStride} (local.get $map))))
    (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
  (local.get $sum))

(func $ring_query (param $map i32) (param $ring i32) (param $flags i64) (result i64)
  (if (i64.eq (local.get $flags) (i64.const {RINGBUF_QUERY.AVAIL_DATA}))
    (then
      (return
        (i64.sub
          (i64.load offset={RING.producer} (local.get $ring))
          (i64.load offset={RING.consumer} (local.get $ring))))))
  (if (i64.eq (local.get $flags) (i64.const {RINGBUF_QUERY.RING_SIZE}))
    (then (return (i64.load32_u offset={RINGBUF.bytes} (local.get $map)))))
  (if (i64.eq (local.get $flags) (i64.const {RINGBUF_QUERY.CONS_POS}))
    (then (return (i64.load offset={RING.consumer} (local.get $ring)))))
  (if (i64.eq (local.get $flags) (i64.const {RINGBUF_QUERY.PROD_POS}))
    (then (return (i64.load offset={RING.producer} (local.get $ring)))))
  (i64.const 0))
