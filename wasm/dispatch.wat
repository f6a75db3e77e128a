;; Any map: operations that go by the storage in the descriptor, for maps that the verifier cannot name and for TypeScript.

;; Kernel: a lookup, an update, a delete that the map type does not have answers -EINVAL to a program.
(func $map_refuse_lookup (export "map_refuse_lookup") (param i32 i32) (result i32)
  (i32.const 0))
(func $map_refuse_update (export "map_refuse_update") (param i32 i32 i32 i64) (result i32)
  (i32.const {-EINVAL}))
(func $map_refuse_delete (export "map_refuse_delete") (param i32 i32) (result i32)
  (i32.const {-EINVAL}))

(func (export "map_lookup") (param $map i32) (param $key i32) (result i32)
  (local $storage i32)
  (local.set $storage (i32.load offset={MAP.storage} (local.get $map)))
  (if (i32.eq (local.get $storage) (i32.const {STORAGE.hash}))
    (then (return (call $hash_lookup (local.get $map) (local.get $key)))))
  (if (i32.eq (local.get $storage) (i32.const {STORAGE.array}))
    (then (return (call $array_lookup (local.get $map) (local.get $key)))))
  (if (i32.eq (local.get $storage) (i32.const {STORAGE.perCpuHash}))
    (then (return (call $percpu_hash_lookup (local.get $map) (local.get $key)))))
  (if (i32.eq (local.get $storage) (i32.const {STORAGE.perCpuArray}))
    (then (return (call $percpu_array_lookup (local.get $map) (local.get $key)))))
  (if (i32.eq (local.get $storage) (i32.const {STORAGE.lruHash}))
    (then (return (call $lru_hash_lookup (local.get $map) (local.get $key)))))
  (if (i32.eq (local.get $storage) (i32.const {STORAGE.lruPerCpuHash}))
    (then (return (call $lru_percpu_hash_lookup (local.get $map) (local.get $key)))))
  (call $map_refuse_lookup (local.get $map) (local.get $key)))

(func (export "map_update") (param $map i32) (param $key i32) (param $value i32) (param $flags i64) (result i32)
  (local $storage i32)
  (local.set $storage (i32.load offset={MAP.storage} (local.get $map)))
  (if (call $is_single_hash (local.get $storage))
    (then (return (call $hash_update (local.get $map) (local.get $key) (local.get $value) (local.get $flags)))))
  (if (i32.eq (local.get $storage) (i32.const {STORAGE.array}))
    (then (return (call $array_update (local.get $map) (local.get $key) (local.get $value) (local.get $flags)))))
  (if (call $is_percpu_hash (local.get $storage))
    (then (return (call $percpu_hash_update (local.get $map) (local.get $key) (local.get $value) (local.get $flags)))))
  (if (i32.eq (local.get $storage) (i32.const {STORAGE.perCpuArray}))
    (then (return (call $percpu_array_update (local.get $map) (local.get $key) (local.get $value) (local.get $flags)))))
  (call $map_refuse_update (local.get $map) (local.get $key) (local.get $value) (local.get $flags)))

(func (export "map_delete") (param $map i32) (param $key i32) (result i32)
  (if (call $is_hash (local.get $map))
    (then (return (call $hash_delete (local.get $map) (local.get $key)))))
  (call $map_refuse_delete (local.get $map) (local.get $key)))

(func $is_hash (param $map i32) (result i32)
  (local $storage i32)
  (local.set $storage (i32.load offset={MAP.storage} (local.get $map)))
  (i32.or (call $is_single_hash (local.get $storage)) (call $is_percpu_hash (local.get $storage))))

(func $is_single_hash (param $storage i32) (result i32)
  (i32.or
    (i32.eq (local.get $storage) (i32.const {STORAGE.hash}))
    (i32.eq (local.get $storage) (i32.const {STORAGE.lruHash}))))

(func $is_percpu_hash (param $storage i32) (result i32)
  (i32.or
    (i32.eq (local.get $storage) (i32.const {STORAGE.perCpuHash}))
    (i32.eq (local.get $storage) (i32.const {STORAGE.lruPerCpuHash}))))
