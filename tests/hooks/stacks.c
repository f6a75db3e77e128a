// SPDX-License-Identifier: MIT
/*
 * The kernel's side of the comparison of stack traces: test-runs the object's raw tracepoint program, which attaches nothing.
 * Commands on standard input, a line each, an answer each:
 *   run FLAGS BYTES     ok STACKID IDSID STACK BUFFER     what the helpers answered, and the buffer's bytes
 *   get MAP ID          ok VALUE
 *   delete MAP ID       ok
 *   take MAP ID         ok VALUE          looks up and deletes
 *   update MAP ID       ok
 *   next MAP ID         ok ID             ID -1: the first
 *   create FLAGS KEY VALUE ENTRIES        ok              a map of the type
 * What fails answers: err ERRNO
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct data {
	unsigned long long flags, bytes;
	long long stackid, idsid, stack;
	unsigned char buffer[256];
};

static unsigned char value[4096];
static char line[4096];

/* Without the C library's frames, which have no pointers to walk: build with -fno-omit-frame-pointer. */
static __attribute__((noinline)) long inner_run(union bpf_attr *attr)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(__NR_bpf), "D"(BPF_PROG_TEST_RUN), "S"(attr), "d"(sizeof(*attr))
			 : "rcx", "r11", "memory");
	return result;
}

static __attribute__((noinline)) long test_run(int program)
{
	union bpf_attr attr = {.test.prog_fd = program};
	long result = inner_run(&attr);

	return result + attr.test.flags;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static void answer(const unsigned char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("%02x", bytes[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	struct bpf_program *program, *each;
	struct bpf_object *object;
	struct bpf_map *map;
	int bss;

	libbpf_set_print(quiet);
	setvbuf(stdout, NULL, _IOLBF, 0);
	object = argc > 1 ? bpf_object__open(argv[1]) : NULL;
	if (!object)
		return 1;
	program = bpf_object__find_program_by_name(object, "on_raw");
	bpf_object__for_each_program(each, object)
		bpf_program__set_autoload(each, each == program);
	if (bpf_object__load(object)) {
		printf("err %d\n", errno);
		return 1;
	}
	bpf_object__for_each_map(map, object)
		if (strstr(bpf_map__name(map), ".bss"))
			break;
	bss = bpf_map__fd(map);
	while (fgets(line, sizeof(line), stdin)) {
		char command[16], first[32];
		long long words[4] = {0};
		unsigned zero = 0, key, next;
		int fd;

		sscanf(line, "%15s %31s", command, first);
		if (!strcmp(command, "run")) {
			struct data data = {0};

			sscanf(line, "%*s %lli %lli", &words[0], &words[1]);
			data.flags = words[0];
			data.bytes = words[1];
			memset(data.buffer, 0x55, sizeof(data.buffer));
			bpf_map_update_elem(bss, &zero, &data, 0);
			if (test_run(bpf_program__fd(program))) {
				printf("err\n");
				continue;
			}
			bpf_map_lookup_elem(bss, &zero, &data);
			printf("ok %lld %lld %lld ", data.stackid, data.idsid, data.stack);
			answer(data.buffer, sizeof(data.buffer));
			continue;
		}
		if (!strcmp(command, "create")) {
			LIBBPF_OPTS(bpf_map_create_opts, options);

			sscanf(line, "%*s %lli %lli %lli %lli", &words[0], &words[1], &words[2], &words[3]);
			options.map_flags = words[0];
			fd = bpf_map_create(BPF_MAP_TYPE_STACK_TRACE, "made", words[1], words[2], words[3], &options);
			if (fd < 0) {
				printf("err %d\n", errno);
			} else {
				printf("ok\n");
				close(fd);
			}
			continue;
		}
		sscanf(line, "%*s %*s %lli", &words[0]);
		fd = bpf_object__find_map_fd_by_name(object, first);
		key = words[0];
		if (!strcmp(command, "get") && !bpf_map_lookup_elem(fd, &key, value)) {
			printf("ok ");
			answer(value, !strcmp(first, "stacks") ? 64 : 128);
		} else if (!strcmp(command, "delete") && !bpf_map_delete_elem(fd, &key)) {
			printf("ok\n");
		} else if (!strcmp(command, "next") && !bpf_map_get_next_key(fd, words[0] < 0 ? NULL : &key, &next)) {
			printf("ok %u\n", next);
		} else if (!strcmp(command, "take") && !bpf_map_lookup_and_delete_elem(fd, &key, value)) {
			printf("ok ");
			answer(value, 64);
		} else if (!strcmp(command, "update") && !bpf_map_update_elem(fd, &key, value, 0)) {
			printf("ok\n");
		} else {
			printf("err %d\n", errno);
		}
	}
	return 0;
}
