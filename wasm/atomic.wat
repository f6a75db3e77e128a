;; Atomics on addresses that may be misaligned, where Wasm's own trap. One lock for all of them, in the runtime block.

(func (export "atomic_unaligned")
  (param $at i32) (param $operation i32) (param $bytes i32) (param $operand i64) (param $expected i64) (result i64)
  (local $old i64) (local $new i64)
  (call $lock (i32.const {RUNTIME_ATOMIC_LOCK}))
  (local.set $old
    (if (result i64) (i32.eq (local.get $bytes) (i32.const 8))
      (then (i64.load (local.get $at)))
      (else (i64.load32_u (local.get $at)))))
  (local.set $new
    (call $atomic_result
      (local.get $operation) (local.get $bytes) (local.get $old) (local.get $operand) (local.get $expected)))
  (if (i32.eq (local.get $bytes) (i32.const 8))
    (then (i64.store (local.get $at) (local.get $new)))
    (else (i64.store32 (local.get $at) (local.get $new))))
  (call $unlock (i32.const {RUNTIME_ATOMIC_LOCK}))
  (local.get $old))

;; What the memory holds afterwards. `operation` is the instruction's imm, with or without the fetch bit.
(func $atomic_result
  (param $operation i32) (param $bytes i32) (param $old i64) (param $operand i64) (param $expected i64) (result i64)
  (if (i32.eq (local.get $operation) (i32.const {ATOMIC.CMPXCHG}))
    (then
      (if (i32.eq (local.get $bytes) (i32.const 4))
        (then (local.set $expected (i64.and (local.get $expected) (i64.const 0xffffffff)))))
      (return
        (select
          (local.get $operand)
          (local.get $old)
          (i64.eq (local.get $old) (local.get $expected))))))
  (if (i32.eq (local.get $operation) (i32.const {ATOMIC.XCHG})) (then (return (local.get $operand))))
  (local.set $operation (i32.and (local.get $operation) (i32.const {~ATOMIC.FETCH})))
  (if (i32.eq (local.get $operation) (i32.const {ATOMIC.ADD}))
    (then (return (i64.add (local.get $old) (local.get $operand)))))
  (if (i32.eq (local.get $operation) (i32.const {ATOMIC.OR}))
    (then (return (i64.or (local.get $old) (local.get $operand)))))
  (if (i32.eq (local.get $operation) (i32.const {ATOMIC.AND}))
    (then (return (i64.and (local.get $old) (local.get $operand)))))
  (if (i32.eq (local.get $operation) (i32.const {ATOMIC.XOR}))
    (then (return (i64.xor (local.get $old) (local.get $operand)))))
  (unreachable))
