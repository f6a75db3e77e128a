;; Imports and the function types that cross modules. Every other .wat file holds functions of one subject; build.ts
;; puts them into one module, this file first. A name in braces is a number from the tables in spec/, put in by build.ts.
;;
;; No function keeps state in a global and none needs a data segment: all state is in the arena, so that several modules
;; and several workers see one world.
(import "env" "memory" (memory $memory 1 65536 shared))
(import "env" "table" (table $table 0 funcref))
(import "env" "worker" (global $worker i32))
(import "host" "now" (func $host_now))
(import "host" "task_struct" (func $host_task_struct (param i32) (result i32)))
(import "host" "read_foreign" (func $host_read_foreign (param i32 i32 i32 i32 i32) (result i32)))
(import "host" "watch_read" (func $host_watch_read (param i32 i32 i32)))
(import "host" "contended" (func $host_contended (param i32 i32 i32)))

;; A program's main function: address of its ctx → return value. Its batch: (events, how many) → how many ran.
(type $program (func (param i32) (result i64)))
(type $batch (func (param i32 i32) (result i32)))
