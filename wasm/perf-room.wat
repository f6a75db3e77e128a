;; Room in a perf buffer, and showing the reader what was written. Kernel: __perf_output_begin(), perf_output_put_handle()
;; in kernel/events/ring_buffer.c.
;;
;; Positions only grow (in a buffer that is written backward: fall). `head` is where the next record goes, `dataHead` what
;; the reader sees: they differ while a record is reserved. `head` moves when header and fields are written, so that between
;; the two there are whole records only, wherever the worker dies. The data area is followed by a tail, so that every record is
;; contiguous at data + (position & mask).

(func $perf_address (param $buffer i32) (param $position i64) (result i32)
  (i32.add
    (i32.load offset={PERF_BUFFER.data} (local.get $buffer))
    (i32.and
      (i32.wrap_i64 (local.get $position))
      (i32.sub (i32.load offset={PERF_BUFFER.dataSize} (local.get $buffer)) (i32.const 1)))))

;; Finds room for a record, behind a report of losses where there are any, and returns its address. 0: there is none, and
;; the record counts as lost. One byte always stays free. The room is taken by $perf_advance.
(func $perf_begin (param $buffer i32) (param $length i32) (result i32)
  (local $head i64) (local $mask i32) (local $space i32) (local $lost i64) (local $total i32)
  (if (i32.load offset={PERF_BUFFER.nest} (local.get $buffer)) (then (call $perf_repair (local.get $buffer))))
  (if (i32.load offset={PERF_BUFFER.mode} (local.get $buffer))
    (then (return (call $perf_begin_special (local.get $buffer) (local.get $length)))))
  (local.set $total (local.get $length))
  (local.set $lost (i64.load offset={PERF_BUFFER.lostPending} (local.get $buffer)))
  (if (i64.ne (local.get $lost) (i64.const 0))
    (then (local.set $total (i32.add (local.get $total) (i32.const {PERF_LOST_BYTES})))))
  (local.set $head (i64.load offset={PERF_BUFFER.head} (local.get $buffer)))
  (local.set $mask (i32.sub (i32.load offset={PERF_BUFFER.dataSize} (local.get $buffer)) (i32.const 1)))
  (local.set $space
    (i32.and
      (i32.sub
        (i32.sub (i32.load offset={PERF_BUFFER.dataTail} (local.get $buffer)) (i32.wrap_i64 (local.get $head)))
        (i32.const 1))
      (local.get $mask)))
  ;; more than half full: the batch driver lets the reader in after this event
  (if
    (i32.lt_s
      (i32.shl (i32.sub (local.get $space) (local.get $total)) (i32.const 1))
      (local.get $mask))
    (then (i32.store offset={WORKER.yield} (global.get $worker) (i32.const 1))))
  (if (i32.lt_u (local.get $space) (local.get $total)) (then (return (call $perf_full (local.get $buffer)))))
  (if (i64.ne (local.get $lost) (i64.const 0))
    (then
      (call $perf_report_lost
        (local.get $buffer)
        (local.get $head)
        (i64.add (local.get $head) (i64.const {PERF_LOST_BYTES})))
      (local.set $head (i64.load offset={PERF_BUFFER.head} (local.get $buffer)))))
  (call $perf_address (local.get $buffer) (local.get $head)))

;; A record of this length is complete, or reserved and not to be read yet.
(func $perf_advance (param $buffer i32) (param $length i32)
  (local $head i64)
  (local.set $head (i64.load offset={PERF_BUFFER.head} (local.get $buffer)))
  (if (i32.and (i32.load offset={PERF_BUFFER.mode} (local.get $buffer)) (i32.const {PERF_MODE.BACKWARD}))
    (then (call $perf_advance_backward (local.get $buffer) (local.get $length)) (return)))
  (i64.store offset={PERF_BUFFER.head} (local.get $buffer)
    (i64.add (local.get $head) (i64.extend_i32_u (local.get $length)))))

;; A report of losses comes before the record: at the lower address.
(func $perf_advance_backward (param $buffer i32) (param $length i32)
  (local $head i64)
  (local.set $head
    (i64.sub
      (i64.load offset={PERF_BUFFER.head} (local.get $buffer))
      (i64.extend_i32_u (local.get $length))))
  (if (i64.eqz (i64.load offset={PERF_BUFFER.lostPending} (local.get $buffer)))
    (then
      (i64.store offset={PERF_BUFFER.head} (local.get $buffer) (local.get $head))
      (return)))
  (local.set $head (i64.sub (local.get $head) (i64.const {PERF_LOST_BYTES})))
  (call $perf_report_lost (local.get $buffer) (local.get $head) (local.get $head)))

;; Counts a record that found no room; the next that finds some is preceded by a report.
(func $perf_full (param $buffer i32) (result i32)
  (i32.store offset={WORKER.yield} (global.get $worker) (i32.const 1))
  (call $perf_count (local.get $buffer) (i32.const {PERF_BUFFER.lost}))
  (call $perf_count (local.get $buffer) (i32.const {PERF_BUFFER.lostPending}))
  (i32.const 0))

(func $perf_count (param $buffer i32) (param $word i32)
  (local $at i32)
  (local.set $at (i32.add (local.get $buffer) (local.get $word)))
  (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1))))

;; Writes PERF_RECORD_LOST at the position and moves `head` to `next`.
(func $perf_report_lost (param $buffer i32) (param $position i64) (param $next i64)
  (local $at i32)
  (local.set $at (call $perf_address (local.get $buffer) (local.get $position)))
  (i32.store (local.get $at) (i32.const {PERF_RECORD.LOST}))
  (i32.store offset=4 (local.get $at) (i32.const {PERF_LOST_SIZE_WORD}))
  (i64.store offset=8 (local.get $at) (i64.load offset={PERF_BUFFER.sampleId} (local.get $buffer)))
  (i64.store offset=16 (local.get $at) (i64.load offset={PERF_BUFFER.lostPending} (local.get $buffer)))
  ;; in this order: a worker that dies in between leaves losses that only the counter tells, none told twice
  (i64.store offset={PERF_BUFFER.lostPending} (local.get $buffer) (i64.const 0))
  (i64.store offset={PERF_BUFFER.head} (local.get $buffer) (local.get $next)))

;; Buffers that are no plain queue of samples.
(func $perf_begin_special (param $buffer i32) (param $length i32) (result i32)
  (local $mode i32) (local $head i64) (local $mask i32) (local $space i32)
  (local.set $mode (i32.load offset={PERF_BUFFER.mode} (local.get $buffer)))
  (if (i32.and (local.get $mode) (i32.const {PERF_MODE.PAUSED})) (then (return (call $perf_full (local.get $buffer)))))
  (local.set $head (i64.load offset={PERF_BUFFER.head} (local.get $buffer)))
  (if (i32.and (local.get $mode) (i32.const {PERF_MODE.BACKWARD}))
    (then
      ;; the kernel lets a record longer than the buffer overwrite itself
      (if
        (i32.gt_u
          (i32.add (local.get $length) (i32.const {PERF_LOST_BYTES}))
          (i32.load offset={PERF_BUFFER.dataSize} (local.get $buffer)))
        (then (return (call $perf_full (local.get $buffer)))))
      (return
        (call $perf_address
          (local.get $buffer)
          (i64.sub (local.get $head) (i64.extend_i32_u (local.get $length)))))))
  ;; the consumer's own format: losses are counted, not written
  (local.set $mask (i32.sub (i32.load offset={PERF_BUFFER.dataSize} (local.get $buffer)) (i32.const 1)))
  (local.set $space
    (i32.and
      (i32.sub
        (i32.sub (i32.load offset={PERF_BUFFER.dataTail} (local.get $buffer)) (i32.wrap_i64 (local.get $head)))
        (i32.const 1))
      (local.get $mask)))
  (if
    (i32.lt_s
      (i32.shl (i32.sub (local.get $space) (local.get $length)) (i32.const 1))
      (local.get $mask))
    (then (i32.store offset={WORKER.yield} (global.get $worker) (i32.const 1))))
  (if (i32.lt_u (local.get $space) (local.get $length))
    (then
      (call $perf_count (local.get $buffer) (i32.const {PERF_BUFFER.lost}))
      (return (i32.const 0))))
  (call $perf_address (local.get $buffer) (local.get $head)))

;; A record is complete: counts it, shows the reader everything where no other is reserved, and wakes it where a wake-up is
;; due: after every wakeupEvents records, and when so many bytes were written since the last one.
(func $perf_end (param $buffer i32)
  (local $due i32) (local $events i32) (local $wanted i32) (local $head i64) (local $wakeup i64)
  (local.set $head (i64.load offset={PERF_BUFFER.head} (local.get $buffer)))
  (local.set $wakeup (i64.load offset={PERF_BUFFER.wakeup} (local.get $buffer)))
  (local.set $due (i32.load offset={PERF_BUFFER.wakeDue} (local.get $buffer)))
  (if
    (i64.gt_u
      (i64.sub
        (select
          (i64.sub (i64.const 0) (local.get $head))
          (local.get $head)
          (i32.and (i32.load offset={PERF_BUFFER.mode} (local.get $buffer)) (i32.const {PERF_MODE.BACKWARD})))
        (local.get $wakeup))
      (i64.load32_u offset={PERF_BUFFER.watermark} (local.get $buffer)))
    (then
      (local.set $wakeup
        (i64.add (local.get $wakeup) (i64.load32_u offset={PERF_BUFFER.watermark} (local.get $buffer))))
      (local.set $due (i32.const 1))))
  (if (local.tee $wanted (i32.load offset={PERF_BUFFER.wakeupEvents} (local.get $buffer)))
    (then
      (local.set $events (i32.add (i32.load offset={PERF_BUFFER.events} (local.get $buffer)) (i32.const 1)))
      (if (i32.ge_u (local.get $events) (local.get $wanted))
        (then
          (local.set $events (i32.const 0))
          (local.set $wakeup (i64.add (local.get $wakeup) (i64.const 1)))
          (local.set $due (i32.const 1))))
      (i32.store offset={PERF_BUFFER.events} (local.get $buffer) (local.get $events))))
  (i64.store offset={PERF_BUFFER.wakeup} (local.get $buffer) (local.get $wakeup))
  (if (i32.load offset={PERF_BUFFER.nest} (local.get $buffer))
    (then
      (i32.store offset={PERF_BUFFER.wakeDue} (local.get $buffer) (local.get $due))
      (return)))
  (i64.store offset={PERF_BUFFER.dataHead} (local.get $buffer) (local.get $head))
  (if (local.get $due) (then (call $perf_wake (local.get $buffer)))))

(func $perf_wake (param $buffer i32)
  (local $map i32)
  (local.set $map (i32.load offset={PERF_BUFFER.map} (local.get $buffer)))
  (i32.store offset={PERF_BUFFER.wakeDue} (local.get $buffer) (i32.const 0))
  (i32.store offset={PERF_BUFFER.wakeups} (local.get $buffer)
    (i32.add (i32.load offset={PERF_BUFFER.wakeups} (local.get $buffer)) (i32.const 1)))
  (if (i32.atomic.load offset={PERF_ARRAY.waiters} (local.get $map))
    (then
      (drop (i32.atomic.rmw.add offset={PERF_ARRAY.wake} (local.get $map) (i32.const 1)))
      (drop (memory.atomic.notify offset={PERF_ARRAY.wake} (local.get $map) (i32.const -1))))))
