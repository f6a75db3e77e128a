;; bpf_perf_reserve, bpf_perf_commit, bpf_perf_discard: the program writes its record itself, where the reader finds it. The
;; kernel has no such functions. Between reserve and commit a record is of type DISCARDED, which readers pass over, and
;; its raw size holds the buffer's address: that is how commit finds it.

;; Address of `size` bytes in the buffer that the flags name, or 0: what bpf_perf_event_output has an errno for.
(func (export "perf_reserve") (param $map i32) (param $size i32) (param $flags i64) (result i32)
  (local $cpu i32) (local $buffer i32) (local $type i32) (local $raw i32) (local $length i32) (local $at i32)
  (local.set $cpu (call $current_cpu))
  (if (i32.eqz (local.get $cpu)) (then (return (i32.const 0))))
  (if (i32.eqz (i64.eqz (i64.and (local.get $flags) (i64.const {~PERF_OUTPUT.INDEX_MASK}))))
    (then (return (i32.const 0))))
  (local.set $buffer (call $perf_buffer (local.get $map) (i32.wrap_i64 (local.get $flags))))
  (if (call $is_errno (local.get $buffer)) (then (return (i32.const 0))))
  (if (i32.and (i32.load offset={PERF_BUFFER.mode} (local.get $buffer)) (i32.const {PERF_MODE.BARE}))
    (then (return (call $perf_reserve_bare (local.get $buffer) (local.get $size)))))
  (local.set $type (i32.load offset={PERF_BUFFER.sampleType} (local.get $buffer)))
  (if (i32.eqz (i32.and (local.get $type) (i32.const {PERF_SAMPLE.RAW}))) (then (return (i32.const 0))))
  ;; checked here so that the sums below cannot wrap
  (if (i32.gt_u (local.get $size) (i32.const 0xffff)) (then (return (call $perf_full (local.get $buffer)))))
  (local.set $raw (i32.and (i32.add (local.get $size) (i32.const 11)) (i32.const -8)))
  (local.set $length (i32.add (local.get $raw) (call $perf_head_bytes (local.get $type))))
  (if (i32.gt_u (local.get $length) (i32.const 0xffff)) (then (return (call $perf_full (local.get $buffer)))))
  (if (i32.eqz (local.tee $at (call $perf_begin (local.get $buffer) (local.get $length)))) (then (return (i32.const 0))))
  (local.set $at
    (call $perf_header
      (local.get $buffer) (local.get $at) (i32.const {PERF_RECORD.DISCARDED}) (local.get $length) (local.get $type)))
  (i64.store (i32.add (local.get $at) (i32.sub (local.get $raw) (i32.const 8))) (i64.const 0))
  (i32.store (local.get $at) (local.get $buffer))
  (call $perf_advance (local.get $buffer) (local.get $length))
  (call $perf_nest (local.get $buffer) (i32.const 1))
  (i32.add (local.get $at) (i32.const 4)))

(func (export "bpf_perf_commit") (param $sample i32)
  (local $buffer i32) (local $start i32) (local $head_bytes i32)
  (if (i32.eq (local.get $sample) (i32.load offset={CPU.bareRecord} (call $current_cpu)))
    (then (call $perf_close_bare) (return)))
  (local.set $buffer (i32.load (i32.sub (local.get $sample) (i32.const 4))))
  (local.set $head_bytes (call $perf_head_bytes (i32.load offset={PERF_BUFFER.sampleType} (local.get $buffer))))
  (local.set $start (i32.sub (local.get $sample) (i32.add (local.get $head_bytes) (i32.const 4))))
  (i32.store (i32.sub (local.get $sample) (i32.const 4))
    (i32.sub (i32.load16_u offset=6 (local.get $start)) (i32.add (local.get $head_bytes) (i32.const 4))))
  (i32.store (local.get $start) (i32.const {PERF_RECORD.SAMPLE}))
  (call $perf_nest (local.get $buffer) (i32.const -1))
  (call $perf_end (local.get $buffer)))

(func (export "bpf_perf_discard") (param $sample i32)
  (local $buffer i32) (local $start i32) (local $before i64)
  (if (i32.eq (local.get $sample) (i32.load offset={CPU.bareRecord} (call $current_cpu)))
    (then
      (local.set $buffer (i32.load offset={CPU.bareBuffer} (call $current_cpu)))
      (i64.store offset={PERF_BUFFER.head} (local.get $buffer)
        (i64.load offset={PERF_BUFFER.dataHead} (local.get $buffer)))
      (call $perf_forget_bare (local.get $buffer))
      (return)))
  (local.set $buffer (i32.load (i32.sub (local.get $sample) (i32.const 4))))
  (local.set $start
    (i32.sub
      (local.get $sample)
      (i32.add
        (call $perf_head_bytes (i32.load offset={PERF_BUFFER.sampleType} (local.get $buffer)))
        (i32.const 4))))
  (i32.store (i32.sub (local.get $sample) (i32.const 4)) (i32.const 0))
  (call $perf_nest (local.get $buffer) (i32.const -1))
  ;; the room comes back where nothing was written behind it
  (local.set $before
    (i64.sub
      (i64.load offset={PERF_BUFFER.head} (local.get $buffer))
      (i64.load16_u offset=6 (local.get $start))))
  (if
    (i32.and
      (i32.eqz (i32.load offset={PERF_BUFFER.mode} (local.get $buffer)))
      (i32.eq (call $perf_address (local.get $buffer) (local.get $before)) (local.get $start)))
    (then (i64.store offset={PERF_BUFFER.head} (local.get $buffer) (local.get $before))))
  (if (i32.eqz (i32.load offset={PERF_BUFFER.nest} (local.get $buffer)))
    (then
      (i64.store offset={PERF_BUFFER.dataHead} (local.get $buffer)
        (i64.load offset={PERF_BUFFER.head} (local.get $buffer)))
      (if (i32.load offset={PERF_BUFFER.wakeDue} (local.get $buffer)) (then (call $perf_wake (local.get $buffer)))))))

;; Reservations of the buffer and of the CPU.
(func $perf_nest (param $buffer i32) (param $change i32)
  (local $cpu i32)
  (local.set $cpu (call $current_cpu))
  (i32.store offset={PERF_BUFFER.nest} (local.get $buffer)
    (i32.add (i32.load offset={PERF_BUFFER.nest} (local.get $buffer)) (local.get $change)))
  (i32.store offset={CPU.reservations} (local.get $cpu)
    (i32.add (i32.load offset={CPU.reservations} (local.get $cpu)) (local.get $change))))

;; A run that broke off left records that nobody will commit: they count as lost and stay as holes. The runtime clears the
;; CPU's reservations then.
(func $perf_repair (param $buffer i32)
  (local $dead i64)
  (if (i32.load offset={CPU.reservations} (call $current_cpu)) (then (return)))
  (local.set $dead (i64.load32_u offset={PERF_BUFFER.nest} (local.get $buffer)))
  (i64.store offset={PERF_BUFFER.lost} (local.get $buffer)
    (i64.add (i64.load offset={PERF_BUFFER.lost} (local.get $buffer)) (local.get $dead)))
  (i32.store offset={PERF_BUFFER.nest} (local.get $buffer) (i32.const 0))
  (if (i32.and (i32.load offset={PERF_BUFFER.mode} (local.get $buffer)) (i32.const {PERF_MODE.BARE}))
    (then
      (i64.store offset={PERF_BUFFER.head} (local.get $buffer)
        (i64.load offset={PERF_BUFFER.dataHead} (local.get $buffer))))
    (else
      (i64.store offset={PERF_BUFFER.lostPending} (local.get $buffer)
        (i64.add (i64.load offset={PERF_BUFFER.lostPending} (local.get $buffer)) (local.get $dead))))))

;; The consumer's own format: the bytes, nothing else. They come in fours, so that the next record is aligned too, and one
;; record at a time is reserved on a CPU, since nothing in it says where it belongs.

(func $perf_output_bare
  (param $buffer i32)
  (param $data i32) (param $size i32) (param $copier i32) (param $ctx i32) (param $more i32) (result i32)
  (local $at i32) (local $length i32)
  (local.set $length (i32.add (local.get $size) (local.get $more)))
  (if (i32.or (i32.and (local.get $length) (i32.const 3)) (i32.eqz (local.get $length)))
    (then (return (i32.const {-EINVAL}))))
  (if (i32.eqz (local.tee $at (call $perf_begin_bare (local.get $buffer) (local.get $length))))
    (then (return (i32.const {-ENOSPC}))))
  (call $copy (local.get $at) (local.get $data) (local.get $size))
  (if (local.get $more)
    (then
      (call $context_copy
        (local.get $copier) (i32.add (local.get $at) (local.get $size)) (local.get $ctx) (local.get $more))))
  (call $perf_advance (local.get $buffer) (local.get $length))
  (call $perf_end (local.get $buffer))
  (i32.const 0))

(func $perf_begin_bare (param $buffer i32) (param $length i32) (result i32)
  (if (i32.load offset={PERF_BUFFER.nest} (local.get $buffer)) (then (call $perf_repair (local.get $buffer))))
  (if
    (i32.or
      (i32.gt_u (local.get $length) (i32.load offset={PERF_BUFFER.bareLimit} (local.get $buffer)))
      (i32.load offset={PERF_BUFFER.nest} (local.get $buffer)))
    (then
      (call $perf_count (local.get $buffer) (i32.const {PERF_BUFFER.lost}))
      (return (i32.const 0))))
  (call $perf_begin (local.get $buffer) (local.get $length)))

(func $perf_reserve_bare (param $buffer i32) (param $size i32) (result i32)
  (local $cpu i32) (local $at i32)
  (local.set $cpu (call $current_cpu))
  (if (i32.or (i32.and (local.get $size) (i32.const 3)) (i32.eqz (local.get $size))) (then (return (i32.const 0))))
  (if (i32.load offset={CPU.bareRecord} (local.get $cpu))
    (then
      (call $perf_count (local.get $buffer) (i32.const {PERF_BUFFER.lost}))
      (return (i32.const 0))))
  (if (i32.eqz (local.tee $at (call $perf_begin_bare (local.get $buffer) (local.get $size)))) (then (return (i32.const 0))))
  (call $perf_advance (local.get $buffer) (local.get $size))
  (call $perf_nest (local.get $buffer) (i32.const 1))
  (i32.store offset={CPU.bareRecord} (local.get $cpu) (local.get $at))
  (i32.store offset={CPU.bareBuffer} (local.get $cpu) (local.get $buffer))
  (local.get $at))

(func $perf_close_bare
  (local $buffer i32)
  (local.set $buffer (i32.load offset={CPU.bareBuffer} (call $current_cpu)))
  (call $perf_forget_bare (local.get $buffer))
  (call $perf_end (local.get $buffer)))

(func $perf_forget_bare (param $buffer i32)
  (call $perf_nest (local.get $buffer) (i32.const -1))
  (i32.store offset={CPU.bareRecord} (call $current_cpu) (i32.const 0)))
