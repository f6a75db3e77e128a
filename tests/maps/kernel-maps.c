/*
 * Does map operations through bpf() as told: one operation a line on standard input, one answer a line on standard output.
 * Creates maps and works on them as a user does; loads no program. Numbers are decimal, bytes hexadecimal.
 *
 *   cpus                                number of possible CPUs
 *   create TYPE KEY VALUE ENTRIES FLAGS 0 or -errno; the map that the lines below work on
 *   update KEY VALUE FLAGS              0 or -errno (per-CPU value: all CPUs', each padded to 8 bytes)
 *   lookup KEY | take KEY               the value, or -errno (take: lookup and delete)
 *   delete KEY | freeze                 0 or -errno
 *   next KEY | next -                   the key behind it, or -errno
 *   keys                                all keys, sorted
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_BYTES (1 << 20)

static unsigned char key[MAX_BYTES], next_key[MAX_BYTES], value[MAX_BYTES];
static char line[4 * MAX_BYTES], words[5][2 * MAX_BYTES + 1];
static int map_fd = -1;
static unsigned int key_size, value_bytes, cpus;

static unsigned int possible_cpus(void)
{
	FILE *file = fopen("/sys/devices/system/cpu/possible", "r");
	unsigned int first = 0, last = 0;
	if (!file)
		return 0;
	if (fscanf(file, "%u-%u", &first, &last) < 2)
		last = first;
	fclose(file);
	return last + 1;
}

static int bpf(int command, union bpf_attr *attr)
{
	int result = syscall(SYS_bpf, command, attr, sizeof(*attr));
	return result < 0 ? -errno : result;
}

static void from_hex(const char *text, unsigned char *bytes)
{
	for (unsigned int byte; sscanf(text, "%2x", &byte) == 1; text += 2)
		*bytes++ = byte;
}

static void print_hex(const unsigned char *bytes, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		printf("%02x", bytes[i]);
}

static int on_element(int command, unsigned long long flags)
{
	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = map_fd;
	/* a map without keys takes no pointer to one */
	attr.key = key_size ? (unsigned long)key : 0;
	/* a field that a command does not have must be 0 */
	attr.value = command == BPF_MAP_DELETE_ELEM ? 0 : (unsigned long)value;
	attr.flags = flags;
	return bpf(command, &attr);
}

static int next_of(int has_key)
{
	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = map_fd;
	attr.key = has_key ? (unsigned long)key : 0;
	attr.next_key = (unsigned long)next_key;
	return bpf(BPF_MAP_GET_NEXT_KEY, &attr);
}

static int create(unsigned int type, unsigned int entries, unsigned int flags, unsigned int value_size)
{
	union bpf_attr attr;
	int is_per_cpu = type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
			 type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
	if (map_fd >= 0)
		close(map_fd);
	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = key_size;
	attr.value_size = value_size;
	attr.max_entries = entries;
	attr.map_flags = flags;
	map_fd = bpf(BPF_MAP_CREATE, &attr);
	value_bytes = is_per_cpu ? (value_size + 7) / 8 * 8 * cpus : value_size;
	return map_fd < 0 ? map_fd : 0;
}

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, key_size);
}

static void print_keys(void)
{
	unsigned int count = 0;
	unsigned char *all = malloc(MAX_BYTES);
	for (int error = next_of(0); error == 0 && (count + 1) * key_size <= MAX_BYTES; error = next_of(1)) {
		memcpy(all + count++ * key_size, next_key, key_size);
		memcpy(key, next_key, key_size);
	}
	qsort(all, count, key_size, compare_keys);
	for (unsigned int i = 0; i < count; i++) {
		if (i)
			putchar(' ');
		print_hex(all + i * key_size, key_size);
	}
	putchar('\n');
	free(all);
}

static void answer_bytes(int error, const unsigned char *bytes, unsigned int count)
{
	if (error)
		printf("%d\n", error);
	else {
		print_hex(bytes, count);
		putchar('\n');
	}
}

static void answer(int count)
{
	const char *what = words[0];
	union bpf_attr attr;
	if (!strcmp(what, "cpus")) {
		printf("%u\n", cpus);
	} else if (!strcmp(what, "create") && count == 5) {
		unsigned int type, entries, flags, value_size;
		sscanf(line, "create %u %u %u %u %u", &type, &key_size, &value_size, &entries, &flags);
		printf("%d\n", create(type, entries, flags, value_size));
	} else if (!strcmp(what, "update")) {
		from_hex(words[1], key);
		from_hex(words[2], value);
		printf("%d\n", on_element(BPF_MAP_UPDATE_ELEM, strtoull(words[3], NULL, 10)));
	} else if (!strcmp(what, "lookup") || !strcmp(what, "take")) {
		from_hex(words[1], key);
		answer_bytes(on_element(*what == 'l' ? BPF_MAP_LOOKUP_ELEM : BPF_MAP_LOOKUP_AND_DELETE_ELEM, 0), value, value_bytes);
	} else if (!strcmp(what, "delete")) {
		from_hex(words[1], key);
		printf("%d\n", on_element(BPF_MAP_DELETE_ELEM, 0));
	} else if (!strcmp(what, "freeze")) {
		memset(&attr, 0, sizeof(attr));
		attr.map_fd = map_fd;
		printf("%d\n", bpf(BPF_MAP_FREEZE, &attr));
	} else if (!strcmp(what, "next")) {
		from_hex(words[1], key);
		answer_bytes(next_of(*words[1] != '-'), next_key, key_size);
	} else if (!strcmp(what, "keys")) {
		print_keys();
	} else {
		printf("?\n");
	}
}

int main(void)
{
	cpus = possible_cpus();
	while (fgets(line, sizeof(line), stdin)) {
		int count = sscanf(line, "%s %s %s %s %s", words[0], words[1], words[2], words[3], words[4]);
		answer(count);
	}
	return 0;
}
