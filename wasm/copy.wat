;; Copies and comparisons of a length known at run time. Short ones stay here: memory.copy leaves Wasm and costs more than
;; a record.

;; Does not overlap, or overlaps with $to below $from.
(func $copy (param $to i32) (param $from i32) (param $bytes i32)
  (local $end i32)
  (if (i32.gt_u (local.get $bytes) (i32.const 256))
    (then
      (memory.copy (local.get $to) (local.get $from) (local.get $bytes))
      (return)))
  (local.set $end (i32.add (local.get $from) (i32.and (local.get $bytes) (i32.const -32))))
  (block $blocks
    (loop $next
      (br_if $blocks (i32.ge_u (local.get $from) (local.get $end)))
      (i64.store (local.get $to) (i64.load (local.get $from)))
      (i64.store offset=8 (local.get $to) (i64.load offset=8 (local.get $from)))
      (i64.store offset=16 (local.get $to) (i64.load offset=16 (local.get $from)))
      (i64.store offset=24 (local.get $to) (i64.load offset=24 (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 32)))
      (local.set $from (i32.add (local.get $from) (i32.const 32)))
      (br $next)))
  (if (i32.and (local.get $bytes) (i32.const 16))
    (then
      (i64.store (local.get $to) (i64.load (local.get $from)))
      (i64.store offset=8 (local.get $to) (i64.load offset=8 (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))))
  (if (i32.and (local.get $bytes) (i32.const 8))
    (then
      (i64.store (local.get $to) (i64.load (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 8)))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))))
  (if (i32.and (local.get $bytes) (i32.const 4))
    (then
      (i32.store (local.get $to) (i32.load (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 4)))
      (local.set $from (i32.add (local.get $from) (i32.const 4)))))
  (if (i32.and (local.get $bytes) (i32.const 2))
    (then
      (i32.store16 (local.get $to) (i32.load16_u (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 2)))
      (local.set $from (i32.add (local.get $from) (i32.const 2)))))
  (if (i32.and (local.get $bytes) (i32.const 1))
    (then (i32.store8 (local.get $to) (i32.load8_u (local.get $from))))))

;; 1 where `bytes` bytes are the same.
(func $same (param $a i32) (param $b i32) (param $bytes i32) (result i32)
  (local $end i32)
  (local.set $end (i32.add (local.get $a) (i32.and (local.get $bytes) (i32.const -8))))
  (block $words
    (loop $next
      (br_if $words (i32.ge_u (local.get $a) (local.get $end)))
      (if (i64.ne (i64.load (local.get $a)) (i64.load (local.get $b))) (then (return (i32.const 0))))
      (local.set $a (i32.add (local.get $a) (i32.const 8)))
      (local.set $b (i32.add (local.get $b) (i32.const 8)))
      (br $next)))
  (local.set $end (i32.add (local.get $a) (i32.and (local.get $bytes) (i32.const 7))))
  (block $bytes_done
    (loop $next
      (br_if $bytes_done (i32.ge_u (local.get $a) (local.get $end)))
      (if (i32.ne (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b))) (then (return (i32.const 0))))
      (local.set $a (i32.add (local.get $a) (i32.const 1)))
      (local.set $b (i32.add (local.get $b) (i32.const 1)))
      (br $next)))
  (i32.const 1))

;; Two u32 loads instead of one of 64 bits: programs often fill a key field by field, and a load that spans two recent
;; stores waits for both to leave the store buffer.
(func $load_pair (param $at i32) (result i64)
  (i64.or
    (i64.load32_u (local.get $at))
    (i64.shl (i64.load32_u offset=4 (local.get $at)) (i64.const 32))))

;; Kernel: strncmp(s1, s2, bytes) as lib/string.c has it: -1, 0 or 1.
(func (export "bpf_strncmp") (param $a i32) (param $bytes i32) (param $b i32) (result i32)
  (local $end i32) (local $x i32) (local $y i32)
  (local.set $end (i32.add (local.get $a) (local.get $bytes)))
  (loop $next
    (if (i32.eq (local.get $a) (local.get $end)) (then (return (i32.const 0))))
    (local.set $x (i32.load8_u (local.get $a)))
    (local.set $y (i32.load8_u (local.get $b)))
    (if (i32.ne (local.get $x) (local.get $y))
      (then (return (select (i32.const -1) (i32.const 1) (i32.lt_u (local.get $x) (local.get $y))))))
    (if (i32.eqz (local.get $x)) (then (return (i32.const 0))))
    (local.set $a (i32.add (local.get $a) (i32.const 1)))
    (local.set $b (i32.add (local.get $b) (i32.const 1)))
    (br $next))
  (unreachable))
