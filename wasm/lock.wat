;; Locks between workers. A lock holds the id + 1 of its owner, so that what a worker leaves locked when it dies can be told
;; and repaired (runtime/workers/repair.ts). With one worker no map is locked.

(func $lock (param $at i32)
  (local $me i32) (local $owner i32) (local $tries i32)
  (local.set $me (i32.add (i32.load offset={WORKER.id} (global.get $worker)) (i32.const 1)))
  (block $taken
    (loop $again
      (br_if $taken
        (i32.eqz
          (local.tee $owner (i32.atomic.rmw.cmpxchg (local.get $at) (i32.const 0) (local.get $me)))))
      (local.set $tries (i32.add (local.get $tries) (i32.const 1)))
      ;; sections are a few dozen instructions: whoever holds it so long does not run, or no longer
      (if (i32.eqz (i32.and (local.get $tries) (i32.const 1023)))
        (then (call $host_contended (local.get $at) (local.get $owner))))
      (br $again))))

(func $unlock (param $at i32)
  (i32.atomic.store (local.get $at) (i32.const 0)))
