;; Values of maps, which may hold more than plain bytes: what lies in MAP.fields (locks, timers, kept pointers) is never
;; copied in, since it belongs to the value's place. Kernel: copy_map_value(), copy_map_value_locked(),
;; check_and_init_map_value().

;; Small, so that it is put into its callers: most values are plain bytes.
(func $copy_value (param $map i32) (param $to i32) (param $from i32)
  (local $field i32)
  (if (local.tee $field (i32.load offset={MAP.fields} (local.get $map)))
    (then (call $copy_around (local.get $field) (local.get $to) (local.get $from)))
    (else (call $copy (local.get $to) (local.get $from) (i32.load offset={MAP.valueSize} (local.get $map))))))

;; MAP.fields lists offset and length of each, ascending; the last is the value's end, without length.
(func $copy_around (param $field i32) (param $to i32) (param $from i32)
  (local $at i32) (local $start i32) (local $bytes i32)
  (loop $next
    (local.set $start (i32.load (local.get $field)))
    (local.set $bytes (i32.load offset=4 (local.get $field)))
    (call $copy
      (i32.add (local.get $to) (local.get $at))
      (i32.add (local.get $from) (local.get $at))
      (i32.sub (local.get $start) (local.get $at)))
    (local.set $at (i32.add (local.get $start) (local.get $bytes)))
    (local.set $field (i32.add (local.get $field) (i32.const 8)))
    (br_if $next (local.get $bytes))))

;; A value's fields as they are at first: zeros.
(func $clear_fields (param $map i32) (param $value i32)
  (local $field i32)
  (if (local.tee $field (i32.load offset={MAP.fields} (local.get $map)))
    (then (call $clear_listed (local.get $field) (local.get $value)))))

(func $clear_listed (param $field i32) (param $value i32)
  (local $bytes i32)
  (loop $next
    (memory.fill
      (i32.add (local.get $value) (i32.load (local.get $field)))
      (i32.const 0)
      (local.tee $bytes (i32.load offset=4 (local.get $field))))
    (local.set $field (i32.add (local.get $field) (i32.const 8)))
    (br_if $next (local.get $bytes))))

;; The same copy under the value's own lock; MAP.spinLock is not 0. BPF_F_LOCK.
(func $copy_value_locked (param $map i32) (param $to i32) (param $from i32)
  (local $lock i32)
  (local.set $lock
    (i32.sub
      (i32.add (local.get $to) (i32.load offset={MAP.spinLock} (local.get $map)))
      (i32.const 1)))
  (call $lock (local.get $lock))
  (call $copy_value (local.get $map) (local.get $to) (local.get $from))
  (call $unlock (local.get $lock)))

;; 1 where flags ask for the value's lock and it has none.
(func $lacks_lock (param $map i32) (param $flags i64) (result i32)
  (i32.and
    (i64.ne (i64.and (local.get $flags) (i64.const {UPDATE_FLAG.LOCK})) (i64.const 0))
    (i32.eqz (i32.load offset={MAP.spinLock} (local.get $map)))))

;; The verifier sees to it that a program gives back what it takes, and calls next to nothing meanwhile.
(func (export "bpf_spin_lock") (param $at i32)
  (call $lock (local.get $at)))
(func (export "bpf_spin_unlock") (param $at i32)
  (call $unlock (local.get $at)))
