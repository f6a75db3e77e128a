;; bpf_perf_event_output. Kernel: __bpf_perf_event_output() in kernel/trace/bpf_trace.c, bpf_skb_event_output() and
;; bpf_xdp_event_output() in net/core/filter.c, perf_output_sample() in kernel/events/core.c. Room in the buffer is
;; perf-room.wat's, the program's own stores between reserve and commit are perf-reserve.wat's.
;;
;; One copy, source → slot. A record (PERF_RECORD_SAMPLE):
;;
;;   type u32 | misc u16 | size u16 | fields asked for, 8 bytes each | raw size u32 | data | packet bytes | padding to 8
;;
;; The raw size counts the padding, as in the kernel.

;; What is short is here; the rest is a call, so that what it needs does not take registers.
(func (export "perf_event_output")
  (param $ctx i32) (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (result i32)
  (if (i64.eq (local.get $flags) (i64.const {PERF_OUTPUT.CURRENT_CPU}))
    (then
      (if (call $perf_output_plain (local.get $map) (local.get $data) (local.get $size))
        (then (return (i32.const 0))))))
  (call $perf_output_any (local.get $map) (local.get $flags) (local.get $data) (local.get $size)))

;; The same with any flags, buffer and fields.
(func $perf_output_any (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (result i32)
  (call $perf_guarded
    (local.get $map)
    (local.get $flags)
    (i32.eqz (i64.eqz (i64.and (local.get $flags) (i64.const {~PERF_OUTPUT.INDEX_MASK}))))
    (local.get $data) (local.get $size) (i32.const 0) (i32.const 0) (i32.const 0)))

(func (export "perf_event_output_skb")
  (param $ctx i32) (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (result i32)
  (call $perf_context
    (local.get $map) (local.get $flags) (local.get $data) (local.get $size)
    (i32.const {CONTEXT_COPY.skb}) (local.get $ctx)))

(func (export "perf_event_output_xdp")
  (param $ctx i32) (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (result i32)
  (call $perf_context
    (local.get $map) (local.get $flags) (local.get $data) (local.get $size)
    (i32.const {CONTEXT_COPY.xdp}) (local.get $ctx)))

;; The upper half of the flags says how many bytes behind the context follow the data; `copier` copies them.
(func $perf_context
  (param $map i32) (param $flags i64) (param $data i32) (param $size i32) (param $copier i32) (param $ctx i32)
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
  (if (local.get $more)
    (then
      (if (i32.gt_u (local.get $more) (call $context_bytes (local.get $copier) (local.get $ctx)))
        (then (return (i32.const {-EFAULT}))))))
  (call $perf_guarded
    (local.get $map) (local.get $flags) (i32.const 0)
    (local.get $data) (local.get $size) (local.get $copier) (local.get $ctx) (local.get $more)))

;; Three outputs may be under way on a CPU, one inside the other; a fourth is busy.
(func $perf_guarded
  (param $map i32) (param $flags i64) (param $refuse i32)
  (param $data i32) (param $size i32) (param $copier i32) (param $ctx i32) (param $more i32) (result i32)
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
      (local.get $data) (local.get $size) (local.get $copier) (local.get $ctx) (local.get $more)))
  (i32.store offset={CPU.outputNesting} (local.get $cpu) (local.get $nesting))
  (local.get $result))

;; Address of the buffer that the CPU may write to under that index, or -errno. No address is that high.
(func $perf_buffer (param $map i32) (param $index i32) (result i32)
  (local $cpu i32) (local $buffer i32)
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
  (local.get $buffer))

(func $is_errno (param $value i32) (result i32)
  (i32.gt_u (local.get $value) (i32.const -4096)))

(func $perf_output
  (param $map i32) (param $index i32)
  (param $data i32) (param $size i32) (param $copier i32) (param $ctx i32) (param $more i32) (result i32)
  (local $buffer i32) (local $type i32) (local $raw i32) (local $length i32) (local $at i32)
  (local.set $buffer (call $perf_buffer (local.get $map) (local.get $index)))
  (if (call $is_errno (local.get $buffer)) (then (return (local.get $buffer))))
  (if (i32.and (i32.load offset={PERF_BUFFER.mode} (local.get $buffer)) (i32.const {PERF_MODE.BARE}))
    (then
      (return
        (call $perf_output_bare
          (local.get $buffer)
          (local.get $data) (local.get $size) (local.get $copier) (local.get $ctx) (local.get $more)))))
  (local.set $type (i32.load offset={PERF_BUFFER.sampleType} (local.get $buffer)))
  ;; no sum wraps: the verifier allows sizes below 2^29, and the packet's has 20 bits
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.RAW}))
    (then
      (local.set $raw
        (i32.and
          (i32.add (i32.add (local.get $size) (local.get $more)) (i32.const 11))
          (i32.const -8)))))
  (local.set $length (i32.add (local.get $raw) (call $perf_head_bytes (local.get $type))))
  (if (i32.gt_u (local.get $length) (i32.const 0xffff))
    (then
      (return
        (call $perf_output_cut
          (local.get $buffer) (local.get $length) (local.get $raw)
          (local.get $data) (local.get $size) (local.get $copier) (local.get $ctx) (local.get $more)))))
  (if (i32.eqz (local.tee $at (call $perf_begin (local.get $buffer) (local.get $length))))
    (then (return (i32.const {-ENOSPC}))))
  (local.set $at
    (call $perf_header
      (local.get $buffer) (local.get $at) (i32.const {PERF_RECORD.SAMPLE}) (local.get $length) (local.get $type)))
  (if (local.get $raw)
    (then
      ;; the padding first: it ends where the record ends
      (i64.store (i32.add (local.get $at) (i32.sub (local.get $raw) (i32.const 8))) (i64.const 0))
      (i32.store (local.get $at) (i32.sub (local.get $raw) (i32.const 4)))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (call $copy (local.get $at) (local.get $data) (local.get $size))
      (if (local.get $more)
        (then
          (call $context_copy
            (local.get $copier) (i32.add (local.get $at) (local.get $size)) (local.get $ctx) (local.get $more))))))
  (call $perf_advance (local.get $buffer) (local.get $length))
  (call $perf_end (local.get $buffer))
  (i32.const 0))

;; A record in the CPU's own buffer: bytes, with their time and CPU if at all, where the buffer is less than half full and
;; has nothing to report. 0: nothing was done, this is no such record.
(func $perf_output_plain (param $map i32) (param $data i32) (param $size i32) (result i32)
  (local $cpu i32) (local $buffer i32) (local $type i32) (local $length i32) (local $at i32) (local $head i64)
  (local.set $cpu (call $current_cpu))
  (if
    (i32.or
      (i32.or
        (i32.eqz (local.get $cpu))
        (i32.gt_u (local.get $size) (i32.const {PERF_PLAIN_BYTES})))
      (i32.or
        (i32.load offset={CPU.outputNesting} (local.get $cpu))
        (i32.ge_u (i32.load offset={CPU.id} (local.get $cpu)) (i32.load offset={MAP.maxEntries} (local.get $map)))))
    (then (return (i32.const 0))))
  (local.set $buffer
    (i32.load
      (i32.add
        (i32.load offset={PERF_ARRAY.slots} (local.get $map))
        (i32.shl (i32.load offset={CPU.id} (local.get $cpu)) (i32.const 2)))))
  (if (i32.eqz (local.get $buffer)) (then (return (i32.const 0))))
  (local.set $type (i32.load offset={PERF_BUFFER.sampleType} (local.get $buffer)))
  (local.set $length
    (i32.add
      (call $perf_raw_bytes (local.get $size))
      (i32.add
        (i32.shl (i32.popcnt (i32.and (local.get $type) (i32.const {PERF_SAMPLE_FIELDS}))) (i32.const 3))
        (i32.const 8))))
  (local.set $head (i64.load offset={PERF_BUFFER.head} (local.get $buffer)))
  (if
    (i32.or
      (i32.or
        (i32.ne (i32.load offset={PERF_BUFFER.cpu} (local.get $buffer)) (i32.load offset={CPU.id} (local.get $cpu)))
        (i32.or
          (i32.load offset={PERF_BUFFER.nest} (local.get $buffer))
          (i32.load offset={PERF_BUFFER.mode} (local.get $buffer))))
      (i32.or
        (i32.or
          (i32.ne (i32.and (local.get $type) (i32.const {PERF_SAMPLE_RARE})) (i32.const {PERF_SAMPLE.RAW}))
          (i64.ne (i64.load offset={PERF_BUFFER.lostPending} (local.get $buffer)) (i64.const 0)))
        ;; positions only grow, and the reader's is never ahead
        (i32.gt_u
          (i32.shl
            (i32.add
              (i32.sub (i32.wrap_i64 (local.get $head)) (i32.load offset={PERF_BUFFER.dataTail} (local.get $buffer)))
              (local.get $length))
            (i32.const 1))
          (i32.load offset={PERF_BUFFER.dataSize} (local.get $buffer)))))
    (then (return (i32.const 0))))
  (local.set $at (call $perf_address (local.get $buffer) (local.get $head)))
  (i32.store (local.get $at) (i32.const {PERF_RECORD.SAMPLE}))
  (i32.store offset=4 (local.get $at)
    (i32.or (i32.shl (local.get $length) (i32.const 16)) (i32.const {PERF_RECORD.MISC_KERNEL})))
  ;; the padding, before the bytes come
  (i64.store (i32.add (local.get $at) (i32.sub (local.get $length) (i32.const 8))) (i64.const 0))
  (local.set $at (i32.add (local.get $at) (i32.const 8)))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.TIME}))
    (then (local.set $at (call $perf_field (local.get $at) (call $event_time)))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.CPU}))
    (then
      (local.set $at
        (call $perf_field (local.get $at) (i64.load32_u offset={CPU.id} (local.get $cpu))))))
  (i32.store (local.get $at) (i32.sub (call $perf_raw_bytes (local.get $size)) (i32.const 4)))
  (call $copy (i32.add (local.get $at) (i32.const 4)) (local.get $data) (local.get $size))
  (i64.store offset={PERF_BUFFER.head} (local.get $buffer)
    (i64.add (local.get $head) (i64.extend_i32_u (local.get $length))))
  (call $perf_end (local.get $buffer))
  (i32.const 1))

;; Of a record's bytes with their size before them, rounded up to 8.
(func $perf_raw_bytes (param $size i32) (result i32)
  (i32.and (i32.add (local.get $size) (i32.const 11)) (i32.const -8)))

;; A record longer than its header can say. The kernel keeps 16 bits of the length, takes that much room and writes on
;; behind it, over what is there; a length of 0 leaves nothing. Here it ends where its room ends, so that what a reader
;; sees is the same and no other record is harmed. Both are counted.
(func $perf_output_cut
  (param $buffer i32) (param $length i32) (param $raw i32)
  (param $data i32) (param $size i32) (param $copier i32) (param $ctx i32) (param $more i32) (result i32)
  (local $type i32) (local $room i32) (local $at i32) (local $head i32) (local $bytes i32)
  (local.set $room (i32.and (local.get $length) (i32.const 0xffff)))
  (if (i32.eqz (local.get $room))
    (then
      (call $perf_count (local.get $buffer) (i32.const {PERF_BUFFER.lost}))
      (return (i32.const 0))))
  (local.set $type (i32.load offset={PERF_BUFFER.sampleType} (local.get $buffer)))
  (local.set $bytes (i32.add (call $perf_head_bytes (local.get $type)) (i32.const 4)))
  ;; Header, fields and raw size may be longer than the room: they are made elsewhere. A call chain is not: nothing is left.
  (if (i32.lt_u (local.get $room) (local.get $bytes))
    (then
      (if (call $perf_chain_bytes (local.get $type))
        (then
          (call $perf_count (local.get $buffer) (i32.const {PERF_BUFFER.lost}))
          (return (i32.const 0))))
      (local.set $head (i32.load offset={WORKER.scratchKey} (global.get $worker)))))
  (if (i32.eqz (local.tee $at (call $perf_begin (local.get $buffer) (local.get $room))))
    (then (return (i32.const {-ENOSPC}))))
  (call $perf_count (local.get $buffer) (i32.const {PERF_BUFFER.cut}))
  (if (i32.eqz (local.get $head)) (then (local.set $head (local.get $at))))
  (i32.store
    (call $perf_header
      (local.get $buffer) (local.get $head) (i32.const {PERF_RECORD.SAMPLE}) (local.get $room) (local.get $type))
    (i32.sub (local.get $raw) (i32.const 4)))
  (local.set $bytes (call $smaller (local.get $room) (local.get $bytes)))
  (call $copy (local.get $at) (local.get $head) (local.get $bytes))
  (local.set $at (i32.add (local.get $at) (local.get $bytes)))
  (local.set $room (i32.sub (local.get $room) (local.get $bytes)))
  (local.set $bytes (call $smaller (local.get $room) (local.get $size)))
  (call $copy (local.get $at) (local.get $data) (local.get $bytes))
  (local.set $at (i32.add (local.get $at) (local.get $bytes)))
  (local.set $room (i32.sub (local.get $room) (local.get $bytes)))
  (local.set $bytes (call $smaller (local.get $room) (local.get $more)))
  (if (local.get $bytes)
    (then (call $context_copy (local.get $copier) (local.get $at) (local.get $ctx) (local.get $bytes))))
  (memory.fill
    (i32.add (local.get $at) (local.get $bytes))
    (i32.const 0)
    (i32.sub (local.get $room) (local.get $bytes)))
  (call $perf_advance (local.get $buffer) (i32.and (local.get $length) (i32.const 0xffff)))
  (call $perf_end (local.get $buffer))
  (i32.const 0))

(func $smaller (param $a i32) (param $b i32) (result i32)
  (select (local.get $a) (local.get $b) (i32.lt_u (local.get $a) (local.get $b))))

;; Bytes of header and fields.
(func $perf_head_bytes (param $type i32) (result i32)
  (i32.add
    (i32.add
      (i32.shl (i32.popcnt (i32.and (local.get $type) (i32.const {PERF_SAMPLE_FIELDS}))) (i32.const 3))
      (i32.const 8))
    (call $perf_chain_bytes (local.get $type))))

;; Bytes of the event's call chain behind its count.
(func $perf_chain_bytes (param $type i32) (result i32)
  (if (result i32) (i32.and (local.get $type) (i32.const {PERF_SAMPLE.CALLCHAIN}))
    (then (i32.shl (i32.load (call $call_chain)) (i32.const 3)))
    (else (i32.const 0))))

;; Writes header and fields and returns the address behind them.
(func $perf_header (param $buffer i32) (param $at i32) (param $record i32) (param $length i32) (param $type i32)
  (result i32)
  (i32.store (local.get $at) (local.get $record))
  (i32.store offset=4 (local.get $at)
    (i32.or (i32.shl (local.get $length) (i32.const 16)) (i32.const {PERF_RECORD.MISC_KERNEL})))
  (call $perf_fields (local.get $buffer) (local.get $type) (i32.add (local.get $at) (i32.const 8))))

;; Writes the fields that sampleType asks for and returns the address behind them. What a buffer of program output has no
;; value for is 0, as in the kernel: address, period; and what is not known here: the instruction.
(func $perf_fields (param $buffer i32) (param $type i32) (param $at i32) (result i32)
  (local $task i32)
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.IDENTIFIER}))
    (then (local.set $at (call $perf_field (local.get $at) (i64.load offset={PERF_BUFFER.sampleId} (local.get $buffer))))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.IP}))
    (then (local.set $at (call $perf_field (local.get $at) (i64.const 0)))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.TID}))
    (then
      (local.set $task (call $current_task))
      (i32.store (local.get $at) (i32.load offset={TASK.tgid} (local.get $task)))
      (i32.store offset=4 (local.get $at) (i32.load offset={TASK.pid} (local.get $task)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.TIME}))
    (then (local.set $at (call $perf_field (local.get $at) (call $event_time)))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.ADDR}))
    (then (local.set $at (call $perf_field (local.get $at) (i64.const 0)))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.ID}))
    (then (local.set $at (call $perf_field (local.get $at) (i64.load offset={PERF_BUFFER.sampleId} (local.get $buffer))))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.STREAM_ID}))
    (then (local.set $at (call $perf_field (local.get $at) (i64.load offset={PERF_BUFFER.sampleId} (local.get $buffer))))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.CPU}))
    (then (local.set $at (call $perf_field (local.get $at) (i64.extend_i32_u (call $cpu_id))))))
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.PERIOD}))
    (then (local.set $at (call $perf_field (local.get $at) (i64.const 0)))))
  ;; as it stands, or where there is none as the null guard's zeros: no addresses
  (if (i32.and (local.get $type) (i32.const {PERF_SAMPLE.CALLCHAIN}))
    (then
      (call $copy
        (local.get $at) (call $call_chain) (i32.add (call $perf_chain_bytes (local.get $type)) (i32.const 8)))
      (local.set $at (i32.add (local.get $at) (i32.add (call $perf_chain_bytes (local.get $type)) (i32.const 8))))))
  (local.get $at))

(func $perf_field (param $at i32) (param $value i64) (result i32)
  (i64.store (local.get $at) (local.get $value))
  (i32.add (local.get $at) (i32.const 8)))
