;; Reads through addresses that are 64 bits wide. A tagged arena pointer, which looks like a kernel address, is copied
;; here; everything else is the host's to answer, from what came with the event.
;; Kernel: bpf_probe_read_*() in kernel/trace/bpf_trace.c, copy_from_kernel_nofault() and copy_from_user_nofault() in
;; mm/maccess.c: a kernel read of what is no kernel address answers -ERANGE, every other fault -EFAULT; either way the
;; destination is zeroed.

;; 1 where `bytes` bytes at the address lie in the arena, behind the null guard.
(func $is_arena (param $address i64) (param $bytes i32) (result i32)
  (local $end i64)
  (if (i64.ne (i64.shr_u (local.get $address) (i64.const 32)) (i64.const {POINTER_TAG})) (then (return (i32.const 0))))
  (if (i32.lt_u (i32.wrap_i64 (local.get $address)) (i32.const {NULL_GUARD_BYTES})) (then (return (i32.const 0))))
  (local.set $end
    (i64.add
      (i64.and (local.get $address) (i64.const 0xffffffff))
      (i64.extend_i32_u (local.get $bytes))))
  (i64.le_u (local.get $end) (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16))))

;; 0 where a read by the kernel (space 0) or by the user (space 1) is allowed at that address, else -errno.
(func $probe_refuse (param $address i64) (param $space i32) (result i32)
  (if (local.get $space)
    (then
      (return
        (select
          (i32.const 0)
          (i32.const {-EFAULT})
          (i64.lt_u (local.get $address) (i64.const {USER_ADDRESS_END}))))))
  (select
    (i32.const {-ERANGE})
    (i32.const 0)
    (i64.lt_u (local.get $address) (i64.const {KERNEL_ADDRESS_START}))))

(func $probe_fault (param $to i32) (param $bytes i32) (param $error i32) (result i32)
  (memory.fill (local.get $to) (i32.const 0) (local.get $bytes))
  (local.get $error))

;; Tells the host, where it wants to know, of a read by the kernel.
(func $watch_read (param $address i64) (param $bytes i32)
  (call $host_watch_read
    (i32.wrap_i64 (local.get $address))
    (i32.wrap_i64 (i64.shr_u (local.get $address) (i64.const 32)))
    (local.get $bytes)))

(func $probe_read (param $to i32) (param $bytes i32) (param $address i64) (param $space i32) (result i32)
  (local $error i32)
  (if (i32.load (i32.const {RUNTIME_STRICT}))
    (then
      (if (i32.eqz (local.get $space)) (then (call $watch_read (local.get $address) (local.get $bytes))))))
  (if (local.tee $error (call $probe_refuse (local.get $address) (local.get $space)))
    (then (return (call $probe_fault (local.get $to) (local.get $bytes) (local.get $error)))))
  (if (i32.eqz (local.get $bytes)) (then (return (i32.const 0))))
  (if (call $is_arena (local.get $address) (local.get $bytes))
    (then
      (call $copy (local.get $to) (i32.wrap_i64 (local.get $address)) (local.get $bytes))
      (return (i32.const 0))))
  (if
    (call $host_read_foreign
      (i32.wrap_i64 (local.get $address))
      (i32.wrap_i64 (i64.shr_u (local.get $address) (i64.const 32)))
      (local.get $to) (local.get $bytes) (local.get $space))
    (then (return (call $probe_fault (local.get $to) (local.get $bytes) (i32.const {-EFAULT})))))
  (i32.const 0))

;; The length of the string with its zero, at most `bytes`; the last byte of the destination is a zero in any case.
(func $probe_string (param $to i32) (param $bytes i32) (param $address i64) (param $space i32) (result i32)
  (local $length i32) (local $error i32)
  (if (i32.le_s (local.get $bytes) (i32.const 0)) (then (return (i32.const 0))))
  (if (i32.load (i32.const {RUNTIME_STRICT}))
    (then
      (if (i32.eqz (local.get $space)) (then (call $watch_read (local.get $address) (i32.const 1))))))
  (if (local.tee $error (call $probe_refuse (local.get $address) (local.get $space)))
    (then (return (call $probe_fault (local.get $to) (local.get $bytes) (local.get $error)))))
  (local.set $length
    (if (result i32) (call $is_arena (local.get $address) (i32.const 1))
      (then (call $arena_string (local.get $to) (local.get $bytes) (i32.wrap_i64 (local.get $address))))
      (else
        (call $host_read_foreign
          (i32.wrap_i64 (local.get $address))
          (i32.wrap_i64 (i64.shr_u (local.get $address) (i64.const 32)))
          (local.get $to) (i32.sub (i32.const 0) (local.get $bytes)) (local.get $space)))))
  (if (i32.le_s (local.get $length) (i32.const 0))
    (then (return (call $probe_fault (local.get $to) (local.get $bytes) (i32.const {-EFAULT})))))
  (if (i32.ge_u (local.get $length) (local.get $bytes))
    (then
      (i32.store8 (i32.sub (i32.add (local.get $to) (local.get $bytes)) (i32.const 1)) (i32.const 0))
      (return (local.get $bytes))))
  (local.get $length))

(func $arena_string (param $to i32) (param $bytes i32) (param $from i32) (result i32)
  (local $length i32) (local $byte i32)
  (loop $next
    (if (i32.eqz (call $is_mapped (i32.add (local.get $from) (local.get $length))))
      (then (return (i32.const {-EFAULT}))))
    (local.set $byte (i32.load8_u (i32.add (local.get $from) (local.get $length))))
    (i32.store8 (i32.add (local.get $to) (local.get $length)) (local.get $byte))
    (local.set $length (i32.add (local.get $length) (i32.const 1)))
    (if (i32.eqz (local.get $byte)) (then (return (local.get $length))))
    (br_if $next (i32.lt_u (local.get $length) (local.get $bytes))))
  (local.get $length))

(func $is_mapped (param $at i32) (result i32)
  (i32.and
    (i32.ge_u (local.get $at) (i32.const {NULL_GUARD_BYTES}))
    (i32.lt_u (i32.shr_u (local.get $at) (i32.const 16)) (memory.size))))

;; strncpy_from_user() works by words from the start of the destination and writes zeros behind the end of the string up
;; to the end of its word, where that word lies in the buffer.
(func $probe_string_user (param $to i32) (param $bytes i32) (param $address i64) (result i32)
  (local $length i32) (local $end i32)
  (local.set $length
    (call $probe_string (local.get $to) (local.get $bytes) (local.get $address) (i32.const 1)))
  (if (i32.gt_s (local.get $length) (i32.const 0))
    (then
      (local.set $end (i32.and (i32.add (local.get $length) (i32.const 7)) (i32.const -8)))
      (if (i32.le_u (local.get $end) (local.get $bytes))
        (then
          (memory.fill
            (i32.add (local.get $to) (local.get $length))
            (i32.const 0)
            (i32.sub (local.get $end) (local.get $length)))))))
  (local.get $length))

(func $is_user (param $address i64) (result i32)
  (i64.lt_u (local.get $address) (i64.const {USER_ADDRESS_END})))

(func (export "bpf_probe_read_kernel") (param $to i32) (param $bytes i32) (param $address i64) (result i32)
  (call $probe_read (local.get $to) (local.get $bytes) (local.get $address) (i32.const 0)))
(func (export "bpf_probe_read_user") (param $to i32) (param $bytes i32) (param $address i64) (result i32)
  (call $probe_read (local.get $to) (local.get $bytes) (local.get $address) (i32.const 1)))
(func (export "bpf_probe_read_kernel_str") (param $to i32) (param $bytes i32) (param $address i64) (result i32)
  (call $probe_string (local.get $to) (local.get $bytes) (local.get $address) (i32.const 0)))
(func (export "bpf_probe_read_user_str") (param $to i32) (param $bytes i32) (param $address i64) (result i32)
  (call $probe_string_user (local.get $to) (local.get $bytes) (local.get $address)))

;; The old helpers choose by the address. Kernel: bpf_probe_read_compat(), bpf_probe_read_compat_str().
(func (export "bpf_probe_read") (param $to i32) (param $bytes i32) (param $address i64) (result i32)
  (call $probe_read (local.get $to) (local.get $bytes) (local.get $address) (call $is_user (local.get $address))))
(func (export "bpf_probe_read_str") (param $to i32) (param $bytes i32) (param $address i64) (result i32)
  (if (result i32) (call $is_user (local.get $address))
    (then (call $probe_string_user (local.get $to) (local.get $bytes) (local.get $address)))
    (else (call $probe_string (local.get $to) (local.get $bytes) (local.get $address) (i32.const 0)))))

;; A load through a pointer to a kernel object: 0 where nothing is mapped.
(func (export "probe_load") (param $address i64) (param $bytes i32) (result i64)
  (local $from i32)
  (local.set $from (i32.wrap_i64 (local.get $address)))
  (if (i32.eqz (call $is_arena (local.get $address) (local.get $bytes)))
    (then
      (if (call $probe_read
            (i32.add (global.get $worker) (i32.const {WORKER.result}))
            (local.get $bytes) (local.get $address) (i32.const 0))
        (then (return (i64.const 0))))
      (local.set $from (i32.add (global.get $worker) (i32.const {WORKER.result}))))
    (else
      (if (i32.load (i32.const {RUNTIME_STRICT})) (then (call $watch_read (local.get $address) (local.get $bytes))))))
  (if (i32.eq (local.get $bytes) (i32.const 8)) (then (return (i64.load (local.get $from)))))
  (if (i32.eq (local.get $bytes) (i32.const 4)) (then (return (i64.load32_u (local.get $from)))))
  (if (i32.eq (local.get $bytes) (i32.const 2)) (then (return (i64.load16_u (local.get $from)))))
  (i64.load8_u (local.get $from)))
