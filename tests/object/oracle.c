/*
 * Prints, as JSON lines, what libbpf would hand to the kernel for each program of an object. No system call that creates
 * anything gets through: maps, programs and BTF are files in memory, so neither rights nor a kernel of some version matter.
 *
 *     cc -O2 -D_GNU_SOURCE oracle.c -Wl,--wrap=syscall -lbpf -lelf -lz -o oracle
 *     oracle OBJECT [TARGET-BTF]
 *
 * Descriptors in map references are replaced by the map's index, as bpfjit numbers them.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct bpf_object *object;
/* the program that is being loaded; libbpf's probes have other names */
static const char *loading;

long __real_syscall(long number, ...);

static int placeholder(void)
{
	int fd = memfd_create("oracle", MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, 1 << 28)) return -1;
	return fd;
}

static int map_index(int fd)
{
	struct bpf_map *map;
	int index = 0;
	bpf_object__for_each_map(map, object) {
		if (bpf_map__fd(map) == fd) return index;
		index++;
	}
	return -1;
}

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\') putchar('\\');
		if ((unsigned char)*text >= 32) putchar(*text);
	}
	putchar('"');
}

static void print_load(const union bpf_attr *attr)
{
	printf("{\"load\":\"%.16s\",\"type\":%u,\"attachType\":%u,\"flags\":%u,\"attachBtfId\":%u", attr->prog_name,
	       attr->prog_type, attr->expected_attach_type, attr->prog_flags, attr->attach_btf_id);
	printf(",\"functions\":[");
	for (unsigned i = 0; i < attr->func_info_cnt; i++) {
		const unsigned *record = (const void *)(unsigned long)(attr->func_info + i * attr->func_info_rec_size);
		printf("%s[%u,%u]", i ? "," : "", record[0], record[1]);
	}
	printf("],\"lines\":[");
	for (unsigned i = 0; i < attr->line_info_cnt; i++) {
		const unsigned *record = (const void *)(unsigned long)(attr->line_info + i * attr->line_info_rec_size);
		printf("%s[%u,%u,%u]", i ? "," : "", record[0], record[3] >> 10, record[3] & 1023);
	}
	printf("],");
}

/* After the load, when maps have their descriptors. */
static void print_insns(const struct bpf_program *program)
{
	const struct bpf_insn *insns = bpf_program__insns(program);

	printf("\"insns\":\"");
	for (size_t i = 0; i < bpf_program__insn_cnt(program); i++) {
		struct bpf_insn insn = insns[i];
		const unsigned char *bytes = (const void *)&insn;
		if (insn.code == (BPF_LD | BPF_IMM | BPF_DW) && (insn.src_reg == BPF_PSEUDO_MAP_FD || insn.src_reg == BPF_PSEUDO_MAP_VALUE))
			insn.imm = map_index(insn.imm);
		for (unsigned b = 0; b < 8; b++) printf("%02x", bytes[b]);
	}
	printf("\"}\n");
}

long __wrap_syscall(long number, ...)
{
	va_list list;
	long args[6];
	va_start(list, number);
	for (int i = 0; i < 6; i++) args[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_bpf) {
		union bpf_attr *attr = (void *)args[1];
		switch (args[0]) {
		case BPF_PROG_LOAD:
			if (object && loading && attr->insn_cnt && strncmp(attr->prog_name, loading, 15) == 0) print_load(attr);
			return placeholder();
		case BPF_MAP_CREATE:
		case BPF_BTF_LOAD:
			return placeholder();
		case BPF_MAP_UPDATE_ELEM:
		case BPF_MAP_FREEZE:
		case BPF_PROG_BIND_MAP:
			return 0;
		case BPF_BTF_GET_NEXT_ID:
			errno = ENOENT;
			return -1;
		case 36: /* BPF_TOKEN_CREATE */
			errno = EINVAL;
			return -1;
		default:
			break;
		}
	}
	return __real_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static int print_message(enum libbpf_print_level level, const char *format, va_list list)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, list) : 0;
}

static const char *path, *target_btf;

static struct bpf_object *open_object(void)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	if (target_btf) options.btf_custom_path = target_btf;
	return bpf_object__open_file(path, &options);
}

/* Each program in an object of its own, so that one that fails hides no other. */
static int load_alone(int wanted, int without_attach)
{
	struct bpf_program *program;
	struct bpf_map *map;
	int index = 0, error;

	object = open_object();
	if (!object) return errno;
	bpf_object__for_each_map(map, object) bpf_map__set_pin_path(map, NULL);
	bpf_object__for_each_program(program, object) {
		bpf_program__set_autoload(program, index == wanted);
		if (index == wanted) loading = bpf_program__name(program);
		/* A program without section handler has no attach target to look up; its instructions are the same. */
		if (index == wanted && without_attach) bpf_program__set_type(program, BPF_PROG_TYPE_LIRC_MODE2);
		index++;
	}
	error = bpf_object__load(object) ? errno : 0;
	index = 0;
	if (!error)
		bpf_object__for_each_program(program, object)
			if (index++ == wanted) print_insns(program);
	bpf_object__close(object);
	object = NULL;
	return error;
}

int main(int argc, char **argv)
{
	struct bpf_object *opened;
	struct bpf_program *program;
	struct bpf_map *map;
	int count = 0;

	if (argc < 2) return 2;
	path = argv[1];
	if (argc > 2) target_btf = argv[2];
	libbpf_set_print(print_message);
	opened = open_object();
	if (!opened) {
		printf("{\"error\":%d}\n", errno);
		return 0;
	}
	bpf_object__for_each_map(map, opened) {
		size_t bytes = 0;
		const unsigned char *initial = bpf_map__initial_value(map, &bytes);
		printf("{\"map\":");
		print_string(bpf_map__name(map));
		printf(",\"type\":%u,\"key\":%u,\"value\":%u,\"entries\":%u,\"flags\":%u,\"extra\":\"%llu\",\"numa\":%u,\"pinned\":%s,\"inner\":%s",
		       bpf_map__type(map), bpf_map__key_size(map), bpf_map__value_size(map), bpf_map__max_entries(map),
		       bpf_map__map_flags(map), (unsigned long long)bpf_map__map_extra(map), bpf_map__numa_node(map),
		       bpf_map__pin_path(map) ? "true" : "false", bpf_map__inner_map(map) ? "true" : "false");
		printf(",\"initial\":\"");
		if (bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS)
			for (size_t i = 0; initial && i < bytes; i++) printf("%02x", initial[i]);
		printf("\"}\n");
	}
	bpf_object__for_each_program(program, opened) {
		int error;
		printf("{\"program\":");
		print_string(bpf_program__name(program));
		printf(",\"section\":");
		print_string(bpf_program__section_name(program));
		printf(",\"type\":%d,\"attachType\":%d,\"autoload\":%s}\n", bpf_program__type(program),
		       bpf_program__expected_attach_type(program), bpf_program__autoload(program) ? "true" : "false");
		error = load_alone(count, 0);
		if (error && load_alone(count, 1)) printf("{\"loadError\":%d}\n", error);
		count++;
	}
	return 0;
}
