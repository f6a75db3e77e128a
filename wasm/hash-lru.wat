;; LRU hashes: a hash that is full gives up an element that nobody has looked at for long, instead of -E2BIG. A hand goes round
;; over the elements; one that was used since it came by last is spared once (second chance). A lookup by a program, or an
;; update, marks an element as used lately, in ELEMENT.values; a new element is not marked, as in the kernel.
;; Kernel: bpf_lru_list.c, which keeps lists a CPU and gives up up to 128 elements at a time; htab_lru_map_lookup_elem().
;;
;; The mark is set without the map's lock: the word is otherwise constant as long as the element is in use, and a mark
;; that is lost costs one element its second chance.

(func $is_lru (param $map i32) (result i32)
  (local $storage i32)
  (local.set $storage (i32.load offset={MAP.storage} (local.get $map)))
  (i32.or
    (i32.eq (local.get $storage) (i32.const {STORAGE.lruHash}))
    (i32.eq (local.get $storage) (i32.const {STORAGE.lruPerCpuHash}))))

;; Marks the element, which may be 0, and returns it.
(func $lru_touch (param $element i32) (result i32)
  (if (local.get $element)
    (then
      (if (i32.eqz (i32.and (i32.load offset={ELEMENT.values} (local.get $element)) (i32.const {ELEMENT_LATELY})))
        (then (call $lru_mark (local.get $element) (i32.const {ELEMENT_LATELY}))))))
  (local.get $element))

(func $lru_mark (param $element i32) (param $lately i32)
  (i32.store offset={ELEMENT.values} (local.get $element)
    (i32.or
      (i32.and (i32.load offset={ELEMENT.values} (local.get $element)) (i32.const {~ELEMENT_LATELY}))
      (local.get $lately))))

;; Takes an element out of a map that is full. Once round, and whoever is next goes: other workers may mark faster.
(func $lru_evict (param $map i32)
  (local $hand i32) (local $used i32) (local $element i32) (local $steps i32)
  (local.set $used (i32.load offset={HASH.used} (local.get $map)))
  (loop $next
    (local.set $hand (i32.load offset={HASH.hand} (local.get $map)))
    (if (i32.ge_u (local.get $hand) (local.get $used)) (then (local.set $hand (i32.const 0))))
    (i32.store offset={HASH.hand} (local.get $map) (i32.add (local.get $hand) (i32.const 1)))
    (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
    (local.set $element
      (i32.add
        (i32.load offset={HASH.elements} (local.get $map))
        (i32.mul (local.get $hand) (i32.load offset={HASH.elementBytes} (local.get $map)))))
    (br_if $next
      (i32.ne (i32.load offset={ELEMENT.freeNext} (local.get $element)) (i32.const {ELEMENT_IN_CHAIN})))
    (if
      (i32.and
        (i32.and (i32.load offset={ELEMENT.values} (local.get $element)) (i32.const {ELEMENT_LATELY}))
        (i32.le_u (local.get $steps) (local.get $used)))
      (then
        (call $lru_mark (local.get $element) (i32.const 0))
        (br $next))))
  (call $hash_drop (local.get $map) (local.get $element)))

(func $lru_hash_lookup (export "lru_hash_lookup") (param $map i32) (param $key i32) (result i32)
  (local $element i32)
  (if (i32.eqz (local.tee $element (call $lru_touch (call $hash_find (local.get $map) (local.get $key)))))
    (then (return (i32.const 0))))
  (i32.add (local.get $element) (i32.load offset={HASH.valueOffset} (local.get $map))))

(func $lru_percpu_hash_lookup (export "lru_percpu_hash_lookup") (param $map i32) (param $key i32) (result i32)
  (call $percpu_value_or_null
    (local.get $map)
    (call $lru_touch (call $hash_find (local.get $map) (local.get $key)))))
