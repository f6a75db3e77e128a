;; The ambient run context: worker block → CPU block → event → task. A link that is 0 leads to the null guard, which is
;; zeros: outside a run every field reads 0.

(func $current_cpu (result i32)
  (i32.load offset={WORKER.cpu} (global.get $worker)))

(func $current_event (result i32)
  (i32.load offset={CPU.event} (call $current_cpu)))

(func $current_task (result i32)
  (i32.load offset={EVENT.task} (call $current_event)))

;; Number of the virtual CPU that runs, 0 outside a run.
(func $cpu_id (result i32)
  (i32.load offset={CPU.id} (call $current_cpu)))

(func $bpf_get_smp_processor_id (export "bpf_get_smp_processor_id") (result i32)
  (call $cpu_id))

;; ns: the event's own time, or the host's clock where the event asks for it.
(func $event_time (result i64)
  (local $event i32)
  (local.set $event (call $current_event))
  (if (result i64)
    (i32.and (i32.load offset={EVENT.flags} (local.get $event)) (i32.const {EVENT_FLAG.liveClock}))
    (then
      (call $host_now)
      (i64.load offset={WORKER.result} (global.get $worker)))
    (else (i64.load offset={EVENT.time} (local.get $event)))))

(func (export "bpf_ktime_get_ns") (result i64)
  (call $event_time))

(func (export "bpf_ktime_get_coarse_ns") (result i64)
  (call $event_time))

(func (export "bpf_ktime_get_boot_ns") (result i64)
  (call $event_time))

;; xoshiro128** on the four words of the CPU block, which the runtime seeds. Outside a run there is no state: 0.
(func (export "bpf_get_prandom_u32") (result i32)
  (local $cpu i32) (local $a i32) (local $b i32) (local $c i32) (local $d i32) (local $shifted i32)
  (local.set $cpu (call $current_cpu))
  (if (i32.eqz (local.get $cpu)) (then (return (i32.const 0))))
  (local.set $a (i32.load offset={CPU.random} (local.get $cpu)))
  (local.set $b (i32.load offset={CPU.random+4} (local.get $cpu)))
  (local.set $c (i32.load offset={CPU.random+8} (local.get $cpu)))
  (local.set $d (i32.load offset={CPU.random+12} (local.get $cpu)))
  (local.set $shifted (i32.shl (local.get $b) (i32.const 9)))
  (local.set $c (i32.xor (local.get $c) (local.get $a)))
  (local.set $d (i32.xor (local.get $d) (local.get $b)))
  (i32.mul (i32.rotl (i32.mul (local.get $b) (i32.const 5)) (i32.const 7)) (i32.const 9)) ;; the result stays on the stack
  (i32.store offset={CPU.random+4} (local.get $cpu) (i32.xor (local.get $b) (local.get $c)))
  (i32.store offset={CPU.random} (local.get $cpu) (i32.xor (local.get $a) (local.get $d)))
  (i32.store offset={CPU.random+8} (local.get $cpu) (i32.xor (local.get $c) (local.get $shifted)))
  (i32.store offset={CPU.random+12} (local.get $cpu) (i32.rotl (local.get $d) (i32.const 11))))

;; Kernel: these three answer -EINVAL where there is no current task.
(func (export "bpf_get_current_pid_tgid") (result i64)
  (local $task i32)
  (if (i32.eqz (local.tee $task (call $current_task))) (then (return (i64.const {-EINVAL}))))
  (i64.or
    (i64.shl (i64.load32_u offset={TASK.tgid} (local.get $task)) (i64.const 32))
    (i64.load32_u offset={TASK.pid} (local.get $task))))

(func (export "bpf_get_current_uid_gid") (result i64)
  (local $task i32)
  (if (i32.eqz (local.tee $task (call $current_task))) (then (return (i64.const {-EINVAL}))))
  (i64.or
    (i64.shl (i64.load32_u offset={TASK.gid} (local.get $task)) (i64.const 32))
    (i64.load32_u offset={TASK.uid} (local.get $task))))

;; Every task is in a cgroup; 0: no source said in which.
(func (export "bpf_get_current_cgroup_id") (result i64)
  (i64.load offset={TASK.cgroupId} (call $current_task)))

;; strscpy_pad(): at most size - 1 bytes of the name, the rest of the destination is zeroed.
(func (export "bpf_get_current_comm") (param $to i32) (param $size i32) (result i32)
  (local $task i32) (local $comm i32) (local $at i32) (local $byte i32)
  (local.set $task (call $current_task))
  (if (i32.eqz (local.get $task))
    (then
      (memory.fill (local.get $to) (i32.const 0) (local.get $size))
      (return (i32.const {-EINVAL}))))
  (local.set $comm (i32.add (local.get $task) (i32.const {TASK.comm})))
  ;; The common case, a char[16]: two words, the last byte forced to zero. What a task's comm holds behind its zero is
  ;; zeros already (the runtime writes it so).
  (if (i32.eq (local.get $size) (i32.const {COMM_BYTES}))
    (then
      (i64.store (local.get $to) (i64.load (local.get $comm)))
      (i64.store offset=8 (local.get $to)
        (i64.and (i64.load offset=8 (local.get $comm)) (i64.const 0x00ffffffffffffff)))
      (return (i32.const 0))))
  (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
  (memory.fill (local.get $to) (i32.const 0) (local.get $size))
  (block $end
    (loop $next
      (br_if $end (i32.ge_u (i32.add (local.get $at) (i32.const 1)) (local.get $size)))
      (br_if $end (i32.ge_u (local.get $at) (i32.const {COMM_BYTES})))
      (br_if $end (i32.eqz (local.tee $byte (i32.load8_u (i32.add (local.get $comm) (local.get $at))))))
      (i32.store8 (i32.add (local.get $to) (local.get $at)) (local.get $byte))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
  (i32.const 0))

;; The task_struct that came with the event, else the one that the host makes of what it knows of the task. Null: neither.
(func $current_task_struct (result i64)
  (local $task i32) (local $given i64) (local $made i32)
  (local.set $task (call $current_task))
  (if (i64.ne (local.tee $given (i64.load offset={TASK.taskStruct} (local.get $task))) (i64.const 0))
    (then (return (local.get $given))))
  (if (i32.eqz (local.tee $made (call $host_task_struct (local.get $task))))
    (then (return (i64.const 0))))
  (i64.or (i64.shl (i64.const {POINTER_TAG}) (i64.const 32)) (i64.extend_i32_u (local.get $made))))

(func (export "bpf_get_current_task") (result i64)
  (call $current_task_struct))

(func (export "bpf_get_current_task_btf") (result i64)
  (call $current_task_struct))
