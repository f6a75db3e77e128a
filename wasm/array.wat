;; Arrays: value i at values + i * stride. Per-CPU arrays: one such area a CPU, cpuStride apart, so that no two CPUs
;; share a cache line.
;; Kernel: array_map_lookup_elem(), array_map_update_elem(), percpu_array_map_lookup_elem(), bpf_percpu_array_update().

(func $array_lookup (export "array_lookup") (param $map i32) (param $key i32) (result i32)
  (local $index i32)
  (local.set $index (i32.load (local.get $key)))
  (if (result i32) (i32.ge_u (local.get $index) (i32.load offset={MAP.maxEntries} (local.get $map)))
    (then (i32.const 0))
    (else
      (i32.add
        (i32.load offset={MAP.values} (local.get $map))
        (i32.mul (local.get $index) (i32.load offset={MAP.stride} (local.get $map)))))))

(func $array_update (export "array_update")
  (param $map i32) (param $key i32) (param $value i32) (param $flags i64) (result i32)
  (local $to i32)
  (if (i64.gt_u (i64.and (local.get $flags) (i64.const {~UPDATE_FLAG.LOCK})) (i64.const {UPDATE_FLAG.EXIST}))
    (then (return (i32.const {-EINVAL}))))
  (if (i32.eqz (local.tee $to (call $array_lookup (local.get $map) (local.get $key))))
    (then (return (i32.const {-E2BIG}))))
  (if (i32.wrap_i64 (i64.and (local.get $flags) (i64.const {UPDATE_FLAG.NOEXIST})))
    (then (return (i32.const {-EEXIST}))))
  (if (call $lacks_lock (local.get $map) (local.get $flags)) (then (return (i32.const {-EINVAL}))))
  (if (i64.ge_u (local.get $flags) (i64.const {UPDATE_FLAG.LOCK}))
    (then (call $copy_value_locked (local.get $map) (local.get $to) (local.get $value)))
    (else (call $copy_value (local.get $map) (local.get $to) (local.get $value))))
  (i32.const 0))

(func $percpu_array_lookup (export "percpu_array_lookup") (param $map i32) (param $key i32) (result i32)
  (local $at i32)
  (if (result i32) (local.tee $at (call $array_lookup (local.get $map) (local.get $key)))
    (then
      (i32.add
        (local.get $at)
        (i32.mul (call $cpu_id) (i32.load offset={ARRAY.cpuStride} (local.get $map)))))
    (else (i32.const 0))))

(func $percpu_array_update (export "percpu_array_update")
  (param $map i32) (param $key i32) (param $value i32) (param $flags i64) (result i32)
  (local $to i32)
  (if (i64.gt_u (local.get $flags) (i64.const {UPDATE_FLAG.EXIST})) (then (return (i32.const {-EINVAL}))))
  (if (i32.eqz (local.tee $to (call $percpu_array_lookup (local.get $map) (local.get $key))))
    (then (return (i32.const {-E2BIG}))))
  (if (i64.eq (local.get $flags) (i64.const {UPDATE_FLAG.NOEXIST})) (then (return (i32.const {-EEXIST}))))
  (call $copy_value (local.get $map) (local.get $to) (local.get $value))
  (i32.const 0))

;; Table index + 1 of the program in a slot, 0: empty or out of range.
(func (export "prog_array_target") (param $map i32) (param $index i32) (result i32)
  (if (result i32) (i32.ge_u (local.get $index) (i32.load offset={MAP.maxEntries} (local.get $map)))
    (then (i32.const 0))
    (else
      (i32.load
        (i32.add
          (i32.load offset={PROG_ARRAY.slots} (local.get $map))
          (i32.shl (local.get $index) (i32.const 2)))))))
