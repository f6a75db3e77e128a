;; The batch driver: one call from TypeScript runs many events. Events of one CPU and one hook that follow each other are a
;; stretch: what a run needs around it is set once a stretch, and a hook with one program hands the whole stretch to the
;; loop that was compiled with the program (`batch:NAME`).

;; Runs the events in order, each through all links of its hook in order of attachment. Returns after the event in which a
;; ring producer asked for it (WORKER.yield), so that readers can drain: how many events ran. Leaves WORKER.cpu as it was.
(func (export "run_events") (param $events i32) (param $count i32) (result i32)
  (local $outer i32) (local $event i32) (local $end i32)
  (local.set $outer (call $current_cpu))
  (local.set $event (local.get $events))
  (local.set $end (i32.add (local.get $events) (i32.mul (local.get $count) (i32.const {EVENT.bytes}))))
  (i32.store offset={WORKER.yield} (global.get $worker) (i32.const 0))
  (i32.store offset={WORKER.next} (global.get $worker) (local.get $event))
  (block $done
    (loop $next
      (br_if $done (i32.eq (local.get $event) (local.get $end)))
      (local.set $event (call $run_stretch (local.get $event) (local.get $end)))
      (i32.store offset={WORKER.next} (global.get $worker) (local.get $event))
      (br_if $next (i32.eqz (i32.load offset={WORKER.yield} (global.get $worker))))))
  (i32.store offset={WORKER.cpu} (global.get $worker) (local.get $outer))
  (i32.div_u (i32.sub (local.get $event) (local.get $events)) (i32.const {EVENT.bytes})))

;; Runs the event and those behind it that are of the same stretch; returns the address of the first that did not run.
(func $run_stretch (param $event i32) (param $end i32) (result i32)
  (local $cpu i32) (local $hook i32)
  (local $outer_event i32) (local $outer_link i32) (local $outer_cookie i64) (local $outer_tail_calls i32)
  (local $outer_uncounted i32) (local $nesting i32)
  (local.set $cpu (i32.load offset={EVENT.cpu} (local.get $event)))
  (local.set $hook (i32.load offset={EVENT.hook} (local.get $event)))
  ;; A run that would start with too little stack does not start and counts as a miss, as recursion does in the kernel.
  (if
    (i32.lt_u
      (i32.sub
        (i32.load offset={CPU.sp} (local.get $cpu))
        (i32.load offset={CPU.stackFloor} (local.get $cpu)))
      (i32.const {CPU_STACK_RESERVE_BYTES}))
    (then (return (call $miss_event (local.get $hook) (local.get $event)))))
  (i32.store offset={WORKER.cpu} (global.get $worker) (local.get $cpu))
  (local.set $outer_event (i32.load offset={CPU.event} (local.get $cpu)))
  (local.set $outer_link (i32.load offset={CPU.link} (local.get $cpu)))
  (local.set $outer_cookie (i64.load offset={CPU.cookie} (local.get $cpu)))
  (local.set $outer_tail_calls (i32.load offset={CPU.tailCalls} (local.get $cpu)))
  (local.set $outer_uncounted (i32.load offset={CPU.uncounted} (local.get $cpu)))
  (local.set $nesting (i32.load offset={CPU.nesting} (local.get $cpu)))
  (i32.store offset={CPU.nesting} (local.get $cpu) (i32.add (local.get $nesting) (i32.const 1)))
  (local.set $event
    (if (result i32) (i32.load offset={HOOK.batch} (local.get $hook))
      (then (call $run_compiled (local.get $cpu) (local.get $hook) (local.get $event) (local.get $end)))
      (else (call $run_links (local.get $cpu) (local.get $hook) (local.get $event) (local.get $end)))))
  (i32.store offset={CPU.nesting} (local.get $cpu) (local.get $nesting))
  (i32.store offset={CPU.uncounted} (local.get $cpu) (local.get $outer_uncounted))
  (i32.store offset={CPU.tailCalls} (local.get $cpu) (local.get $outer_tail_calls))
  (i64.store offset={CPU.cookie} (local.get $cpu) (local.get $outer_cookie))
  (i32.store offset={CPU.link} (local.get $cpu) (local.get $outer_link))
  (i32.store offset={CPU.event} (local.get $cpu) (local.get $outer_event))
  (local.get $event))

(func $miss_event (param $hook i32) (param $event i32) (result i32)
  (local $link i32) (local $last i32)
  (local.set $link (i32.load offset={HOOK.links} (local.get $hook)))
  (local.set $last (call $links_end (local.get $hook) (local.get $link)))
  (block $done
    (loop $next
      (br_if $done (i32.eq (local.get $link) (local.get $last)))
      (i64.store offset={LINK.misses} (local.get $link)
        (i64.add (i64.load offset={LINK.misses} (local.get $link)) (i64.const 1)))
      (local.set $link (i32.add (local.get $link) (i32.const {LINK.bytes})))
      (br $next)))
  (i32.add (local.get $event) (i32.const {EVENT.bytes})))

(func $links_end (param $hook i32) (param $links i32) (result i32)
  (i32.add
    (local.get $links)
    (i32.mul (i32.load offset={HOOK.linkCount} (local.get $hook)) (i32.const {LINK.bytes}))))

;; The hook's only program, in its own loop. Runs are counted when the loop returns; who looks before that asks
;; CPU.uncounted (World.countRuns). The link's record stays where it is until the run is over, also when it is detached. Where
;; time is measured, it is that of the whole loop.
(func $run_compiled (param $cpu i32) (param $hook i32) (param $event i32) (param $end i32) (result i32)
  (local $link i32) (local $started i64)
  (local.set $link (i32.load offset={HOOK.links} (local.get $hook)))
  (i32.store offset={CPU.link} (local.get $cpu) (local.get $link))
  (i64.store offset={CPU.cookie} (local.get $cpu) (i64.load offset={LINK.cookie} (local.get $link)))
  (i32.store offset={CPU.uncounted} (local.get $cpu) (local.get $event))
  (if (i32.load (i32.const {RUNTIME_TIMED})) (then (local.set $started (call $clock))))
  (local.set $event
    (i32.add
      (local.get $event)
      (i32.mul
        (call_indirect $table (type $batch)
          (local.get $event)
          (i32.div_u (i32.sub (local.get $end) (local.get $event)) (i32.const {EVENT.bytes}))
          (i32.sub (i32.load offset={HOOK.batch} (local.get $hook)) (i32.const 1)))
        (i32.const {EVENT.bytes}))))
  (if (i64.ne (local.get $started) (i64.const 0)) (then (call $add_time (local.get $link) (local.get $started))))
  (i64.store offset={LINK.runs} (local.get $link)
    (i64.add
      (i64.load offset={LINK.runs} (local.get $link))
      (i64.extend_i32_u
        (i32.div_u
          (i32.sub (local.get $event) (i32.load offset={CPU.uncounted} (local.get $cpu)))
          (i32.const {EVENT.bytes})))))
  (local.get $event))

;; Each event of the stretch through any number of programs.
(func $run_links (param $cpu i32) (param $hook i32) (param $event i32) (param $end i32) (result i32)
  (i32.store offset={CPU.uncounted} (local.get $cpu) (i32.const 0))
  (block $done
    (loop $next
      (i32.store offset={CPU.event} (local.get $cpu) (local.get $event))
      (call $run_event (local.get $cpu) (local.get $hook) (i32.load offset={EVENT.ctx} (local.get $event)))
      (local.set $event (i32.add (local.get $event) (i32.const {EVENT.bytes})))
      (br_if $done (i32.eq (local.get $event) (local.get $end)))
      (br_if $done (i32.ne (i32.load offset={EVENT.cpu} (local.get $event)) (local.get $cpu)))
      (br_if $done (i32.ne (i32.load offset={EVENT.hook} (local.get $event)) (local.get $hook)))
      (br_if $done (i32.load offset={HOOK.batch} (local.get $hook)))
      (br_if $next (i32.eqz (i32.load offset={WORKER.yield} (global.get $worker))))))
  (local.get $event))

;; What the programs attach and detach holds from the next event on.
(func $run_event (param $cpu i32) (param $hook i32) (param $ctx i32)
  (local $link i32) (local $last i32)
  (local.set $link (i32.load offset={HOOK.links} (local.get $hook)))
  (local.set $last (call $links_end (local.get $hook) (local.get $link)))
  (block $done
    (loop $next
      (br_if $done (i32.eq (local.get $link) (local.get $last)))
      (i32.store offset={CPU.link} (local.get $cpu) (local.get $link))
      (i64.store offset={CPU.cookie} (local.get $cpu) (i64.load offset={LINK.cookie} (local.get $link)))
      (i32.store offset={CPU.tailCalls} (local.get $cpu) (i32.const 0))
      (i64.store offset={LINK.runs} (local.get $link)
        (i64.add (i64.load offset={LINK.runs} (local.get $link)) (i64.const 1)))
      (if (i32.load (i32.const {RUNTIME_TIMED}))
        (then (call $run_timed (local.get $link) (local.get $ctx)))
        (else
          (drop
            (call_indirect $table (type $program)
              (local.get $ctx)
              (i32.load offset={LINK.program} (local.get $link))))))
      (local.set $link (i32.add (local.get $link) (i32.const {LINK.bytes})))
      (br $next))))

;; The clock is the host's, so what is measured includes a call into it.
(func $run_timed (param $link i32) (param $ctx i32)
  (local $started i64)
  (local.set $started (call $clock))
  (drop
    (call_indirect $table (type $program)
      (local.get $ctx)
      (i32.load offset={LINK.program} (local.get $link))))
  (call $add_time (local.get $link) (local.get $started)))

(func $clock (result i64)
  (call $host_now)
  (i64.load offset={WORKER.result} (global.get $worker)))

(func $add_time (param $link i32) (param $started i64)
  (i64.store offset={LINK.ns} (local.get $link)
    (i64.add
      (i64.load offset={LINK.ns} (local.get $link))
      (i64.sub (call $clock) (local.get $started)))))
