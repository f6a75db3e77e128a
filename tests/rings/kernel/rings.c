// SPDX-License-Identifier: MIT
/*
 * The kernel's side of the comparison of rings: perf buffers and BPF ring buffers that a test-run program writes to, read
 * raw. Plain system calls, no library; nothing is attached. Everything runs on CPU 0. Commands on standard input, a line
 * each, an answer each:
 *   map TYPE KEY VALUE ENTRIES FLAGS                 ok INDEX
 *   fill MAP                                         ok          element 0 of MAP: byte i is 3 * i
 *   perf MAP SLOT CPU PAGES TYPE WAKE WATERMARK BACKWARD WRITABLE
 *                                                    ok ID       opens and maps a buffer; CPU may be another than 0
 *   prog FRAGS INSNS                                 ok          an XDP program; map immediates are indices
 *   run HEX DATA_END                                 ok RETVAL   DATA_END 0: no context given
 *   seen                                             ok N        1 where the buffer of the last `perf` is readable since the last `seen`
 *   dump                                             ok HEAD TAIL HEX    data pages of the last `perf`
 *   tail N                                           ok          its data_tail
 *   ring MAP                                         ok PRODUCER CONSUMER HEX
 *   consume MAP N                                    ok
 *   pid                                              ok PID
 * What fails answers: err ERRNO WHAT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX = 64, LINE = 1 << 20 };
static struct { int fd, type; unsigned value, entries; } maps[MAX];
static int map_count, prog = -1, event = -1;
static struct perf_event_mmap_page *page;
static size_t data_bytes;
static char line[LINE];
static unsigned char bytes[LINE];
static char log_text[1 << 16];

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof *attr);
}

static void fail(const char *what)
{
	printf("err %d %s\n", errno, what);
}

static size_t unhex(const char *text)
{
	size_t count = 0;
	unsigned byte;

	for (; sscanf(text, "%2x", &byte) == 1 && text[0] > ' ' && text[1] > ' '; text += 2)
		bytes[count++] = byte;
	return count;
}

static void put_hex(const unsigned char *from, size_t count)
{
	while (count--)
		printf("%02x", *from++);
	putchar('\n');
}

static void make_map(unsigned type, unsigned key, unsigned value, unsigned entries, unsigned flags)
{
	union bpf_attr attr = { .map_type = type, .key_size = key, .value_size = value, .max_entries = entries, .map_flags = flags };

	maps[map_count].fd = bpf(BPF_MAP_CREATE, &attr);
	if (maps[map_count].fd < 0)
		return fail("map");
	maps[map_count].type = type;
	maps[map_count].value = value;
	maps[map_count].entries = entries;
	printf("ok %d\n", map_count++);
}

static void fill(int map)
{
	unsigned key = 0;
	unsigned char *value = malloc(maps[map].value);
	union bpf_attr attr = { .map_fd = maps[map].fd, .key = (unsigned long)&key, .value = (unsigned long)value };

	for (unsigned i = 0; i < maps[map].value; i++)
		value[i] = 3 * i;
	if (bpf(BPF_MAP_UPDATE_ELEM, &attr))
		fail("fill");
	else
		puts("ok");
	free(value);
}

static void open_buffer(int map, unsigned slot, int cpu, size_t pages, unsigned long type, unsigned wake, int watermark,
			int backward, int writable)
{
	struct perf_event_attr wanted = { .type = PERF_TYPE_SOFTWARE, .size = sizeof wanted, .config = PERF_COUNT_SW_BPF_OUTPUT };
	union bpf_attr attr = { .map_fd = maps[map].fd, .key = (unsigned long)&slot, .value = (unsigned long)&event };
	unsigned long id = 0;

	wanted.sample_type = type;
	wanted.wakeup_events = wake;
	wanted.watermark = watermark;
	wanted.write_backward = backward;
	wanted.sample_period = 1;
	event = syscall(SYS_perf_event_open, &wanted, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return fail("perf_event_open");
	data_bytes = pages * 4096;
	page = mmap(NULL, 4096 + data_bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, event, 0);
	if (page == MAP_FAILED)
		return fail("mmap");
	if (bpf(BPF_MAP_UPDATE_ELEM, &attr))
		return fail("update");
	ioctl(event, PERF_EVENT_IOC_ID, &id);
	printf("ok %lu\n", id);
}

static void load(int frags, const char *text)
{
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_XDP, .license = (unsigned long)"GPL" };
	struct bpf_insn *insns = (struct bpf_insn *)bytes;

	attr.insn_cnt = unhex(text) / sizeof *insns;
	attr.insns = (unsigned long)insns;
	attr.prog_flags = frags ? BPF_F_XDP_HAS_FRAGS : 0;
	attr.log_buf = (unsigned long)log_text;
	attr.log_size = sizeof log_text;
	attr.log_level = 1;
	for (unsigned i = 0; i < attr.insn_cnt; i++)
		if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW) && insns[i].src_reg)
			insns[i].imm = maps[insns[i].imm].fd;
	if (prog >= 0)
		close(prog);
	prog = bpf(BPF_PROG_LOAD, &attr);
	if (prog < 0)
		return fail(log_text);
	puts("ok");
}

static void run(const char *text, unsigned data_end)
{
	struct xdp_md context = { .data_end = data_end };
	union bpf_attr attr = { .test = { .prog_fd = prog, .data_in = (unsigned long)bytes } };

	attr.test.data_size_in = unhex(text);
	if (data_end) {
		attr.test.ctx_in = (unsigned long)&context;
		attr.test.ctx_size_in = sizeof context;
	}
	if (bpf(BPF_PROG_TEST_RUN, &attr))
		return fail("run");
	printf("ok %d\n", attr.test.retval);
}

/* Position pages of a BPF ring, and its data once. */
static void show_ring(int map, int write, unsigned long consumer)
{
	unsigned long *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, maps[map].fd, 0);
	unsigned long *theirs = mmap(NULL, 4096 + 2 * maps[map].entries, PROT_READ, MAP_SHARED, maps[map].fd, 4096);

	if (own == MAP_FAILED || theirs == MAP_FAILED)
		return fail("mmap ring");
	if (write) {
		own[0] = consumer;
		puts("ok");
	} else {
		printf("ok %lu %lu ", theirs[0], own[0]);
		put_hex((unsigned char *)theirs + 4096, maps[map].entries);
	}
	munmap(own, 4096);
	munmap(theirs, 4096 + 2 * maps[map].entries);
}

int main(void)
{
	unsigned a, b, c, d, e, f, g, h;
	unsigned long type;
	cpu_set_t cpus;
	int at;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof cpus, &cpus);
	while (fgets(line, sizeof line, stdin)) {
		errno = 0;
		if (sscanf(line, "map %u %u %u %u %u", &a, &b, &c, &d, &e) == 5)
			make_map(a, b, c, d, e);
		else if (sscanf(line, "fill %u", &a) == 1)
			fill(a);
		else if (sscanf(line, "perf %u %u %u %u %lu %u %u %u %u", &a, &b, &c, &d, &type, &e, &f, &g, &h) == 9)
			open_buffer(a, b, c, d, type, e, f, g, h);
		else if (sscanf(line, "prog %u %n", &a, &at) == 1)
			load(a, line + at);
		else if (sscanf(line, "run %n%*s %u", &at, &a) == 1)
			run(line + at, a);
		else if (!strncmp(line, "seen", 4)) {
			struct pollfd waiting = { .fd = event, .events = POLLIN };

			printf("ok %d\n", poll(&waiting, 1, 0) > 0 && (waiting.revents & POLLIN));
		} else if (!strncmp(line, "dump", 4)) {
			printf("ok %llu %llu ", page->data_head, page->data_tail);
			put_hex((unsigned char *)page + 4096, data_bytes);
		} else if (sscanf(line, "tail %lu", &type) == 1) {
			page->data_tail = type;
			puts("ok");
		} else if (sscanf(line, "ring %u", &a) == 1)
			show_ring(a, 0, 0);
		else if (sscanf(line, "consume %u %lu", &a, &type) == 2)
			show_ring(a, 1, type);
		else if (!strncmp(line, "pid", 3))
			printf("ok %d\n", getpid());
		else
			fail("command");
		fflush(stdout);
	}
	return 0;
}
