;; What programs ask about the function that they run at. Whoever makes the ctx of such a program (arguments of a function,
;; registers) writes CTX_HEAD before it: the function's address and how many arguments follow, the result not counted.
;; Kernel: bpf_get_func_arg() and its like in kernel/trace/bpf_trace.c, bpf_get_attach_cookie_*().

(func (export "bpf_get_func_ip") (param $ctx i32) (result i64)
  (i64.load offset={CTX_HEAD.address} (i32.sub (local.get $ctx) (i32.const {CTX_HEAD.bytes}))))

(func $argument_count (param $ctx i32) (result i32)
  (i32.load offset={CTX_HEAD.arguments} (i32.sub (local.get $ctx) (i32.const {CTX_HEAD.bytes}))))

(func (export "bpf_get_func_arg_cnt") (param $ctx i32) (result i32)
  (call $argument_count (local.get $ctx)))

(func (export "bpf_get_func_arg") (param $ctx i32) (param $index i32) (param $to i32) (result i32)
  (if (i32.ge_u (local.get $index) (call $argument_count (local.get $ctx)))
    (then (return (i32.const {-EINVAL}))))
  (i64.store (local.get $to)
    (i64.load (i32.add (local.get $ctx) (i32.shl (local.get $index) (i32.const 3)))))
  (i32.const 0))

;; The result stands behind the arguments.
(func (export "bpf_get_func_ret") (param $ctx i32) (param $to i32) (result i32)
  (i64.store (local.get $to)
    (i64.load
      (i32.add (local.get $ctx) (i32.shl (call $argument_count (local.get $ctx)) (i32.const 3)))))
  (i32.const 0))

;; Of the link that runs; 0 where it was given none, and in a test run.
(func (export "bpf_get_attach_cookie") (param $ctx i32) (result i64)
  (i64.load offset={CPU.cookie} (call $current_cpu)))
