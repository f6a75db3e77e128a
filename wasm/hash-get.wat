;; Hash maps: lookups by key size, key by value: what a compiled program calls where it knows the map. $hash_at_N: the element
;; with the key, or 0, as $hash_find finds it.

;; $hash_find_again for a key of up to 16 bytes in registers.
(func $hash_get_again (param $map i32) (param $low i64) (param $high i64) (result i32)
  (local $key i32)
  (local.set $key (i32.load offset={WORKER.scratchKey} (global.get $worker)))
  (i64.store (local.get $key) (local.get $low))
  (i64.store offset=8 (local.get $key) (local.get $high))
  (call $hash_find_again (local.get $map) (local.get $key)))

(func $value_at_8 (param $element i32) (result i32)
  (select (i32.add (local.get $element) (i32.const {ELEMENT.key+8})) (i32.const 0) (local.get $element)))

(func $value_at_16 (param $element i32) (result i32)
  (select (i32.add (local.get $element) (i32.const {ELEMENT.key+16})) (i32.const 0) (local.get $element)))

(func $hash_at_4 (param $map i32) (param $key i32) (result i32)
  (local $element i32)
  (if (local.tee $element (call $hash_find_4 (local.get $map) (local.get $key))) (then (return (local.get $element))))
  (if (i32.load (i32.const {RUNTIME_THREADS})) (then (return (call $hash_get_again (local.get $map) (i64.extend_i32_u (local.get $key)) (i64.const 0)))))
  (i32.const 0))

(func (export "hash_get_4") (param $map i32) (param $key i32) (result i32)
  (call $value_at_8 (call $hash_at_4 (local.get $map) (local.get $key))))

(func (export "percpu_hash_get_4") (param $map i32) (param $key i32) (result i32)
  (call $percpu_value_or_null (local.get $map) (call $hash_at_4 (local.get $map) (local.get $key))))

(func (export "lru_hash_get_4") (param $map i32) (param $key i32) (result i32)
  (call $value_at_8 (call $lru_touch (call $hash_at_4 (local.get $map) (local.get $key)))))

(func (export "lru_percpu_hash_get_4") (param $map i32) (param $key i32) (result i32)
  (call $percpu_value_or_null
    (local.get $map)
    (call $lru_touch (call $hash_at_4 (local.get $map) (local.get $key)))))

(func $hash_at_8 (param $map i32) (param $key i64) (result i32)
  (local $element i32)
  (if (local.tee $element (call $hash_find_8 (local.get $map) (local.get $key))) (then (return (local.get $element))))
  (if (i32.load (i32.const {RUNTIME_THREADS})) (then (return (call $hash_get_again (local.get $map) (local.get $key) (i64.const 0)))))
  (i32.const 0))

(func (export "hash_get_8") (param $map i32) (param $key i64) (result i32)
  (call $value_at_8 (call $hash_at_8 (local.get $map) (local.get $key))))

(func (export "percpu_hash_get_8") (param $map i32) (param $key i64) (result i32)
  (call $percpu_value_or_null (local.get $map) (call $hash_at_8 (local.get $map) (local.get $key))))

(func (export "lru_hash_get_8") (param $map i32) (param $key i64) (result i32)
  (call $value_at_8 (call $lru_touch (call $hash_at_8 (local.get $map) (local.get $key)))))

(func (export "lru_percpu_hash_get_8") (param $map i32) (param $key i64) (result i32)
  (call $percpu_value_or_null
    (local.get $map)
    (call $lru_touch (call $hash_at_8 (local.get $map) (local.get $key)))))

(func $hash_at_16 (param $map i32) (param $low i64) (param $high i64) (result i32)
  (local $element i32)
  (if (local.tee $element (call $hash_find_16 (local.get $map) (local.get $low) (local.get $high))) (then (return (local.get $element))))
  (if (i32.load (i32.const {RUNTIME_THREADS})) (then (return (call $hash_get_again (local.get $map) (local.get $low) (local.get $high)))))
  (i32.const 0))

(func (export "hash_get_16") (param $map i32) (param $low i64) (param $high i64) (result i32)
  (call $value_at_16 (call $hash_at_16 (local.get $map) (local.get $low) (local.get $high))))

(func (export "percpu_hash_get_16") (param $map i32) (param $low i64) (param $high i64) (result i32)
  (call $percpu_value_or_null (local.get $map) (call $hash_at_16 (local.get $map) (local.get $low) (local.get $high))))

(func (export "lru_hash_get_16") (param $map i32) (param $low i64) (param $high i64) (result i32)
  (call $value_at_16 (call $lru_touch (call $hash_at_16 (local.get $map) (local.get $low) (local.get $high)))))

(func (export "lru_percpu_hash_get_16") (param $map i32) (param $low i64) (param $high i64) (result i32)
  (call $percpu_value_or_null
    (local.get $map)
    (call $lru_touch (call $hash_at_16 (local.get $map) (local.get $low) (local.get $high)))))
