;; Locks between workers. A lock holds the id + 1 of its owner, so that what a worker leaves locked when it dies can be told
;; and repaired (runtime/workers/repair.ts). With one worker no map is locked.

;; Whoever finds it taken stays away for half a microsecond, and twice as long each time, up to eight. The owner's next operations
;; find lock and elements in the cache of its CPU: handed over after each one, two workers take three times as long.
(func $lock (param $at i32)
  (local $me i32) (local $owner i32) (local $pause i32) (local $left i32) (local $looks i32)
  (local.set $me (i32.add (i32.load offset={WORKER.id} (global.get $worker)) (i32.const 1)))
  (local.set $pause (i32.const 1024))
  (block $taken
    (loop $again
      (br_if $taken
        (i32.eqz
          (local.tee $owner (i32.atomic.rmw.cmpxchg (local.get $at) (i32.const 0) (local.get $me)))))
      (local.set $left (local.get $pause))
      (loop $wait
        (br_if $wait (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (if (i32.lt_u (local.get $pause) (i32.const 16384))
        (then (local.set $pause (i32.shl (local.get $pause) (i32.const 1)))))
      (local.set $looks (i32.add (local.get $looks) (i32.const 1)))
      ;; sections are a few dozen instructions: found taken 16 times in 100 us, its owner may not run, or no longer
      (if (i32.eqz (i32.and (local.get $looks) (i32.const 15)))
        (then
          (call $host_contended
            (local.get $at) (local.get $owner)
            (i32.sub (i32.shr_u (local.get $looks) (i32.const 4)) (i32.const 1)))))
      (br $again))))

(func $unlock (param $at i32)
  (i32.atomic.store (local.get $at) (i32.const 0)))
