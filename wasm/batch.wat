;; The batch driver: one call from TypeScript runs many events.

;; Runs the events in order, each through all links of its hook in order of attachment. Returns after the event in which a
;; ring producer asked for it (WORKER.yield), so that readers can drain: how many events ran. Leaves WORKER.cpu as it was.
(func (export "run_events") (param $events i32) (param $count i32) (result i32)
  (local $outer i32) (local $done i32)
  (local.set $outer (call $current_cpu))
  (i32.store offset={WORKER.yield} (global.get $worker) (i32.const 0))
  (block $end
    (loop $next
      (br_if $end (i32.ge_u (local.get $done) (local.get $count)))
      (call $run_event (local.get $events))
      (local.set $events (i32.add (local.get $events) (i32.const {EVENT.bytes})))
      (local.set $done (i32.add (local.get $done) (i32.const 1)))
      (br_if $next (i32.eqz (i32.load offset={WORKER.yield} (global.get $worker))))))
  (i32.store offset={WORKER.cpu} (global.get $worker) (local.get $outer))
  (local.get $done))

(func $run_event (param $event i32)
  (local $cpu i32) (local $hook i32) (local $link i32) (local $last i32) (local $outer_event i32)
  (local.set $cpu (i32.load offset={EVENT.cpu} (local.get $event)))
  (local.set $hook (i32.load offset={EVENT.hook} (local.get $event)))
  (i32.store offset={WORKER.cpu} (global.get $worker) (local.get $cpu))
  (local.set $outer_event (i32.load offset={CPU.event} (local.get $cpu)))
  (i32.store offset={CPU.event} (local.get $cpu) (local.get $event))
  (local.set $link (i32.load offset={HOOK.links} (local.get $hook)))
  (local.set $last
    (i32.add
      (local.get $link)
      (i32.mul (i32.load offset={HOOK.linkCount} (local.get $hook)) (i32.const {LINK.bytes}))))
  (block $end
    (loop $next
      (br_if $end (i32.ge_u (local.get $link) (local.get $last)))
      (call $run_link (local.get $cpu) (local.get $link) (i32.load offset={EVENT.ctx} (local.get $event)))
      (local.set $link (i32.add (local.get $link) (i32.const {LINK.bytes})))
      (br $next)))
  (i32.store offset={CPU.event} (local.get $cpu) (local.get $outer_event)))

;; A run that would start with too little stack does not start and counts as a miss, as recursion does in the kernel.
(func $run_link (param $cpu i32) (param $link i32) (param $ctx i32)
  (local $outer_link i32) (local $outer_cookie i64) (local $outer_tail_calls i32)
  (if
    (i32.lt_u
      (i32.sub
        (i32.load offset={CPU.sp} (local.get $cpu))
        (i32.load offset={CPU.stackFloor} (local.get $cpu)))
      (i32.const {CPU_STACK_RESERVE_BYTES}))
    (then
      (i64.store offset={LINK.misses} (local.get $link)
        (i64.add (i64.load offset={LINK.misses} (local.get $link)) (i64.const 1)))
      (return)))
  (local.set $outer_link (i32.load offset={CPU.link} (local.get $cpu)))
  (local.set $outer_cookie (i64.load offset={CPU.cookie} (local.get $cpu)))
  (local.set $outer_tail_calls (i32.load offset={CPU.tailCalls} (local.get $cpu)))
  (i32.store offset={CPU.link} (local.get $cpu) (local.get $link))
  (i64.store offset={CPU.cookie} (local.get $cpu) (i64.load offset={LINK.cookie} (local.get $link)))
  (i32.store offset={CPU.tailCalls} (local.get $cpu) (i32.const 0))
  (i32.store offset={CPU.nesting} (local.get $cpu)
    (i32.add (i32.load offset={CPU.nesting} (local.get $cpu)) (i32.const 1)))
  (i64.store offset={LINK.runs} (local.get $link)
    (i64.add (i64.load offset={LINK.runs} (local.get $link)) (i64.const 1)))
  (drop
    (call_indirect $table (type $program)
      (local.get $ctx)
      (i32.load offset={LINK.program} (local.get $link))))
  (i32.store offset={CPU.nesting} (local.get $cpu)
    (i32.sub (i32.load offset={CPU.nesting} (local.get $cpu)) (i32.const 1)))
  (i32.store offset={CPU.tailCalls} (local.get $cpu) (local.get $outer_tail_calls))
  (i64.store offset={CPU.cookie} (local.get $cpu) (local.get $outer_cookie))
  (i32.store offset={CPU.link} (local.get $cpu) (local.get $outer_link)))
