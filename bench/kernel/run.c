// SPDX-License-Identifier: MIT
/*
 * The kernel's side of the benchmark: loads programs that bpfjit has relocated and runs them by BPF_PROG_TEST_RUN.
 * Plain bpf() system calls, no library. Commands on standard input, a line each; an answer a command:
 *   map TYPE KEY VALUE ENTRIES FLAGS        ok INDEX
 *   init MAP HEX                            ok            value of element 0
 *   fill MAP OFFSET HEX                     ok            bytes into element 0 of a map made with BPF_F_MMAPABLE
 *   perf MAP PAGES                          ok            a buffer of PAGES pages for every CPU
 *   prog TYPE FUNCS INSNS                   ok INDEX      FUNCS: function starts, comma separated; INSNS: hex; map immediates are indices
 *   slot MAP INDEX PROG                     ok            a program into a prog array
 *   run PROG REPEAT                         ok NS         average duration of a run; rings are drained afterwards
 * What fails answers: err ERRNO WHAT [the verifier's last line]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX = 256, LOG = 1 << 20 };
static struct { int fd, type; unsigned value, entries; char *memory; } maps[MAX];
static int progs[MAX], map_count, prog_count;
static struct { struct perf_event_mmap_page *page; } buffers[MAX];
static int buffer_count;
static char log_text[LOG];

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof *attr);
}

static void fail(const char *what)
{
	char *end = log_text + strlen(log_text), *line;

	printf("err %d %s", errno, what);
	while (end > log_text && end[-1] == '\n')
		*--end = 0;
	line = strstr(log_text, "\nprocessed ");
	if (line)
		*line = 0;
	line = strrchr(log_text, '\n');
	printf(" %s\n", line ? line + 1 : log_text);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void unhex(const char *text, unsigned char *out)
{
	for (; digit(text[0]) >= 0 && digit(text[1]) >= 0; text += 2)
		*out++ = digit(text[0]) << 4 | digit(text[1]);
}

/* The kernel wants a function of known linkage behind every callback: int f(void), static. */
static int minimal_btf(void)
{
	static struct {
		struct btf_header header;
		struct btf_type integer;
		__u32 encoding;
		struct btf_type proto, function;
		char strings[8];
	} __attribute__((packed)) blob = {
		.header = { .magic = BTF_MAGIC, .version = BTF_VERSION, .hdr_len = sizeof(struct btf_header) },
		.integer = { .name_off = 1, .info = BTF_KIND_INT << 24, .size = 4 },
		.encoding = BTF_INT_SIGNED << 24 | 32,
		.proto = { .info = BTF_KIND_FUNC_PROTO << 24, .type = 1 },
		.function = { .name_off = 5, .info = BTF_KIND_FUNC << 24 | BTF_FUNC_STATIC, .type = 2 },
		.strings = "\0int\0f\0",
	};
	union bpf_attr attr = { .btf = (unsigned long)&blob, .btf_size = sizeof blob };

	blob.header.type_len = sizeof blob - sizeof blob.header - sizeof blob.strings;
	blob.header.str_off = blob.header.type_len;
	blob.header.str_len = sizeof blob.strings;
	return bpf(BPF_BTF_LOAD, &attr);
}

static void make_map(int type, unsigned key, unsigned value, unsigned entries, unsigned flags)
{
	union bpf_attr attr = { .map_type = type, .key_size = key, .value_size = value, .max_entries = entries, .map_flags = flags };
	int fd = bpf(BPF_MAP_CREATE, &attr);

	if (fd < 0 || map_count == MAX)
		return fail("map");
	maps[map_count].fd = fd;
	maps[map_count].type = type;
	maps[map_count].value = value;
	maps[map_count].entries = entries;
	if (flags & BPF_F_MMAPABLE) {
		char *memory = mmap(NULL, (size_t)value * entries, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (memory == MAP_FAILED)
			return fail("mmap");
		maps[map_count].memory = memory;
	}
	if (type == BPF_MAP_TYPE_RINGBUF) {
		char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (memory == MAP_FAILED)
			return fail("mmap ring");
		maps[map_count].memory = memory;
	}
	printf("ok %d\n", map_count++);
}

static void init_map(int map, const char *hex)
{
	unsigned char *value = calloc(1, maps[map].value + 1);
	unsigned key = 0;
	union bpf_attr attr = { .map_fd = maps[map].fd, .key = (unsigned long)&key, .value = (unsigned long)value };

	unhex(hex, value);
	if (bpf(BPF_MAP_UPDATE_ELEM, &attr) < 0)
		fail("init");
	else
		puts("ok");
	free(value);
}

static void make_perf_buffers(int map, int pages)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (unsigned cpu = 0; cpu < (unsigned)cpus; cpu++) {
		/* Wake-ups would cost far more than the output: none before the buffer is half full. */
		struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_BPF_OUTPUT,
						 .sample_type = PERF_SAMPLE_RAW, .sample_period = 1, .watermark = 1,
						 .wakeup_watermark = pages * 4096 / 2 };
		int fd = syscall(SYS_perf_event_open, &event, -1, cpu, -1, 0);
		union bpf_attr attr = { .map_fd = maps[map].fd, .key = (unsigned long)&cpu, .value = (unsigned long)&fd };
		void *page;

		if (fd < 0)
			return fail("perf_event_open");
		page = mmap(NULL, (pages + 1) * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (page == MAP_FAILED)
			return fail("mmap perf");
		if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0 || bpf(BPF_MAP_UPDATE_ELEM, &attr) < 0)
			return fail("perf");
		buffers[buffer_count++].page = page;
	}
	puts("ok");
}

static void load_program(int type, char *functions, const char *hex)
{
	static int btf = -1;
	size_t count = strlen(hex) / 16;
	struct bpf_insn *insns = calloc(count + 1, sizeof *insns);
	struct bpf_func_info infos[MAX];
	int info_count = 0, fd;
	union bpf_attr attr = { 0 };

	if (btf < 0)
		btf = minimal_btf();
	unhex(hex, (unsigned char *)insns);
	for (size_t i = 0; i < count; i++)
		if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW)) {
			if (insns[i].src_reg == BPF_PSEUDO_MAP_FD || insns[i].src_reg == BPF_PSEUDO_MAP_VALUE)
				insns[i].imm = maps[insns[i].imm].fd;
			i++;
		}
	for (char *f = strtok(functions, ","); f && info_count < MAX; f = strtok(NULL, ","))
		infos[info_count++] = (struct bpf_func_info){ .insn_off = atoi(f), .type_id = 3 };
	attr.prog_type = type;
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = count;
	attr.license = (unsigned long)"GPL";
	attr.log_buf = (unsigned long)log_text;
	attr.log_size = LOG;
	attr.log_level = 1;
	attr.prog_btf_fd = btf;
	attr.func_info = (unsigned long)infos;
	attr.func_info_cnt = info_count;
	attr.func_info_rec_size = sizeof infos[0];
	log_text[0] = 0;
	fd = bpf(BPF_PROG_LOAD, &attr);
	free(insns);
	if (fd < 0 || prog_count == MAX)
		return fail("prog");
	progs[prog_count] = fd;
	printf("ok %d\n", prog_count++);
}

static void fill_slot(int map, unsigned index, int program)
{
	union bpf_attr attr = { .map_fd = maps[map].fd, .key = (unsigned long)&index, .value = (unsigned long)&progs[program] };

	if (bpf(BPF_MAP_UPDATE_ELEM, &attr) < 0)
		fail("slot");
	else
		puts("ok");
}

static void drain(void)
{
	for (int i = 0; i < buffer_count; i++)
		__atomic_store_n(&buffers[i].page->data_tail, __atomic_load_n(&buffers[i].page->data_head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	for (int i = 0; i < map_count; i++)
		if (maps[i].type == BPF_MAP_TYPE_RINGBUF) {
			/* The producer's page is the second one of the mapping. */
			unsigned long *producer = mmap(NULL, 4096, PROT_READ, MAP_SHARED, maps[i].fd, 4096);

			if (producer == MAP_FAILED)
				continue;
			__atomic_store_n((unsigned long *)maps[i].memory, __atomic_load_n(producer, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
			munmap(producer, 4096);
		}
}

static void run(int program, int repeat, unsigned bytes)
{
	static unsigned char packet[2048];
	union bpf_attr attr = { .test = { .prog_fd = progs[program], .data_size_in = bytes, .data_in = (unsigned long)packet,
					  .repeat = repeat } };

	if (bpf(BPF_PROG_TEST_RUN, &attr) < 0)
		return fail("run");
	drain();
	printf("ok %u\n", attr.test.duration);
}

int main(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char *line = NULL;
	size_t room = 0;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	while (getline(&line, &room, stdin) > 0) {
		char *word = strtok(line, " \n"), *arg[5] = { "", "", "", "", "" };

		if (!word)
			continue;
		for (int i = 0; i < 5; i++) {
			char *next = strtok(NULL, " \n");

			if (!next)
				break;
			arg[i] = next;
		}
		if (!strcmp(word, "map"))
			make_map(atoi(arg[0]), atoi(arg[1]), atoi(arg[2]), strtoul(arg[3], NULL, 0), strtoul(arg[4], NULL, 0));
		else if (!strcmp(word, "init"))
			init_map(atoi(arg[0]), arg[1]);
		else if (!strcmp(word, "fill")) {
			unhex(arg[2], (unsigned char *)maps[atoi(arg[0])].memory + atoi(arg[1]));
			puts("ok");
		} else if (!strcmp(word, "perf"))
			make_perf_buffers(atoi(arg[0]), atoi(arg[1]));
		else if (!strcmp(word, "prog"))
			load_program(atoi(arg[0]), arg[1], arg[2]);
		else if (!strcmp(word, "slot"))
			fill_slot(atoi(arg[0]), atoi(arg[1]), atoi(arg[2]));
		else if (!strcmp(word, "run"))
			run(atoi(arg[0]), atoi(arg[1]), *arg[2] ? atoi(arg[2]) : 64);
		else
			printf("err %d unknown command\n", EINVAL);
		fflush(stdout);
	}
	return 0;
}
