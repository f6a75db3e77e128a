/* SPDX-License-Identifier: MIT
 *
 * What the examples need to know of BPF, and nothing more: section and map-definition macros, the maps and helpers in
 * use (numbers as in the kernel's uapi), and the tracepoint records as their format files lay them out.
 */
#ifndef EXAMPLES_BPF_H
#define EXAMPLES_BPF_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int s32;
typedef signed long long s64;

#define SEC(name) __attribute__((section(name), used))
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* A member of a map definition: its type carries the number or the type. */
#define MAP_NUMBER(name, value) int(*name)[value]
#define MAP_TYPE(name, value) value *name

enum map_type {
	MAP_HASH = 1,
	MAP_ARRAY = 2,
	MAP_PERF_EVENT_ARRAY = 4,
	MAP_PERCPU_ARRAY = 6,
	MAP_RINGBUF = 27,
};

enum update_flag { UPDATE_ANY = 0, UPDATE_NOEXIST = 1, UPDATE_EXIST = 2 };

/* perf_event_output: the buffer of the CPU that runs the program */
#define CURRENT_CPU 0xffffffffULL

#define COMM_BYTES 16

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const map_delete)(void *map, const void *key) = (void *)3;
static u64 (*const ktime_get_ns)(void) = (void *)5;
static u64 (*const get_current_pid_tgid)(void) = (void *)14;
static u64 (*const get_current_uid_gid)(void) = (void *)15;
static long (*const get_current_comm)(void *to, u32 bytes) = (void *)16;
static long (*const perf_event_output)(void *ctx, void *map, u64 flags, void *data, u64 bytes) = (void *)25;
static long (*const probe_read_user)(void *to, u32 bytes, const void *from) = (void *)112;
static long (*const probe_read_user_str)(void *to, u32 bytes, const void *from) = (void *)114;
static long (*const probe_read_kernel_str)(void *to, u32 bytes, const void *from) = (void *)115;
static long (*const ringbuf_output)(void *map, void *data, u64 bytes, u64 flags) = (void *)130;
static void *(*const ringbuf_reserve)(void *map, u64 bytes, u64 flags) = (void *)131;
static void (*const ringbuf_submit)(void *record, u64 flags) = (void *)132;

/* A string behind the record: where it starts in the low half, its length in the high half. */
#define DATA_LOC_OFFSET(location) ((location) & 0xffff)

/* The head of every tracepoint record; programs may not read it. */
struct trace_head {
	u16 common_type;
	u8 common_flags;
	u8 common_preempt_count;
	s32 common_pid;
};

struct sched_switch {
	struct trace_head head;
	char prev_comm[COMM_BYTES];
	s32 prev_pid;
	s32 prev_prio;
	s64 prev_state;
	char next_comm[COMM_BYTES];
	s32 next_pid;
	s32 next_prio;
};

/* sched_wakeup and sched_wakeup_new */
struct sched_wakeup {
	struct trace_head head;
	char comm[COMM_BYTES];
	s32 pid;
	s32 prio;
	s32 target_cpu;
};

struct sched_process_exec {
	struct trace_head head;
	u32 filename;
	s32 pid;
	s32 old_pid;
};

struct sched_process_exit {
	struct trace_head head;
	char comm[COMM_BYTES];
	s32 pid;
	s32 prio;
};

struct sys_enter_execve {
	struct trace_head head;
	s32 __syscall_nr;
	u32 : 32;
	const char *filename;
	const char *const *argv;
	const char *const *envp;
};

/* of every system call */
struct sys_exit {
	struct trace_head head;
	s32 __syscall_nr;
	u32 : 32;
	s64 ret;
};

struct sys_enter_openat {
	struct trace_head head;
	s32 __syscall_nr;
	u32 : 32;
	u64 dfd;
	const char *filename;
	u64 flags;
	u64 mode;
};

#endif
