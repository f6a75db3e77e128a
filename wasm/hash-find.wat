;; Hash maps, part one: hashing and finding. Chained; code for keys of 4, 8 and 16 bytes and one for all others.
;;
;;   buckets: u32 heads, 0 ends a chain
;;   element: next u32 | hash u32 | freeNext u32 | values u32 (per CPU) | key, padded to 8 | value (not per CPU)
;;
;; `next` keeps its word when the element is deleted, so that an iteration that stands on it goes on (as in the kernel).

(func $hash_4 (param $map i32) (param $key i32) (result i32)
  (local $h i32)
  (local.set $h
    (i32.mul (i32.xor (local.get $key) (i32.load offset={HASH.seed} (local.get $map))) (i32.const 0x9e3779b1)))
  (i32.xor (local.get $h) (i32.shr_u (local.get $h) (i32.const 16))))

(func $hash_finish (param $h i64) (result i32)
  (i32.wrap_i64
    (i64.shr_u
      (i64.mul
        (i64.xor (local.get $h) (i64.shr_u (local.get $h) (i64.const 32)))
        (i64.const 0x9e3779b97f4a7c15))
      (i64.const 32))))

(func $hash_8 (param $map i32) (param $key i64) (result i32)
  (call $hash_finish (i64.xor (local.get $key) (i64.load32_u offset={HASH.seed} (local.get $map)))))

(func $hash_16 (param $map i32) (param $low i64) (param $high i64) (result i32)
  (call $hash_finish
    (i64.xor
      (i64.mul
        (i64.xor (local.get $low) (i64.load32_u offset={HASH.seed} (local.get $map)))
        (i64.const 0xc2b2ae3d27d4eb4f))
      (i64.rotl (i64.mul (local.get $high) (i64.const 0x165667b19e3779f9)) (i64.const 31)))))

(func $hash_any (param $map i32) (param $key i32) (result i32)
  (local $h i64) (local $end i32) (local $bytes i32)
  (local.set $bytes (i32.load offset={MAP.keySize} (local.get $map)))
  (local.set $h (i64.load32_u offset={HASH.seed} (local.get $map)))
  (local.set $end (i32.add (local.get $key) (i32.and (local.get $bytes) (i32.const -4))))
  (block $words
    (loop $next
      (br_if $words (i32.ge_u (local.get $key) (local.get $end)))
      (local.set $h
        (i64.mul
          (i64.xor (i64.rotl (local.get $h) (i64.const 27)) (i64.load32_u (local.get $key)))
          (i64.const 0x9e3779b97f4a7c15)))
      (local.set $key (i32.add (local.get $key) (i32.const 4)))
      (br $next)))
  (local.set $end (i32.add (local.get $key) (i32.and (local.get $bytes) (i32.const 3))))
  (block $tail
    (loop $next
      (br_if $tail (i32.ge_u (local.get $key) (local.get $end)))
      (local.set $h
        (i64.mul
          (i64.xor (i64.rotl (local.get $h) (i64.const 27)) (i64.load8_u (local.get $key)))
          (i64.const 0x9e3779b97f4a7c15)))
      (local.set $key (i32.add (local.get $key) (i32.const 1)))
      (br $next)))
  (call $hash_finish (local.get $h)))

;; The hash of the key in memory, whatever its size.
(func $hash_key (param $map i32) (param $key i32) (result i32)
  (local $bytes i32)
  (local.set $bytes (i32.load offset={MAP.keySize} (local.get $map)))
  (if (i32.eq (local.get $bytes) (i32.const 4))
    (then (return (call $hash_4 (local.get $map) (i32.load (local.get $key))))))
  (if (i32.eq (local.get $bytes) (i32.const 8))
    (then (return (call $hash_8 (local.get $map) (i64.load (local.get $key))))))
  (if (i32.eq (local.get $bytes) (i32.const 16))
    (then
      (return (call $hash_16 (local.get $map) (i64.load (local.get $key)) (i64.load offset=8 (local.get $key))))))
  (call $hash_any (local.get $map) (local.get $key)))

;; Address of the head of the chain of a hash.
(func $hash_bucket (param $map i32) (param $hash i32) (result i32)
  (i32.add
    (i32.load offset={HASH.buckets} (local.get $map))
    (i32.shl
      (i32.and (local.get $hash) (i32.load offset={HASH.bucketMask} (local.get $map)))
      (i32.const 2))))

;; Each of these: the element with this key, or 0.
(func $hash_find_4 (param $map i32) (param $key i32) (result i32)
  (local $element i32)
  (local.set $element (i32.load (call $hash_bucket (local.get $map) (call $hash_4 (local.get $map) (local.get $key)))))
  (block $end
    (loop $next
      (br_if $end (i32.eqz (local.get $element)))
      (br_if $end (i32.eq (i32.load offset={ELEMENT.key} (local.get $element)) (local.get $key)))
      (local.set $element (i32.load offset={ELEMENT.next} (local.get $element)))
      (br $next)))
  (local.get $element))

(func $hash_find_8 (param $map i32) (param $key i64) (result i32)
  (local $element i32)
  (local.set $element (i32.load (call $hash_bucket (local.get $map) (call $hash_8 (local.get $map) (local.get $key)))))
  (block $end
    (loop $next
      (br_if $end (i32.eqz (local.get $element)))
      (br_if $end (i64.eq (i64.load offset={ELEMENT.key} (local.get $element)) (local.get $key)))
      (local.set $element (i32.load offset={ELEMENT.next} (local.get $element)))
      (br $next)))
  (local.get $element))

(func $hash_find_16 (param $map i32) (param $low i64) (param $high i64) (result i32)
  (local $element i32)
  (local.set $element
    (i32.load
      (call $hash_bucket (local.get $map) (call $hash_16 (local.get $map) (local.get $low) (local.get $high)))))
  (block $end
    (loop $next
      (br_if $end (i32.eqz (local.get $element)))
      (br_if $end
        (i64.eqz
          (i64.or
            (i64.xor (i64.load offset={ELEMENT.key} (local.get $element)) (local.get $low))
            (i64.xor (i64.load offset={ELEMENT.key+8} (local.get $element)) (local.get $high)))))
      (local.set $element (i32.load offset={ELEMENT.next} (local.get $element)))
      (br $next)))
  (local.get $element))

(func $hash_find_any (param $map i32) (param $key i32) (result i32)
  (local $element i32) (local $hash i32)
  (local.set $hash (call $hash_any (local.get $map) (local.get $key)))
  (local.set $element (i32.load (call $hash_bucket (local.get $map) (local.get $hash))))
  (block $end
    (loop $next
      (br_if $end (i32.eqz (local.get $element)))
      (if (i32.eq (i32.load offset={ELEMENT.hash} (local.get $element)) (local.get $hash))
        (then
          (br_if $end
            (call $same
              (i32.add (local.get $element) (i32.const {ELEMENT.key}))
              (local.get $key)
              (i32.load offset={MAP.keySize} (local.get $map))))))
      (local.set $element (i32.load offset={ELEMENT.next} (local.get $element)))
      (br $next)))
  (local.get $element))

;; The element with the key in memory, or 0.
(func $hash_find (export "hash_find") (param $map i32) (param $key i32) (result i32)
  (local $element i32)
  (if (local.tee $element (call $hash_search (local.get $map) (local.get $key))) (then (return (local.get $element))))
  (if (i32.load (i32.const {RUNTIME_THREADS})) (then (return (call $hash_find_again (local.get $map) (local.get $key)))))
  (i32.const 0))

;; An element on the way may have been used again meanwhile and have led into another chain: not found counts only where
;; nothing changed. Kernel: lookup_nulls_elem_raw().
(func $hash_find_again (param $map i32) (param $key i32) (result i32)
  (local $element i32) (local $links i32) (local $tries i32)
  (loop $again
    (local.set $links (i32.atomic.load offset={HASH.links} (local.get $map)))
    (if (i32.eqz (i32.and (local.get $links) (i32.const 1)))
      (then
        (if (local.tee $element (call $hash_search (local.get $map) (local.get $key)))
          (then (return (local.get $element))))
        (if (i32.eq (local.get $links) (i32.atomic.load offset={HASH.links} (local.get $map)))
          (then (return (i32.const 0))))))
    (br_if $again
      (i32.lt_u (local.tee $tries (i32.add (local.get $tries) (i32.const 1))) (i32.const 64))))
  (call $lock (i32.add (local.get $map) (i32.const {MAP.lock})))
  (local.set $element (call $hash_search (local.get $map) (local.get $key)))
  (call $unlock (i32.add (local.get $map) (i32.const {MAP.lock})))
  (local.get $element))

;; The same in one walk: for who has the map's lock, or the map for himself.
(func $hash_search (param $map i32) (param $key i32) (result i32)
  (local $bytes i32)
  (local.set $bytes (i32.load offset={MAP.keySize} (local.get $map)))
  (if (i32.eq (local.get $bytes) (i32.const 4))
    (then (return (call $hash_find_4 (local.get $map) (i32.load (local.get $key))))))
  (if (i32.eq (local.get $bytes) (i32.const 8))
    (then (return (call $hash_find_8 (local.get $map) (call $load_pair (local.get $key))))))
  (if (i32.eq (local.get $bytes) (i32.const 16))
    (then
      (return
        (call $hash_find_16
          (local.get $map)
          (call $load_pair (local.get $key))
          (call $load_pair (i32.add (local.get $key) (i32.const 8)))))))
  (call $hash_find_any (local.get $map) (local.get $key)))

;; Kernel: htab_map_lookup_elem().
(func $hash_lookup (export "hash_lookup") (param $map i32) (param $key i32) (result i32)
  (local $element i32)
  (if (i32.eqz (local.tee $element (call $hash_find (local.get $map) (local.get $key))))
    (then (return (i32.const 0))))
  (i32.add (local.get $element) (i32.load offset={HASH.valueOffset} (local.get $map))))

;; Kernel: htab_percpu_map_lookup_elem(): the value of the current CPU.
(func $percpu_hash_lookup (export "percpu_hash_lookup") (param $map i32) (param $key i32) (result i32)
  (call $percpu_value_or_null (local.get $map) (call $hash_find (local.get $map) (local.get $key))))

(func $percpu_value_or_null (param $map i32) (param $element i32) (result i32)
  (if (i32.eqz (local.get $element)) (then (return (i32.const 0))))
  (call $element_percpu_value (local.get $map) (local.get $element)))

(func $element_percpu_value (param $map i32) (param $element i32) (result i32)
  (i32.add
    (i32.and (i32.load offset={ELEMENT.values} (local.get $element)) (i32.const {~ELEMENT_LATELY}))
    (i32.mul (call $cpu_id) (i32.load offset={HASH.cpuStride} (local.get $map)))))
