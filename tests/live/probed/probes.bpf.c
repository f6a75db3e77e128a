/* SPDX-License-Identifier: MIT
 * What programs of probes in user code see: registers, operands of USDT probes as libbpf's usdt.bpf.h finds them, user memory.
 */
#include "../../../examples/include/bpf.h"

static long (*const probe_read_kernel)(void *to, u32 bytes, const void *from) = (void *)113;
static long (*const probe_read_user_string)(void *to, u32 bytes, const void *from) = (void *)114;
static u64 (*const get_func_ip)(void *ctx) = (void *)173;
static u64 (*const get_attach_cookie)(void *ctx) = (void *)174;

char LICENSE[] SEC("license") = "GPL";

struct pt_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

struct call {
	u64 args[6];
	u64 stack[2];
	u64 address;
	u64 ip;
	u64 task;
	u64 time;
	u64 cookie;
	long text_result;
	char text[32];
	u32 kind;
};

struct call *call_type;

struct {
	MAP_NUMBER(type, MAP_RINGBUF);
	MAP_NUMBER(max_entries, 1 << 22);
} calls SEC(".maps");

static struct call *begin(struct pt_regs *regs, u32 kind)
{
	struct call *call = ringbuf_reserve(&calls, sizeof(*call), 0);

	if (!call)
		return 0;
	__builtin_memset(call, 0, sizeof(*call));
	call->kind = kind;
	call->address = get_func_ip(regs);
	call->ip = regs->ip;
	call->task = get_current_pid_tgid();
	call->time = ktime_get_ns();
	call->cookie = get_attach_cookie(regs);
	return call;
}

SEC("uprobe")
int on_enter(struct pt_regs *regs)
{
	struct call *call = begin(regs, 1);

	if (!call)
		return 0;
	call->args[0] = regs->di;
	call->args[1] = regs->si;
	call->args[2] = regs->dx;
	call->args[3] = regs->cx;
	call->args[4] = regs->r8;
	call->args[5] = regs->r9;
	call->text_result = probe_read_user_string(call->text, sizeof(call->text), (void *)regs->dx);
	ringbuf_submit(call, 0);
	return 0;
}

SEC("uretprobe")
int on_return(struct pt_regs *regs)
{
	struct call *call = begin(regs, 2);

	if (!call)
		return 0;
	call->args[0] = regs->ax;
	ringbuf_submit(call, 0);
	return 0;
}

SEC("uretprobe")
int on_label(struct pt_regs *regs)
{
	struct call *call = begin(regs, 4);

	if (!call)
		return 0;
	call->text_result = probe_read_user_string(call->text, sizeof(call->text), (void *)regs->ax);
	ringbuf_submit(call, 0);
	return 0;
}

/* Registers only: nothing of the traced memory is wanted. */
SEC("uprobe")
int on_same(struct pt_regs *regs)
{
	struct call *call = begin(regs, 3);

	if (!call)
		return 0;
	call->args[0] = regs->di;
	ringbuf_submit(call, 0);
	return 0;
}

enum __bpf_usdt_arg_type { USDT_CONST, USDT_REG, USDT_REG_DEREF, USDT_SIB };

struct __bpf_usdt_arg_spec {
	u64 val_off;
	enum __bpf_usdt_arg_type arg_type;
	short reg_off;
	_Bool arg_signed;
	char arg_bitshift;
	short idx_reg_off;
	char scale_bitshift;
};

struct __bpf_usdt_spec {
	struct __bpf_usdt_arg_spec args[12];
	u64 usdt_cookie;
	short arg_cnt;
};

struct {
	MAP_NUMBER(type, MAP_ARRAY);
	MAP_NUMBER(max_entries, 16);
	MAP_TYPE(key, int);
	MAP_TYPE(value, struct __bpf_usdt_spec);
} __bpf_usdt_specs SEC(".maps");

struct found {
	u64 values[6];
	long results[6];
	u64 cookie;
	u64 count;
	u64 time;
	char text[32];
};

struct found *found_type;

struct {
	MAP_NUMBER(type, MAP_RINGBUF);
	MAP_NUMBER(max_entries, 1 << 20);
} founds SEC(".maps");

static int look(struct pt_regs *regs, int text)
{
	int id = get_attach_cookie(regs);
	struct __bpf_usdt_spec *spec = map_lookup(&__bpf_usdt_specs, &id);
	struct found *found;

	if (!spec)
		return 0;
	found = ringbuf_reserve(&founds, sizeof(*found), 0);
	if (!found)
		return 0;
	__builtin_memset(found, 0, sizeof(*found));
	found->cookie = spec->usdt_cookie;
	found->count = spec->arg_cnt;
	found->time = ktime_get_ns();
#pragma unroll
	for (int i = 0; i < 6; i++) {
		struct __bpf_usdt_arg_spec *arg = &spec->args[i];
		u64 value = arg->val_off;
		u64 index = 0;

		if (arg->arg_type != USDT_CONST)
			probe_read_kernel(&value, sizeof(value), (void *)regs + arg->reg_off);
		if (arg->arg_type == USDT_SIB)
			probe_read_kernel(&index, sizeof(index), (void *)regs + arg->idx_reg_off);
		if (arg->arg_type == USDT_REG_DEREF || arg->arg_type == USDT_SIB)
			found->results[i] = probe_read_user(&value, sizeof(value),
							    (void *)value + (index << arg->scale_bitshift) + arg->val_off);
		value <<= arg->arg_bitshift;
		found->values[i] = arg->arg_signed ? (u64)((s64)value >> arg->arg_bitshift) : value >> arg->arg_bitshift;
	}
	if (text)
		probe_read_user_string(found->text, sizeof(found->text), (void *)found->values[2]);
	ringbuf_submit(found, 0);
	return 0;
}

SEC("usdt")
int on_order(struct pt_regs *regs)
{
	return look(regs, 1);
}

SEC("usdt")
int on_indexed(struct pt_regs *regs)
{
	return look(regs, 0);
}
