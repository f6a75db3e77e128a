;; Iteration over maps that have elements. Kernel: bpf_for_each_array_elem(), bpf_for_each_hash_elem().
;;
;; A position is an element's address (hash) or the index + 1 (array); 0 is the end. Around a callback that may change the
;; map: `after = map_after(map, position)` before it, `position = map_resume(map, after)` behind it. As in the kernel the
;; next element of the same chain is chosen before the callback runs, the head of a later chain when it is reached.
;; An `after` is a position, or an odd number that names the bucket to go on with.

;; First position from bucket number `index` on.
(func $hash_from_bucket (param $map i32) (param $index i32) (result i32)
  (local $element i32)
  (loop $next
    (if (i32.gt_u (local.get $index) (i32.load offset={HASH.bucketMask} (local.get $map)))
      (then (return (i32.const 0))))
    (if (local.tee $element
          (i32.load (i32.add (i32.load offset={HASH.buckets} (local.get $map)) (i32.shl (local.get $index) (i32.const 2)))))
      (then (return (local.get $element))))
    (local.set $index (i32.add (local.get $index) (i32.const 1)))
    (br $next))
  (unreachable))

(func $map_after (export "map_after") (param $map i32) (param $position i32) (result i32)
  (local $next i32)
  (if (i32.eqz (call $is_hash (local.get $map)))
    (then
      (return
        (select
          (i32.add (local.get $position) (i32.const 1))
          (i32.const 0)
          (i32.lt_u (local.get $position) (i32.load offset={MAP.maxEntries} (local.get $map)))))))
  (if (i32.eqz (local.get $position)) (then (return (i32.const 1))))
  (if (local.tee $next (i32.load offset={ELEMENT.next} (local.get $position)))
    (then (return (local.get $next))))
  (i32.or
    (i32.shl
      (i32.add
        (i32.and
          (i32.load offset={ELEMENT.hash} (local.get $position))
          (i32.load offset={HASH.bucketMask} (local.get $map)))
        (i32.const 1))
      (i32.const 1))
    (i32.const 1)))

(func $map_resume (export "map_resume") (param $map i32) (param $after i32) (result i32)
  (if (i32.eqz (call $is_hash (local.get $map))) (then (return (local.get $after))))
  (if (i32.eqz (i32.and (local.get $after) (i32.const 1))) (then (return (local.get $after))))
  (call $hash_from_bucket (local.get $map) (i32.shr_u (local.get $after) (i32.const 1))))

(func (export "map_next") (param $map i32) (param $position i32) (result i32)
  (call $map_resume (local.get $map) (call $map_after (local.get $map) (local.get $position))))

;; Address of the key. An array's keys are written when they are first asked for, always the same number to the same
;; place, so that iterations may nest.
(func (export "map_position_key") (param $map i32) (param $position i32) (result i32)
  (local $index i32) (local $at i32)
  (if (call $is_hash (local.get $map))
    (then (return (i32.add (local.get $position) (i32.const {ELEMENT.key})))))
  (local.set $index (i32.sub (local.get $position) (i32.const 1)))
  (local.set $at
    (i32.add (i32.load offset={ARRAY.keys} (local.get $map)) (i32.shl (local.get $index) (i32.const 2))))
  (i32.store (local.get $at) (local.get $index))
  (local.get $at))

;; Address of the value; of a per-CPU map, the current CPU's.
(func (export "map_position_value") (param $map i32) (param $position i32) (result i32)
  (local $storage i32) (local $at i32)
  (local.set $storage (i32.load offset={MAP.storage} (local.get $map)))
  (if (call $is_single_hash (local.get $storage))
    (then (return (i32.add (local.get $position) (i32.load offset={HASH.valueOffset} (local.get $map))))))
  (if (call $is_percpu_hash (local.get $storage))
    (then (return (call $element_percpu_value (local.get $map) (local.get $position)))))
  (local.set $at
    (i32.add
      (i32.load offset={MAP.values} (local.get $map))
      (i32.mul
        (i32.sub (local.get $position) (i32.const 1))
        (i32.load offset={MAP.stride} (local.get $map)))))
  (if (result i32) (i32.eq (local.get $storage) (i32.const {STORAGE.perCpuArray}))
    (then
      (i32.add (local.get $at) (i32.mul (call $cpu_id) (i32.load offset={ARRAY.cpuStride} (local.get $map)))))
    (else (local.get $at))))
