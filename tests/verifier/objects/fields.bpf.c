// Special fields in map values and data sections: locks, timers, kept pointers, lists, trees. Built by build.sh.
#include "../../object/fixtures/fixture.h"

#define __ksym __attribute__((section(".ksyms")))
#define __kptr __attribute__((btf_type_tag("kptr")))
#define HASH 1
#define PERCPU_HASH 5

static long (*const bpf_spin_lock)(void *lock) = (void *)93;
static long (*const bpf_spin_unlock)(void *lock) = (void *)94;
static long (*const bpf_timer_init)(void *timer, void *map, u64 flags) = (void *)169;
static long (*const bpf_timer_set_callback)(void *timer, void *callback) = (void *)170;
static long (*const bpf_timer_start)(void *timer, u64 nanoseconds, u64 flags) = (void *)171;
static void *(*const bpf_kptr_xchg)(void *place, void *pointer) = (void *)194;

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));
struct bpf_spin_lock { u32 word; };
struct bpf_timer { u64 words[2]; } __attribute__((aligned(8)));
struct bpf_list_head { u64 words[2]; };
struct bpf_list_node { u64 words[3]; };
struct bpf_rb_root { u64 words[2]; };
struct bpf_rb_node { u64 words[4]; };
struct bpf_refcount { u32 words[1]; };

extern void *bpf_obj_new_impl(u64 type, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       _Bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, u64 off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

#define private(name) SEC(".data." #name) __attribute__((visibility("hidden"), aligned(8)))
#define holds(type, node) __attribute__((btf_decl_tag("contains:" #type ":" #node)))
#define object_of(pointer, type, member) ((type *)((void *)(pointer) - __builtin_offsetof(type, member)))
#define make(type) ((type *)bpf_obj_new_impl(__builtin_btf_type_id(*(type *)0, 0), 0))

struct berry {
	long weight;
	struct bpf_list_node link;
	struct bpf_rb_node branch;
	struct bpf_refcount count;
};

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head list holds(berry, link);
private(A) struct bpf_rb_root tree holds(berry, branch);
private(B) struct bpf_spin_lock other;
private(C) struct bpf_list_head unguarded holds(berry, link);

struct value {
	struct bpf_timer timer;
	struct bpf_spin_lock lock;
	struct task_struct __kptr *task;
};
struct {
	NUMBER(type, HASH);
	NUMBER(max_entries, 16);
	TYPE(key, int);
	TYPE(value, struct value);
} values SEC(".maps");
/* No map of this type has timers: it is made without types. */
struct {
	NUMBER(type, PERCPU_HASH);
	NUMBER(max_entries, 16);
	TYPE(key, int);
	TYPE(value, struct value);
} untyped SEC(".maps");

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return object_of(a, struct berry, branch)->weight < object_of(b, struct berry, branch)->weight;
}

SEC("tc") int push(void *ctx)
{
	struct berry *berry = make(struct berry);
	if (!berry) return 0;
	berry->weight = 7;
	bpf_spin_lock(&lock);
	bpf_list_push_front_impl(&list, &berry->link, 0, 0);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc") int push_under_another_lock(void *ctx)
{
	struct berry *berry = make(struct berry);
	if (!berry) return 0;
	bpf_spin_lock(&other);
	bpf_list_push_front_impl(&list, &berry->link, 0, 0);
	bpf_spin_unlock(&other);
	return 0;
}

SEC("tc") int add(void *ctx)
{
	struct berry *berry = make(struct berry);
	if (!berry) return 0;
	bpf_spin_lock(&lock);
	bpf_rbtree_add_impl(&tree, &berry->branch, less, 0, 0);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc") int drain(void *ctx)
{
	for (int i = 0; i < 10; i++) {
		bpf_spin_lock(&lock);
		struct bpf_list_node *node = bpf_list_pop_front(&list);
		bpf_spin_unlock(&lock);
		if (!node) break;
		bpf_obj_drop_impl(object_of(node, struct berry, link), 0);
	}
	return 0;
}

SEC("tc") int lightest(void *ctx)
{
	long weight = 0;
	bpf_spin_lock(&lock);
	struct bpf_rb_node *node = bpf_rbtree_first(&tree);
	if (node) weight = object_of(node, struct berry, branch)->weight;
	bpf_spin_unlock(&lock);
	return weight;
}

SEC("tc") int pop_unguarded(void *ctx)
{
	return bpf_list_pop_front(&unguarded) != 0;
}

SEC("tc") int read_lock(void *ctx)
{
	return *(volatile int *)&lock;
}

static int ring(void *map, int *key, struct value *value)
{
	bpf_timer_start(&value->timer, 1000, 0);
	return 0;
}

SEC("tc") int start_timer(void *ctx)
{
	int key = 1;
	struct value *value = map_lookup(&values, &key);
	if (!value) return 0;
	bpf_timer_init(&value->timer, &values, 1);
	bpf_timer_set_callback(&value->timer, ring);
	bpf_timer_start(&value->timer, 1000, 0);
	return 0;
}

SEC("tc") int start_untyped_timer(void *ctx)
{
	int key = 1;
	struct value *value = map_lookup(&untyped, &key);
	if (!value) return 0;
	bpf_timer_start(&value->timer, 1000, 0);
	return 0;
}

SEC("tc") int keep(void *ctx)
{
	int key = 1;
	struct value *value = map_lookup(&values, &key);
	if (!value) return 0;
	struct task_struct *task = bpf_task_from_pid(1);
	if (!task) return 0;
	task = bpf_kptr_xchg(&value->task, task);
	if (task) bpf_task_release(task);
	return 0;
}

SEC("tc") int take_and_forget(void *ctx)
{
	int key = 1;
	struct value *value = map_lookup(&values, &key);
	if (!value) return 0;
	return bpf_kptr_xchg(&value->task, 0) != 0;
}

SEC("tc") int look(void *ctx)
{
	int key = 1;
	struct value *value = map_lookup(&values, &key);
	if (!value || !value->task) return 0;
	return value->task->pid;
}

LICENSE;
