;; bpf_perf_event_output. Kernel: __bpf_perf_event_output() in kernel/trace/bpf_trace.c, __perf_output_begin() in
;; kernel/events/ring_buffer.c, perf_output_sample() in kernel/events/core.c.
;;
;; One copy, source → slot. A record (PERF_RECORD_SAMPLE):
;;
;;   type u32 | misc u16 | size u16 | fields asked for, 8 bytes each | raw size u32 | data | packet bytes | padding to 8
;;
;; The raw size counts the padding, as in the kernel. Positions only grow; the data area is followed by a tail, so that
;; every record is contiguous at data + (position & mask).

(func (export "perf_event_output")
  (param $ctx i32) (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (result i32)
  (call $perf_guarded
    (local.get $map)
    (local.get $flags)
    (i32.eqz (i64.eqz (i64.and (local.get $flags) (i64.const {~PERF_OUTPUT.INDEX_MASK}))))
    (local.get $data) (local.get $size) (i32.const 0) (i32.const 0)))

(func (export "perf_event_output_skb")
  (param $ctx i32) (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (result i32)
  (call $perf_packet
    (local.get $map) (local.get $flags) (local.get $data) (local.get $size)
    (i32.load offset={SK_BUFF.data} (local.get $ctx))
    (i32.load offset={SK_BUFF.data_end} (local.get $ctx))))

(func (export "perf_event_output_xdp")
  (param $ctx i32) (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (result i32)
  (call $perf_packet
    (local.get $map) (local.get $flags) (local.get $data) (local.get $size)
    (i32.load offset={XDP_MD.data} (local.get $ctx))
    (i32.load offset={XDP_MD.data_end} (local.get $ctx))))

;; Kernel: bpf_skb_event_output(), bpf_xdp_event_output().
(func $perf_packet
  (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (param $packet i32) (param $packet_end i32)
  (result i32)
  (local $more i32)
  (if
    (i32.eqz
      (i64.eqz
        (i64.and
          (local.get $flags)
          (i64.const {PERF_PACKET_REFUSED}))))
    (then (return (i32.const {-EINVAL}))))
  (local.set $more (i32.wrap_i64 (i64.shr_u (local.get $flags) (i64.const 32))))
  (if (i32.gt_u (local.get $more) (i32.sub (local.get $packet_end) (local.get $packet)))
    (then (return (i32.const {-EFAULT}))))
  (call $perf_guarded
    (local.get $map) (local.get $flags) (i32.const 0)
    (local.get $data) (local.get $size) (local.get $packet) (local.get $more)))

;; Three outputs may be under way on a CPU, one inside the other; a fourth is busy.
(func $perf_guarded
  (param $map i32) (param $flags i64) (param $refuse i32)
  (param $data i32) (param $size i32) (param $more i32) (param $more_size i32) (result i32)
  (local $cpu i32) (local $nesting i32) (local $result i32)
  (local.set $cpu (call $current_cpu))
  (local.set $nesting (i32.load offset={CPU.outputNesting} (local.get $cpu)))
  (if (i32.ge_u (local.get $nesting) (i32.const 3)) (then (return (i32.const {-EBUSY}))))
  (if (local.get $refuse) (then (return (i32.const {-EINVAL}))))
  ;; outside a run there is no CPU block to count in
  (if (i32.eqz (local.get $cpu)) (then (return (i32.const {-EOPNOTSUPP}))))
  (i32.store offset={CPU.outputNesting} (local.get $cpu) (i32.add (local.get $nesting) (i32.const 1)))
  (local.set $result
    (call $perf_output
      (local.get $map) (i32.wrap_i64 (local.get $flags))
      (local.get $data) (local.get $size) (local.get $more) (local.get $more_size)))
  (i32.store offset={CPU.outputNesting} (local.get $cpu) (local.get $nesting))
  (local.get $result))

(func $perf_output
  (param $map i32) (param $index i32)
  (param $data i32) (param $size i32) (param $more i32) (param $more_size i32) (result i32)
  (local $cpu i32) (local $buffer i32) (local $type i32) (local $raw i32) (local $length i32) (local $at i32)
  (local $head i64)
  (local.set $cpu (call $cpu_id))
  (if (i32.eq (local.get $index) (i32.const {PERF_OUTPUT.CURRENT_CPU})) (then (local.set $index (local.get $cpu))))
  (if (i32.ge_u (local.get $index) (i32.load offset={MAP.maxEntries} (local.get $map)))
    (then (return (i32.const {-E2BIG}))))
  (local.set $buffer
    (i32.load
      (i32.add
        (i32.load offset={PERF_ARRAY.slots} (local.get $map))
        (i32.shl (local.get $index) (i32.const 2)))))
  (if (i32.eqz (local.get $buffer)) (then (return (i32.const {-ENOENT}))))
  (if (i32.ne (i32.load offset={PERF_BUFFER.cpu} (local.get $buffer)) (local.get $cpu))
    (then (return (i32.const {-EOPNOTSUPP}))))
  (local.set $type (i32.load offset={PERF_BUFFER.sampleType} (local.get $buffer)))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.RAW}))
    (then
      ;; no record is longer than 64 KiB: checked here so that the sums below cannot wrap
      (if (i32.gt_u (local.get $size) (i32.const 0xffff))
        (then (return (call $perf_full (local.get $buffer)))))
      (if (i32.gt_u (local.get $more_size) (i32.const 0xffff))
        (then (return (call $perf_full (local.get $buffer)))))
      (local.set $raw
        (i32.and
          (i32.add (i32.add (local.get $size) (local.get $more_size)) (i32.const 11))
          (i32.const -8)))))
  (local.set $length
    (i32.add
      (i32.add (local.get $raw) (i32.const 8))
      (i32.shl (i32.popcnt (i32.and (local.get $type) (i32.const {PERF_SAMPLE_FIELDS}))) (i32.const 3))))
  (if (i32.gt_u (local.get $length) (i32.const 0xffff))
    (then (return (call $perf_full (local.get $buffer)))))
  (if (i32.eqz (call $perf_fits (local.get $buffer) (local.get $length)))
    (then (return (call $perf_full (local.get $buffer)))))
  (local.set $head (call $perf_report_lost (local.get $buffer)))
  (local.set $at (call $perf_address (local.get $buffer) (local.get $head)))
  (i32.store (local.get $at) (i32.const {PERF_RECORD.SAMPLE}))
  (i32.store offset=4 (local.get $at)
    (i32.or (i32.shl (local.get $length) (i32.const 16)) (i32.const {PERF_RECORD.MISC_KERNEL})))
  (local.set $at (call $perf_fields (local.get $buffer) (local.get $type) (i32.add (local.get $at) (i32.const 8))))
  (if (local.get $raw)
    (then
      ;; the padding first: it ends where the record ends
      (i64.store (i32.add (local.get $at) (i32.sub (local.get $raw) (i32.const 8))) (i64.const 0))
      (i32.store (local.get $at) (i32.sub (local.get $raw) (i32.const 4)))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (call $copy (local.get $at) (local.get $data) (local.get $size))
      (if (local.get $more_size)
        (then
          (call $copy (i32.add (local.get $at) (local.get $size)) (local.get $more) (local.get $more_size))))))
  (call $perf_publish
    (local.get $map)
    (local.get $buffer)
    (i64.add (local.get $head) (i64.extend_i32_u (local.get $length))))
  (i32.const 0))

(func $perf_address (param $buffer i32) (param $position i64) (result i32)
  (i32.add
    (i32.load offset={PERF_BUFFER.data} (local.get $buffer))
    (i32.and
      (i32.wrap_i64 (local.get $position))
      (i32.sub (i32.load offset={PERF_BUFFER.dataSize} (local.get $buffer)) (i32.const 1)))))

;; 1 where a record of that length, and the report of losses before it, find room. One byte always stays free.
;; More than half full: the batch driver lets the reader in after this event.
(func $perf_fits (param $buffer i32) (param $length i32) (result i32)
  (local $mask i32) (local $space i32)
  (if (i64.ne (i64.load offset={PERF_BUFFER.lostPending} (local.get $buffer)) (i64.const 0))
    (then (local.set $length (i32.add (local.get $length) (i32.const {PERF_LOST_BYTES})))))
  (local.set $mask (i32.sub (i32.load offset={PERF_BUFFER.dataSize} (local.get $buffer)) (i32.const 1)))
  (local.set $space
    (i32.and
      (i32.sub
        (i32.sub
          (i32.load offset={PERF_BUFFER.dataTail} (local.get $buffer))
          (i32.load offset={PERF_BUFFER.dataHead} (local.get $buffer)))
        (i32.const 1))
      (local.get $mask)))
  (if
    (i32.lt_s
      (i32.shl (i32.sub (local.get $space) (local.get $length)) (i32.const 1))
      (local.get $mask))
    (then (i32.store offset={WORKER.yield} (global.get $worker) (i32.const 1))))
  (i32.ge_u (local.get $space) (local.get $length)))

(func $perf_full (param $buffer i32) (result i32)
  (i32.store offset={WORKER.yield} (global.get $worker) (i32.const 1))
  (i64.store offset={PERF_BUFFER.lost} (local.get $buffer)
    (i64.add (i64.load offset={PERF_BUFFER.lost} (local.get $buffer)) (i64.const 1)))
  (i64.store offset={PERF_BUFFER.lostPending} (local.get $buffer)
    (i64.add (i64.load offset={PERF_BUFFER.lostPending} (local.get $buffer)) (i64.const 1)))
  (i32.const {-ENOSPC}))

;; Position of the next record, behind a PERF_RECORD_LOST where there is something to report.
(func $perf_report_lost (param $buffer i32) (result i64)
  (local $head i64) (local $at i32)
  (local.set $head (i64.load offset={PERF_BUFFER.dataHead} (local.get $buffer)))
  (if (i64.eqz (i64.load offset={PERF_BUFFER.lostPending} (local.get $buffer)))
    (then (return (local.get $head))))
  (local.set $at (call $perf_address (local.get $buffer) (local.get $head)))
  (i32.store (local.get $at) (i32.const {PERF_RECORD.LOST}))
  (i32.store offset=4 (local.get $at) (i32.const {PERF_LOST_SIZE_WORD}))
  (i64.store offset=8 (local.get $at) (i64.load offset={PERF_BUFFER.sampleId} (local.get $buffer)))
  (i64.store offset=16 (local.get $at) (i64.load offset={PERF_BUFFER.lostPending} (local.get $buffer)))
  (i64.store offset={PERF_BUFFER.lostPending} (local.get $buffer) (i64.const 0))
  (i64.add (local.get $head) (i64.const {PERF_LOST_BYTES})))

;; Writes the fields that sampleType asks for and returns the address behind them.
(func $perf_fields (param $buffer i32) (param $type i32) (param $at i32) (result i32)
  (local $task i32)
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.IDENTIFIER}))
    (then
      (i64.store (local.get $at) (i64.load offset={PERF_BUFFER.sampleId} (local.get $buffer)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.TID}))
    (then
      (local.set $task (call $current_task))
      (i32.store (local.get $at) (i32.load offset={TASK.tgid} (local.get $task)))
      (i32.store offset=4 (local.get $at) (i32.load offset={TASK.pid} (local.get $task)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.TIME}))
    (then
      (i64.store (local.get $at) (call $event_time))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.ID}))
    (then
      (i64.store (local.get $at) (i64.load offset={PERF_BUFFER.sampleId} (local.get $buffer)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.CPU}))
    (then
      (i64.store (local.get $at) (i64.extend_i32_u (call $cpu_id)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))))
  (local.get $at))

;; Shows the reader everything up to `head` and wakes it, if it waits, after every wakeupEvents records.
(func $perf_publish (param $map i32) (param $buffer i32) (param $head i64)
  (local $events i32)
  (i64.store offset={PERF_BUFFER.dataHead} (local.get $buffer) (local.get $head))
  (local.set $events (i32.add (i32.load offset={PERF_BUFFER.events} (local.get $buffer)) (i32.const 1)))
  (if (i32.lt_u (local.get $events) (i32.load offset={PERF_BUFFER.wakeupEvents} (local.get $buffer)))
    (then
      (i32.store offset={PERF_BUFFER.events} (local.get $buffer) (local.get $events))
      (return)))
  (i32.store offset={PERF_BUFFER.events} (local.get $buffer) (i32.const 0))
  (if (i32.atomic.load offset={PERF_ARRAY.waiters} (local.get $map))
    (then
      (drop (i32.atomic.rmw.add offset={PERF_ARRAY.wake} (local.get $map) (i32.const 1)))
      (drop (memory.atomic.notify offset={PERF_ARRAY.wake} (local.get $map) (i32.const -1))))))
