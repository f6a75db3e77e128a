;; Call chains: bpf_get_stack, bpf_get_task_stack, and bpf_get_stackid with the maps that it fills. A chain comes with the
;; event, as perf records it: a count, then addresses, before those of the kernel and those of the user a marker each.
;; Kernel: kernel/bpf/stackmap.c, without marks as get_perf_callchain() gives them there; jhash2() of include/linux/jhash.h.
;;
;; An element of a map is STACK_BUCKET; a slot names at most one. Workers change a map one at a time (MAP.lock).

;; Address of the chain of the event that runs, 0: none is known.
(func $call_chain (result i32)
  (i32.and (i32.load offset={EVENT.flags} (call $current_event)) (i32.const {EVENT_CHAIN_MASK})))

(func $chain_end (param $chain i32) (result i32)
  (i32.add (i32.add (local.get $chain) (i32.const 8)) (i32.shl (i32.load (local.get $chain)) (i32.const 3))))

;; Address behind the marker of the user's part (flags) or the kernel's; the chain's end where there is no such part.
(func $chain_part (param $chain i32) (param $flags i64) (result i32)
  (local $end i32) (local $marker i64)
  (local.set $end (call $chain_end (local.get $chain)))
  (local.set $marker
    (select
      (i64.const {CHAIN_CONTEXT.KERNEL})
      (i64.const {CHAIN_CONTEXT.USER})
      (i64.eqz (i64.and (local.get $flags) (i64.const {STACK_FLAG.USER_STACK})))))
  (block $none
    (loop $next
      (local.set $chain (i32.add (local.get $chain) (i32.const 8)))
      (br_if $none (i32.ge_u (local.get $chain) (local.get $end)))
      (br_if $next (i64.ne (i64.load align=4 (local.get $chain)) (local.get $marker)))
      (return (i32.add (local.get $chain) (i32.const 8)))))
  (local.get $end))

;; How many addresses there are from `part` on before the next marker or the end, at most `most`.
(func $chain_count (param $chain i32) (param $part i32) (param $most i32) (result i32)
  (local $end i32) (local $count i32)
  (local.set $end (call $chain_end (local.get $chain)))
  (block $done
    (loop $next
      (br_if $done (i32.ge_u (local.get $count) (local.get $most)))
      (br_if $done (i32.ge_u (local.get $part) (local.get $end)))
      (br_if $done (i64.ge_u (i64.load align=4 (local.get $part)) (i64.const {CHAIN_CONTEXT.MAX})))
      (local.set $part (i32.add (local.get $part) (i32.const 8)))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br $next)))
  (local.get $count))

(func $stack_skip (param $flags i64) (result i32)
  (i32.and (i32.wrap_i64 (local.get $flags)) (i32.const {STACK_FLAG.SKIP_MASK})))

;; Addresses that are looked at where `room` are kept: those skipped count too.
(func $stack_depth (param $room i32) (param $flags i64) (result i32)
  (local $depth i32)
  (local.set $depth (i32.add (local.get $room) (call $stack_skip (local.get $flags))))
  (select (local.get $depth) (i32.const {STACK_DEPTH}) (i32.lt_u (local.get $depth) (i32.const {STACK_DEPTH}))))

;; Addresses as struct bpf_stack_build_id. Which file is mapped where is not known here, so that each stays an address, as
;; in the kernel where it cannot look.
(func $stack_ids (param $to i32) (param $from i32) (param $count i32)
  (block $done
    (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (memory.fill (local.get $to) (i32.const 0) (i32.const {BUILD_ID.ip}))
      (i32.store (local.get $to) (i32.const {BUILD_ID.IP}))
      (i64.store offset={BUILD_ID.ip} align=4 (local.get $to) (i64.load align=4 (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const {BUILD_ID.bytes})))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next))))

;; 0, or -errno for what no chain is copied for.
(func $stack_refuse (param $size i32) (param $flags i64) (result i32)
  (local $ids i64)
  (local.set $ids (i64.and (local.get $flags) (i64.const {STACK_FLAG.USER_BUILD_ID})))
  (if
    (i64.ne (i64.and (local.get $flags) (i64.const {STACK_REFUSED})) (i64.const 0))
    (then (return (i32.const {-EINVAL}))))
  (if (i64.eqz (local.get $ids))
    (then
      (return (select (i32.const {-EINVAL}) (i32.const 0) (i32.and (local.get $size) (i32.const 7))))))
  (if (i64.eqz (i64.and (local.get $flags) (i64.const {STACK_FLAG.USER_STACK})))
    (then (return (i32.const {-EINVAL}))))
  (select
    (i32.const {-EINVAL})
    (i32.const 0)
    (i32.rem_u (local.get $size) (i32.const {BUILD_ID.bytes}))))

;; A failure leaves zeros.
(func $stack_fail (param $to i32) (param $size i32) (param $error i32) (result i32)
  (memory.fill (local.get $to) (i32.const 0) (local.get $size))
  (local.get $error))

(func $get_stack (param $to i32) (param $size i32) (param $flags i64) (result i32)
  (local $chain i32) (local $part i32) (local $skip i32) (local $count i32) (local $element i32) (local $bytes i32)
  (local.set $element
    (select
      (i32.const 8)
      (i32.const {BUILD_ID.bytes})
      (i64.eqz (i64.and (local.get $flags) (i64.const {STACK_FLAG.USER_BUILD_ID})))))
  (if (local.tee $bytes (call $stack_refuse (local.get $size) (local.get $flags)))
    (then (return (call $stack_fail (local.get $to) (local.get $size) (local.get $bytes)))))
  (if (i32.eqz (local.tee $chain (call $call_chain)))
    (then (return (call $stack_fail (local.get $to) (local.get $size) (i32.const {-EFAULT})))))
  (local.set $part (call $chain_part (local.get $chain) (local.get $flags)))
  (local.set $skip (call $stack_skip (local.get $flags)))
  (local.set $count
    (call $chain_count
      (local.get $chain) (local.get $part)
      (call $stack_depth (i32.div_u (local.get $size) (local.get $element)) (local.get $flags))))
  (if (i32.lt_u (local.get $count) (local.get $skip))
    (then (return (call $stack_fail (local.get $to) (local.get $size) (i32.const {-EFAULT})))))
  (local.set $count (i32.sub (local.get $count) (local.get $skip)))
  (local.set $part (i32.add (local.get $part) (i32.shl (local.get $skip) (i32.const 3))))
  (local.set $bytes (i32.mul (local.get $count) (local.get $element)))
  (if (i32.eq (local.get $element) (i32.const 8))
    (then (call $copy (local.get $to) (local.get $part) (local.get $bytes)))
    (else (call $stack_ids (local.get $to) (local.get $part) (local.get $count))))
  (memory.fill
    (i32.add (local.get $to) (local.get $bytes))
    (i32.const 0)
    (i32.sub (local.get $size) (local.get $bytes)))
  (local.get $bytes))

(func (export "bpf_get_stack") (param $ctx i32) (param $to i32) (param $size i32) (param $flags i64) (result i32)
  (call $get_stack (local.get $to) (local.get $size) (local.get $flags)))

;; Of another task than the event's nothing is known, and the kernel walks no stack of another user.
(func (export "bpf_get_task_stack") (param $task i64) (param $to i32) (param $size i32) (param $flags i64) (result i32)
  (local $error i32)
  (if (i64.eq (local.get $task) (call $current_task_struct))
    (then (return (call $get_stack (local.get $to) (local.get $size) (local.get $flags)))))
  (if (i32.eqz (local.tee $error (call $stack_refuse (local.get $size) (local.get $flags))))
    (then
      (local.set $error
        (select
          (i32.const {-EFAULT})
          (i32.const {-EOPNOTSUPP})
          (i64.eqz (i64.and (local.get $flags) (i64.const {STACK_FLAG.USER_STACK})))))))
  (call $stack_fail (local.get $to) (local.get $size) (local.get $error)))

(func (export "bpf_get_stackid") (param $ctx i32) (param $map i32) (param $flags i64) (result i32)
  (local $chain i32) (local $part i32) (local $skip i32) (local $count i32) (local $result i32)
  (if (i64.ne (i64.and (local.get $flags) (i64.const {STACKID_REFUSED})) (i64.const 0))
    (then (return (i32.const {-EINVAL}))))
  (if (i32.eqz (local.tee $chain (call $call_chain))) (then (return (i32.const {-EFAULT}))))
  (local.set $part (call $chain_part (local.get $chain) (local.get $flags)))
  (local.set $skip (call $stack_skip (local.get $flags)))
  (local.set $count
    (call $chain_count
      (local.get $chain) (local.get $part)
      (call $stack_depth
        (i32.div_u (i32.load offset={MAP.valueSize} (local.get $map)) (call $stack_element (local.get $map)))
        (local.get $flags))))
  (if (i32.le_u (local.get $count) (local.get $skip)) (then (return (i32.const {-EFAULT}))))
  (local.set $part (i32.add (local.get $part) (i32.shl (local.get $skip) (i32.const 3))))
  (local.set $count (i32.sub (local.get $count) (local.get $skip)))
  (if (i32.load (i32.const {RUNTIME_THREADS}))
    (then (call $lock (i32.add (local.get $map) (i32.const {MAP.lock})))))
  (local.set $result (call $stack_put (local.get $map) (local.get $part) (local.get $count) (local.get $flags)))
  (if (i32.load (i32.const {RUNTIME_THREADS}))
    (then (call $unlock (i32.add (local.get $map) (i32.const {MAP.lock})))))
  (local.get $result))

;; Bytes of an address in the map's values.
(func $stack_element (param $map i32) (result i32)
  (select
    (i32.const {BUILD_ID.bytes})
    (i32.const 8)
    (i32.and (i32.load offset={MAP.flags} (local.get $map)) (i32.const {MAP_FLAG.STACK_BUILD_ID}))))

;; Number of the slot that the chain is in now, or -errno.
(func $stack_put (param $map i32) (param $from i32) (param $count i32) (param $flags i64) (result i32)
  (local $hash i32) (local $id i32) (local $slot i32) (local $old i32) (local $new i32) (local $like i32)
  (local $bytes i32)
  (local.set $hash (call $jhash2 (local.get $from) (i32.shl (local.get $count) (i32.const 1))))
  (local.set $id (i32.and (local.get $hash) (i32.load offset={STACKS.bucketMask} (local.get $map))))
  (local.set $slot
    (i32.add (i32.load offset={STACKS.buckets} (local.get $map)) (i32.shl (local.get $id) (i32.const 2))))
  (local.set $old (i32.load (local.get $slot)))
  (local.set $bytes (i32.mul (local.get $count) (call $stack_element (local.get $map))))
  (if (local.get $old)
    (then
      (if (i32.eq (i32.load offset={STACK_BUCKET.hash} (local.get $old)) (local.get $hash))
        (then
          (if (i64.ne (i64.and (local.get $flags) (i64.const {STACK_FLAG.FAST_STACK_CMP})) (i64.const 0))
            (then (return (local.get $id))))
          (local.set $like
            (i32.eq (i32.load offset={STACK_BUCKET.count} (local.get $old)) (local.get $count)))))))
  (if (i32.eq (call $stack_element (local.get $map)) (i32.const 8))
    (then
      (if (local.get $like)
        (then
          (if
            (call $same
              (i32.add (local.get $old) (i32.const {STACK_BUCKET.data})) (local.get $from) (local.get $bytes))
            (then (return (local.get $id))))))
      (if (call $stack_stays (local.get $old) (local.get $flags)) (then (return (i32.const {-EEXIST}))))))
  (if (i32.eqz (local.tee $new (call $stack_take (local.get $map)))) (then (return (i32.const {-ENOMEM}))))
  (if (i32.eq (call $stack_element (local.get $map)) (i32.const 8))
    (then
      (call $copy (i32.add (local.get $new) (i32.const {STACK_BUCKET.data})) (local.get $from) (local.get $bytes)))
    (else
      (call $stack_ids
        (i32.add (local.get $new) (i32.const {STACK_BUCKET.data})) (local.get $from) (local.get $count))
      (if (local.get $like)
        (then
          (if
            (call $same
              (i32.add (local.get $old) (i32.const {STACK_BUCKET.data}))
              (i32.add (local.get $new) (i32.const {STACK_BUCKET.data}))
              (local.get $bytes))
            (then
              (call $stack_give (local.get $map) (local.get $new))
              (return (local.get $id))))))
      (if (call $stack_stays (local.get $old) (local.get $flags))
        (then
          (call $stack_give (local.get $map) (local.get $new))
          (return (i32.const {-EEXIST}))))))
  (i32.store offset={STACK_BUCKET.hash} (local.get $new) (local.get $hash))
  (i32.store offset={STACK_BUCKET.count} (local.get $new) (local.get $count))
  (i32.store (local.get $slot) (local.get $new))
  (if (local.get $old) (then (call $stack_give (local.get $map) (local.get $old))))
  (local.get $id))

;; 1 where another chain is in the slot and is not to be replaced.
(func $stack_stays (param $old i32) (param $flags i64) (result i32)
  (i32.and
    (i32.ne (local.get $old) (i32.const 0))
    (i64.eqz (i64.and (local.get $flags) (i64.const {STACK_FLAG.REUSE_STACKID})))))

;; A free element, 0: none.
(func $stack_take (param $map i32) (result i32)
  (local $element i32)
  (if (local.tee $element (i32.load offset={STACKS.free} (local.get $map)))
    (then
      (i32.store offset={STACKS.free} (local.get $map) (i32.load offset={STACK_BUCKET.next} (local.get $element)))))
  (local.get $element))

(func $stack_give (param $map i32) (param $element i32)
  (i32.store offset={STACK_BUCKET.next} (local.get $element) (i32.load offset={STACKS.free} (local.get $map)))
  (i32.store offset={STACKS.free} (local.get $map) (local.get $element)))

;; Takes the chain out of a slot: 0, or -errno. A program cannot: the verifier refuses it.
(func (export "stack_delete") (param $map i32) (param $id i32) (result i32)
  (local $slot i32) (local $old i32)
  (if (i32.gt_u (local.get $id) (i32.load offset={STACKS.bucketMask} (local.get $map)))
    (then (return (i32.const {-E2BIG}))))
  (local.set $slot
    (i32.add (i32.load offset={STACKS.buckets} (local.get $map)) (i32.shl (local.get $id) (i32.const 2))))
  (if (i32.eqz (local.tee $old (i32.load (local.get $slot)))) (then (return (i32.const {-ENOENT}))))
  (i32.store (local.get $slot) (i32.const 0))
  (call $stack_give (local.get $map) (local.get $old))
  (i32.const 0))

;; Jenkins' lookup3 over 32-bit words, one at least, with a seed of 0.
(func $jhash2 (param $at i32) (param $words i32) (result i32)
  (local $a i32) (local $b i32) (local $c i32)
  (local.set $a (i32.add (i32.const 0xdeadbeef) (i32.shl (local.get $words) (i32.const 2))))
  (local.set $b (local.get $a))
  (local.set $c (local.get $a))
  (block $last
    (loop $next
      (br_if $last (i32.le_u (local.get $words) (i32.const 3)))
      (local.set $a (i32.add (local.get $a) (i32.load (local.get $at))))
      (local.set $b (i32.add (local.get $b) (i32.load offset=4 (local.get $at))))
      (local.set $c (i32.add (local.get $c) (i32.load offset=8 (local.get $at))))
      (local.set $a (call $jhash_mix (local.get $a) (local.get $c) (i32.const 4)))
      (local.set $c (i32.add (local.get $c) (local.get $b)))
      (local.set $b (call $jhash_mix (local.get $b) (local.get $a) (i32.const 6)))
      (local.set $a (i32.add (local.get $a) (local.get $c)))
      (local.set $c (call $jhash_mix (local.get $c) (local.get $b) (i32.const 8)))
      (local.set $b (i32.add (local.get $b) (local.get $a)))
      (local.set $a (call $jhash_mix (local.get $a) (local.get $c) (i32.const 16)))
      (local.set $c (i32.add (local.get $c) (local.get $b)))
      (local.set $b (call $jhash_mix (local.get $b) (local.get $a) (i32.const 19)))
      (local.set $a (i32.add (local.get $a) (local.get $c)))
      (local.set $c (call $jhash_mix (local.get $c) (local.get $b) (i32.const 4)))
      (local.set $b (i32.add (local.get $b) (local.get $a)))
      (local.set $at (i32.add (local.get $at) (i32.const 12)))
      (local.set $words (i32.sub (local.get $words) (i32.const 3)))
      (br $next)))
  (local.set $a (i32.add (local.get $a) (i32.load (local.get $at))))
  (if (i32.gt_u (local.get $words) (i32.const 1))
    (then (local.set $b (i32.add (local.get $b) (i32.load offset=4 (local.get $at))))))
  (if (i32.gt_u (local.get $words) (i32.const 2))
    (then (local.set $c (i32.add (local.get $c) (i32.load offset=8 (local.get $at))))))
  (local.set $c (call $jhash_final (local.get $c) (local.get $b) (i32.const 14)))
  (local.set $a (call $jhash_final (local.get $a) (local.get $c) (i32.const 11)))
  (local.set $b (call $jhash_final (local.get $b) (local.get $a) (i32.const 25)))
  (local.set $c (call $jhash_final (local.get $c) (local.get $b) (i32.const 16)))
  (local.set $a (call $jhash_final (local.get $a) (local.get $c) (i32.const 4)))
  (local.set $b (call $jhash_final (local.get $b) (local.get $a) (i32.const 14)))
  (call $jhash_final (local.get $c) (local.get $b) (i32.const 24)))

(func $jhash_mix (param $x i32) (param $y i32) (param $turn i32) (result i32)
  (i32.xor (i32.sub (local.get $x) (local.get $y)) (i32.rotl (local.get $y) (local.get $turn))))
(func $jhash_final (param $x i32) (param $y i32) (param $turn i32) (result i32)
  (i32.sub (i32.xor (local.get $x) (local.get $y)) (i32.rotl (local.get $y) (local.get $turn))))
