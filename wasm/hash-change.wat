;; Hash maps, part two: update and delete.
;; Kernel: htab_map_update_elem(), __htab_percpu_map_update_elem(), htab_map_delete_elem(), alloc_htab_elem().
;;
;; Elements come from a pool of max_entries (and, not per CPU, one more a CPU), untouched until first used. What a program
;; can see of their reuse is the kernel's: a deleted element is the next one taken; an update of a key that exists takes
;; another element, so a value pointer from before still shows the old value until that element is used again: with
;; preallocation by the CPU's next update of an existing key (its spare element), without by whatever is allocated next.
;;
;; Workers change a map one at a time (MAP.lock) while others look things up. A chain changes by one store at a time, so it
;; is whole for them, and for who repairs what a worker left that died (runtime/workers/repair.ts): an element that is in no
;; chain is free, whatever the other words say.

;; HASH.links is odd meanwhile.
(func $hash_begin (param $map i32)
  (if (i32.load (i32.const {RUNTIME_THREADS}))
    (then
      (call $lock (i32.add (local.get $map) (i32.const {MAP.lock})))
      (drop (i32.atomic.rmw.add offset={HASH.links} (local.get $map) (i32.const 1))))))

(func $hash_end (param $map i32)
  (if (i32.load (i32.const {RUNTIME_THREADS}))
    (then
      (drop (i32.atomic.rmw.add offset={HASH.links} (local.get $map) (i32.const 1)))
      (call $unlock (i32.add (local.get $map) (i32.const {MAP.lock}))))))

;; A free element; there is one, since `count` is below max_entries or a spare is left.
(func $hash_take (param $map i32) (result i32)
  (local $element i32) (local $used i32)
  (if (local.tee $element (i32.load offset={HASH.free} (local.get $map)))
    (then
      (i32.store offset={HASH.free} (local.get $map) (i32.load offset={ELEMENT.freeNext} (local.get $element)))
      (return (local.get $element))))
  (local.set $used (i32.load offset={HASH.used} (local.get $map)))
  (i32.store offset={HASH.used} (local.get $map) (i32.add (local.get $used) (i32.const 1)))
  (local.set $element
    (i32.add
      (i32.load offset={HASH.elements} (local.get $map))
      (i32.mul (local.get $used) (i32.load offset={HASH.elementBytes} (local.get $map)))))
  (i32.store offset={ELEMENT.values} (local.get $element)
    (i32.add
      (i32.load offset={MAP.values} (local.get $map))
      (i32.mul (local.get $used) (i32.load offset={MAP.stride} (local.get $map)))))
  (local.get $element))

(func $hash_give_back (param $map i32) (param $element i32)
  (i32.store offset={ELEMENT.freeNext} (local.get $element) (i32.load offset={HASH.free} (local.get $map)))
  (i32.store offset={HASH.free} (local.get $map) (local.get $element)))

;; The key is written before the value: either may lie in the element itself (a pointer from before it was deleted), and
;; the kernel copies in this order.
(func $hash_set_key (param $map i32) (param $element i32) (param $key i32)
  (call $copy
    (i32.add (local.get $element) (i32.const {ELEMENT.key}))
    (local.get $key)
    (i32.load offset={MAP.keySize} (local.get $map))))

;; Puts the element first in the chain of `hash`.
(func $hash_link (param $map i32) (param $element i32) (param $hash i32)
  (local $bucket i32)
  (i32.store offset={ELEMENT.hash} (local.get $element) (local.get $hash))
  (local.set $bucket (call $hash_bucket (local.get $map) (local.get $hash)))
  (i32.store offset={ELEMENT.next} (local.get $element) (i32.load (local.get $bucket)))
  (i32.store offset={ELEMENT.freeNext} (local.get $element) (i32.const {ELEMENT_IN_CHAIN}))
  (i32.store (local.get $bucket) (local.get $element)))

;; Takes the element out of its chain. `next` is the first word of an element, so a link is an address like a bucket's.
(func $hash_unlink (param $map i32) (param $element i32)
  (local $link i32) (local $at i32)
  (local.set $link (call $hash_bucket (local.get $map) (i32.load offset={ELEMENT.hash} (local.get $element))))
  (loop $next
    (if (i32.ne (local.tee $at (i32.load (local.get $link))) (local.get $element))
      (then
        (local.set $link (local.get $at))
        (br $next))))
  (i32.store (local.get $link) (i32.load offset={ELEMENT.next} (local.get $element)))
  (i32.store offset={ELEMENT.freeNext} (local.get $element) (i32.const 0)))

(func $hash_grow_count (param $map i32) (param $by i32)
  (i32.store offset={MAP.count} (local.get $map)
    (i32.add (i32.load offset={MAP.count} (local.get $map)) (local.get $by))))

;; Makes room for a key that is not there: -ENOENT or -E2BIG where it cannot be added, else 0.
(func $hash_make_room (param $map i32) (param $flags i64) (result i32)
  (if (i64.eq (local.get $flags) (i64.const {UPDATE_FLAG.EXIST})) (then (return (i32.const {-ENOENT}))))
  (if
    (i32.lt_u
      (i32.load offset={MAP.count} (local.get $map))
      (i32.load offset={MAP.maxEntries} (local.get $map)))
    (then (return (i32.const 0))))
  (if (i32.eqz (call $is_lru (local.get $map))) (then (return (i32.const {-E2BIG}))))
  (call $lru_evict (local.get $map))
  (i32.const 0))

;; The element that replaces `old`.
(func $hash_take_spare (param $map i32) (param $old i32) (result i32)
  (local $slot i32) (local $element i32)
  (local.set $slot
    (i32.add
      (i32.load offset={HASH.spares} (local.get $map))
      (i32.shl (call $cpu_id) (i32.const 2))))
  (local.set $element (i32.load (local.get $slot)))
  (i32.store (local.get $slot) (local.get $old))
  (if (result i32) (local.get $element)
    (then (local.get $element))
    (else (call $hash_take_fresh (local.get $map)))))

;; An element that was never used: the free list belongs to inserts.
(func $hash_take_fresh (param $map i32) (result i32)
  (local $free i32) (local $element i32)
  (local.set $free (i32.load offset={HASH.free} (local.get $map)))
  (i32.store offset={HASH.free} (local.get $map) (i32.const 0))
  (local.set $element (call $hash_take (local.get $map)))
  (i32.store offset={HASH.free} (local.get $map) (local.get $free))
  (local.get $element))

(func $hash_update (export "hash_update")
  (param $map i32) (param $key i32) (param $value i32) (param $flags i64) (result i32)
  (local $result i32)
  (call $hash_begin (local.get $map))
  (local.set $result (call $hash_put (local.get $map) (local.get $key) (local.get $value) (local.get $flags)))
  (call $hash_end (local.get $map))
  (local.get $result))

(func $hash_put
  (param $map i32) (param $key i32) (param $value i32) (param $flags i64) (result i32)
  (local $old i32) (local $element i32) (local $hash i32) (local $error i32) (local $spared i32)
  (local $how i64) (local $to i32)
  (local.set $how (i64.and (local.get $flags) (i64.const {~UPDATE_FLAG.LOCK})))
  (if (i64.gt_u (local.get $how) (i64.const {UPDATE_FLAG.EXIST})) (then (return (i32.const {-EINVAL}))))
  (if (call $lacks_lock (local.get $map) (local.get $flags)) (then (return (i32.const {-EINVAL}))))
  (if (local.tee $old (call $hash_search (local.get $map) (local.get $key)))
    (then
      (if (i64.eq (local.get $how) (i64.const {UPDATE_FLAG.NOEXIST})) (then (return (i32.const {-EEXIST}))))
      ;; under its lock a value is changed where it is
      (if (i64.ne (local.get $how) (local.get $flags))
        (then
          (call $copy_value_locked
            (local.get $map)
            (i32.add (local.get $old) (i32.load offset={HASH.valueOffset} (local.get $map)))
            (local.get $value))
          (return (i32.const 0))))
      (local.set $hash (i32.load offset={ELEMENT.hash} (local.get $old)))
      (local.set $spared
        (i32.eqz (i32.and (i32.load offset={MAP.flags} (local.get $map)) (i32.const {MAP_FLAG.NO_PREALLOC}))))
      (local.set $element
        (if (result i32) (local.get $spared)
          (then (call $hash_take_spare (local.get $map) (local.get $old)))
          (else (call $hash_take (local.get $map)))))
      (call $lru_mark (local.get $element) (i32.const {ELEMENT_LATELY})))
    (else
      (if (local.tee $error (call $hash_make_room (local.get $map) (local.get $how)))
        (then (return (local.get $error))))
      (call $hash_grow_count (local.get $map) (i32.const 1))
      (local.set $hash (call $hash_key (local.get $map) (local.get $key)))
      (local.set $element (call $hash_take (local.get $map)))
      (call $lru_mark (local.get $element) (i32.const 0))))
  (call $hash_set_key (local.get $map) (local.get $element) (local.get $key))
  (local.set $to (i32.add (local.get $element) (i32.load offset={HASH.valueOffset} (local.get $map))))
  (call $copy_value (local.get $map) (local.get $to) (local.get $value))
  (call $clear_fields (local.get $map) (local.get $to))
  (call $hash_link (local.get $map) (local.get $element) (local.get $hash))
  (if (local.get $old)
    (then
      (call $hash_unlink (local.get $map) (local.get $old))
      (if (i32.eqz (local.get $spared)) (then (call $hash_give_back (local.get $map) (local.get $old))))))
  (i32.const 0))

;; Writes the current CPU's value in place; in a new element the other CPUs' values are zeros.
(func $percpu_hash_update (export "percpu_hash_update")
  (param $map i32) (param $key i32) (param $value i32) (param $flags i64) (result i32)
  (local $result i32)
  (call $hash_begin (local.get $map))
  (local.set $result (call $percpu_hash_put (local.get $map) (local.get $key) (local.get $value) (local.get $flags)))
  (call $hash_end (local.get $map))
  (local.get $result))

(func $percpu_hash_put
  (param $map i32) (param $key i32) (param $value i32) (param $flags i64) (result i32)
  (local $element i32) (local $error i32) (local $hash i32) (local $cpu i32) (local $at i32) (local $new i32)
  (if (i64.gt_u (local.get $flags) (i64.const {UPDATE_FLAG.EXIST})) (then (return (i32.const {-EINVAL}))))
  (if (local.tee $element (call $hash_search (local.get $map) (local.get $key)))
    (then
      (if (i64.eq (local.get $flags) (i64.const {UPDATE_FLAG.NOEXIST})) (then (return (i32.const {-EEXIST}))))
      (call $lru_mark (local.get $element) (i32.const {ELEMENT_LATELY})))
    (else
      (if (local.tee $error (call $hash_make_room (local.get $map) (local.get $flags)))
        (then (return (local.get $error))))
      (call $hash_grow_count (local.get $map) (i32.const 1))
      (local.set $hash (call $hash_key (local.get $map) (local.get $key)))
      (local.set $element (call $hash_take (local.get $map)))
      (call $lru_mark (local.get $element) (i32.const 0))
      (call $hash_set_key (local.get $map) (local.get $element) (local.get $key))
      (local.set $at (i32.load offset={ELEMENT.values} (local.get $element)))
      (loop $next
        (memory.fill (local.get $at) (i32.const 0) (i32.load offset={MAP.stride} (local.get $map)))
        (local.set $at (i32.add (local.get $at) (i32.load offset={HASH.cpuStride} (local.get $map))))
        (local.set $cpu (i32.add (local.get $cpu) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $cpu) (i32.load offset={MAP.cpus} (local.get $map)))))
      (local.set $new (i32.const 1))))
  (call $copy_value
    (local.get $map)
    (call $element_percpu_value (local.get $map) (local.get $element))
    (local.get $value))
  (if (local.get $new) (then (call $hash_link (local.get $map) (local.get $element) (local.get $hash))))
  (i32.const 0))

(func $hash_delete (export "hash_delete") (param $map i32) (param $key i32) (result i32)
  (local $result i32)
  (call $hash_begin (local.get $map))
  (local.set $result (call $hash_remove (local.get $map) (local.get $key)))
  (call $hash_end (local.get $map))
  (local.get $result))

(func $hash_remove (param $map i32) (param $key i32) (result i32)
  (local $element i32)
  (if (i32.eqz (local.tee $element (call $hash_search (local.get $map) (local.get $key))))
    (then (return (i32.const {-ENOENT}))))
  (call $hash_drop (local.get $map) (local.get $element))
  (i32.const 0))

(func $hash_drop (param $map i32) (param $element i32)
  (call $hash_unlink (local.get $map) (local.get $element))
  (call $hash_grow_count (local.get $map) (i32.const -1))
  (call $hash_give_back (local.get $map) (local.get $element)))

(func (export "percpu_hash_delete") (param $map i32) (param $key i32) (result i32)
  (call $hash_delete (local.get $map) (local.get $key)))
