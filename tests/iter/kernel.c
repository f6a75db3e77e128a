// SPDX-License-Identifier: MIT
/*
 * The kernel's side of the comparison of iterators: loads the object beside, makes a map, reads iterators over it. Nothing is
 * attached to any hook: an iterator runs when it is read. Commands on standard input, a line each, an answer each:
 *   cpus                            ok N
 *   map TYPE KEY VALUE ENTRIES      ok          the map that is walked from now on
 *   set KEY VALUE                   ok          hexadecimal; of a per-CPU map the values of all CPUs
 *   get KEY                         ok VALUE
 *   global OFFSET VALUE             ok          a u64 of .bss
 *   globals                         ok HEX      of .bss
 *   attach PROGRAM                  ok          a link, and one walk of it begun
 *   read BYTES                      ok HEX
 * What fails answers: err ERRNO WHAT
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 1 << 19 };
static char line[2 * LINE];
static unsigned char key[64], value[LINE];

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static void fail(const char *what)
{
	printf("err %d %s\n", errno, what);
}

static size_t unhex(const char *text, unsigned char *to)
{
	size_t count = 0;
	unsigned byte;

	for (; text[0] > ' ' && sscanf(text, "%2x", &byte) == 1; text += 2)
		to[count++] = byte;
	return count;
}

static void answer(const unsigned char *bytes, size_t count)
{
	printf("ok ");
	for (size_t i = 0; i < count; i++)
		printf("%02x", bytes[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct bpf_link *link = NULL;
	struct bpf_map *bss = NULL;
	int map = -1, walk = -1, value_bytes = 0;

	libbpf_set_print(quiet);
	setvbuf(stdout, NULL, _IOLBF, 0);
	object = argc > 1 ? bpf_object__open(argv[1]) : NULL;
	if (!object || bpf_object__load(object)) {
		fail("load");
		return 1;
	}
	bpf_object__for_each_map(bss, object)
		if (strstr(bpf_map__name(bss), ".bss"))
			break;
	while (fgets(line, sizeof(line), stdin)) {
		char *command = strtok(line, " \n"), *first = strtok(NULL, " \n"), *rest = strtok(NULL, "\n");
		unsigned zero = 0;

		if (!command) {
			continue;
		} else if (!strcmp(command, "cpus")) {
			printf("ok %d\n", libbpf_num_possible_cpus());
		} else if (!strcmp(command, "map")) {
			int key_bytes, bytes, entries, type = atoi(first);

			sscanf(rest, "%d %d %d", &key_bytes, &bytes, &entries);
			if (map >= 0)
				close(map);
			map = bpf_map_create(type, "walked", key_bytes, bytes, entries, NULL);
			value_bytes = type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH
					      ? (bytes + 7) / 8 * 8 * libbpf_num_possible_cpus()
					      : bytes;
			if (map < 0)
				fail("map");
			else
				printf("ok\n");
		} else if (!strcmp(command, "set")) {
			unhex(first, key);
			unhex(rest, value);
			if (bpf_map_update_elem(map, key, value, 0))
				fail("set");
			else
				printf("ok\n");
		} else if (!strcmp(command, "get")) {
			unhex(first, key);
			if (bpf_map_lookup_elem(map, key, value))
				fail("get");
			else
				answer(value, value_bytes);
		} else if (!strcmp(command, "global")) {
			unsigned long long word = strtoull(rest, NULL, 0);

			bpf_map_lookup_elem(bpf_map__fd(bss), &zero, value);
			memcpy(value + atoi(first), &word, sizeof(word));
			bpf_map_update_elem(bpf_map__fd(bss), &zero, value, 0);
			printf("ok\n");
		} else if (!strcmp(command, "globals")) {
			bpf_map_lookup_elem(bpf_map__fd(bss), &zero, value);
			answer(value, bpf_map__value_size(bss));
		} else if (!strcmp(command, "attach")) {
			union bpf_iter_link_info info = {.map.map_fd = map};
			LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));
			struct bpf_program *program = bpf_object__find_program_by_name(object, first);

			if (walk >= 0)
				close(walk);
			bpf_link__destroy(link);
			walk = -1;
			link = bpf_program__attach_iter(program, map < 0 ? NULL : &options);
			if (!link) {
				fail("attach");
				continue;
			}
			walk = bpf_iter_create(bpf_link__fd(link));
			if (walk < 0)
				fail("create");
			else
				printf("ok\n");
		} else if (!strcmp(command, "read")) {
			int bytes = read(walk, value, atoi(first));

			if (bytes < 0)
				fail("read");
			else
				answer(value, bytes);
		}
	}
	return 0;
}
