/* Loads programs into the running kernel and prints its verdict. Load only: nothing is attached, nothing is run.
 *
 * Standard input, a directive a line; a program ends with `load`:
 *   type N                    program type (uapi number), clears everything before it
 *   attach N                  expected attach type
 *   btf N                     id of what it attaches to, in the kernel's BTF
 *   license TEXT
 *   flags N                   prog_flags
 *   log N                     log level (default 1)
 *   types HEX                 BTF of the program and of its maps' values
 *   func INSN TYPE            a function by its id in that BTF
 *   described KEY VALUE       ids in that BTF for the map, or template, that follows
 *   extra N                   map_extra of the map that follows
 *   inner TYPE KEY VALUE ENTRIES FLAGS                        template of the maps of maps that follow
 *   map TYPE KEY VALUE ENTRIES FLAGS NAME [frozen] [HEX]      HEX: value of entry 0
 *   fn INSN NAME static|global ARGS      a function with ARGS integer arguments (BTF func_info)
 *   insns HEX                 8 bytes an instruction; 64-bit immediates with source 1 and 2 name maps by index
 *   load
 * Standard output, a line a program: `{"errno":N,"log":"..."}`, errno 0 where the program was accepted.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_MAPS 80
#define MOST_FUNCTIONS 300
#define LOG_BYTES (32u << 20)
/* A signal makes the verifier give up with EAGAIN: there are programs that take it hours. */
#define MOST_SECONDS 10

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(__NR_bpf, command, attr, sizeof *attr);
}

struct function {
	unsigned insn;
	char name[64];
	int global;
	int arguments;
};
static struct {
	int type, attach, btf, flags, level;
	char license[64];
	int maps[MOST_MAPS], map_count;
	union bpf_attr inner;
	int types, key_type, value_type;
	unsigned long extra;
	struct bpf_func_info typed[MOST_FUNCTIONS];
	int typed_count;
	struct function functions[MOST_FUNCTIONS];
	int function_count;
	unsigned char *insns;
	size_t insn_count;
} program;
static char *log_buffer;

static size_t unhex(const char *text, unsigned char **out)
{
	size_t count = strlen(text) / 2;
	*out = malloc(count + 8);
	for (size_t i = 0; i < count; i++) {
		unsigned byte = 0;
		sscanf(text + 2 * i, "%2x", &byte);
		(*out)[i] = byte;
	}
	return count;
}

static int load_blob(const void *blob, unsigned bytes)
{
	union bpf_attr attr = {.btf = (unsigned long)blob, .btf_size = bytes};
	int fd = bpf(BPF_BTF_LOAD, &attr);
	if (fd < 0) fprintf(stderr, "btf: %s\n", strerror(errno));
	return fd;
}

static void load_types(const char *hex)
{
	unsigned char *blob;
	size_t bytes = unhex(hex, &blob);
	program.types = load_blob(blob, bytes);
	free(blob);
}

static int load_btf(const unsigned *types, unsigned words, const char *strings, unsigned bytes)
{
	struct {
		unsigned short magic;
		unsigned char version, flags;
		unsigned header, type_off, type_len, str_off, str_len;
	} header = {0xeb9f, 1, 0, 24, 0, words * 4, words * 4, bytes};
	char *blob = malloc(sizeof header + words * 4 + bytes);
	memcpy(blob, &header, sizeof header);
	memcpy(blob + sizeof header, types, words * 4);
	memcpy(blob + sizeof header + words * 4, strings, bytes);
	int fd = load_blob(blob, sizeof header + words * 4 + bytes);
	free(blob);
	return fd;
}

/* Storage maps want BTF of their key and value: an int, an array of chars. */
static void describe_storage(union bpf_attr *attr)
{
	const unsigned types[] = {
		1, 1 << 24, 4, (1 << 24) | 32,
		5, 1 << 24, 1, 8,
		0, 3 << 24, 0, 2, 1, attr->value_size,
	};
	attr->btf_fd = load_btf(types, sizeof types / 4, "\0int\0char", 10);
	attr->btf_key_type_id = 1;
	attr->btf_value_type_id = 3;
}

enum { SK_STORAGE = 24, INODE_STORAGE = 28, TASK_STORAGE = 29, CGRP_STORAGE = 32 };
static int is_storage(unsigned type)
{
	return type == SK_STORAGE || type == INODE_STORAGE || type == TASK_STORAGE || type == CGRP_STORAGE;
}

/* Maps stay open for the programs that follow: making one and closing it take milliseconds. */
static struct {
	char *line;
	int fd;
} known_maps[MOST_MAPS];
static int known_map_count;

static int is_known(int fd)
{
	for (int i = 0; i < known_map_count; i++)
		if (known_maps[i].fd == fd) return 1;
	return 0;
}

static void clear(void)
{
	for (int i = 0; i < program.map_count; i++)
		if (program.maps[i] >= 0 && !is_known(program.maps[i])) close(program.maps[i]);
	if (program.types) close(program.types);
	free(program.insns);
	memset(&program, 0, sizeof program);
	strcpy(program.license, "GPL");
	program.level = 1;
}

static void add_map(char *line)
{
	int described = program.value_type;
	unsigned long extra = program.extra;
	program.extra = 0;
	for (int i = 0; i < known_map_count && !described; i++)
		if (!strcmp(known_maps[i].line, line)) {
			program.maps[program.map_count++] = known_maps[i].fd;
			return;
		}
	char *whole = strdup(line);
	unsigned type, key, value, entries, flags;
	char name[32] = "", word[16] = "";
	static char hex[1 << 20];
	hex[0] = 0;
	int fields = sscanf(line, "%u %u %u %u %u %31s %15s %1048575s", &type, &key, &value, &entries, &flags, name, word, hex);
	int frozen = fields >= 7 && !strcmp(word, "frozen");
	union bpf_attr attr = {};
	attr.map_type = type;
	attr.key_size = key;
	attr.value_size = value;
	attr.max_entries = entries;
	attr.map_flags = flags;
	attr.map_extra = extra;
	int is_outer = type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS;
	int inner = is_outer ? bpf(BPF_MAP_CREATE, &program.inner) : -1;
	if (is_outer) attr.inner_map_fd = inner;
	if (described) {
		attr.btf_fd = program.types;
		attr.btf_key_type_id = program.key_type;
		attr.btf_value_type_id = program.value_type;
		program.key_type = program.value_type = 0;
	} else if (is_storage(type)) describe_storage(&attr);
	strncpy(attr.map_name, name, sizeof attr.map_name - 1);
	int fd = bpf(BPF_MAP_CREATE, &attr);
	/* As libbpf does. */
	if (fd < 0 && described) {
		attr.btf_fd = attr.btf_key_type_id = attr.btf_value_type_id = 0;
		fd = bpf(BPF_MAP_CREATE, &attr);
	}
	if (fd < 0) fprintf(stderr, "map %s: %s\n", name, strerror(errno));
	program.maps[program.map_count++] = fd;
	if (inner >= 0) close(inner);
	if (attr.btf_key_type_id && !described) close(attr.btf_fd);
	/* A program array belongs to the type of the first program that uses it. */
	if (known_map_count < MOST_MAPS && type != BPF_MAP_TYPE_PROG_ARRAY && !is_outer && !described) {
		known_maps[known_map_count].line = whole;
		known_maps[known_map_count++].fd = fd;
	}
	const char *data = frozen ? hex : fields >= 7 ? word : "";
	if (*data && strcmp(data, "frozen")) {
		unsigned char *bytes, *padded = calloc(1, value + 8);
		size_t count = unhex(data, &bytes);
		memcpy(padded, bytes, count < value ? count : value);
		int zero = 0;
		union bpf_attr update = {.map_fd = fd, .key = (unsigned long)&zero, .value = (unsigned long)padded};
		if (bpf(BPF_MAP_UPDATE_ELEM, &update)) fprintf(stderr, "update %s: %s\n", name, strerror(errno));
		free(bytes);
		free(padded);
	}
	if (frozen) {
		union bpf_attr freeze = {.map_fd = fd};
		if (bpf(BPF_MAP_FREEZE, &freeze)) fprintf(stderr, "freeze %s: %s\n", name, strerror(errno));
	}
}

/* BTF of the functions: a long, a prototype and a function each. Returns the fd. */
static int make_btf(struct bpf_func_info *info)
{
	static unsigned types[1 << 16];
	static char strings[1 << 16];
	unsigned words = 0, bytes = 1, id = 0;
	strings[0] = 0;
#define TYPE(name, kind, vlen, size) (types[words++] = (name), types[words++] = ((kind) << 24) | (vlen), types[words++] = (size), ++id)
	unsigned name = bytes;
	strcpy(strings + bytes, "long");
	bytes += 5;
	unsigned integer = TYPE(name, 1, 0, 8);
	types[words++] = (1 << 24) | 64;
	unsigned argument = bytes;
	strcpy(strings + bytes, "a");
	bytes += 2;
	for (int i = 0; i < program.function_count; i++) {
		struct function *function = &program.functions[i];
		unsigned prototype = TYPE(0, 13, function->arguments, integer);
		for (int j = 0; j < function->arguments; j++) {
			types[words++] = argument;
			types[words++] = integer;
		}
		name = bytes;
		strcpy(strings + bytes, function->name);
		bytes += strlen(function->name) + 1;
		unsigned type = TYPE(name, 12, function->global ? 1 : 0, prototype);
		info[i].insn_off = function->insn;
		info[i].type_id = type;
	}
	return load_btf(types, words, strings, bytes);
}

static void load(void)
{
	static struct bpf_func_info info[MOST_FUNCTIONS];
	struct bpf_insn *insns = (void *)program.insns;
	for (size_t i = 0; i < program.insn_count; i++) {
		int source = insns[i].src_reg;
		if (insns[i].code == 0x18 && (source == 1 || source == 2) && insns[i].imm >= 0 && insns[i].imm < program.map_count)
			insns[i].imm = program.maps[insns[i].imm];
	}
	union bpf_attr attr = {};
	attr.prog_type = program.type;
	attr.expected_attach_type = program.attach;
	attr.attach_btf_id = program.btf;
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = program.insn_count;
	attr.license = (unsigned long)program.license;
	attr.prog_flags = program.flags;
	attr.log_level = program.level;
	attr.log_buf = program.level ? (unsigned long)log_buffer : 0;
	attr.log_size = program.level ? LOG_BYTES : 0;
	int btf = -1;
	if (program.typed_count) {
		attr.prog_btf_fd = program.types;
		attr.func_info = (unsigned long)program.typed;
		attr.func_info_rec_size = sizeof *info;
		attr.func_info_cnt = program.typed_count;
	} else if (program.function_count) {
		btf = make_btf(info);
		attr.prog_btf_fd = btf;
		attr.func_info = (unsigned long)info;
		attr.func_info_rec_size = sizeof *info;
		attr.func_info_cnt = program.function_count;
	}
	log_buffer[0] = 0;
	alarm(MOST_SECONDS);
	int fd = bpf(BPF_PROG_LOAD, &attr);
	alarm(0);
	printf("{\"errno\":%d,\"log\":\"", fd < 0 ? errno : 0);
	for (char *c = log_buffer; *c; c++) {
		if (*c == '\n') fputs("\\n", stdout);
		else if (*c == '"' || *c == '\\') printf("\\%c", *c);
		else if ((unsigned char)*c < 32 || (unsigned char)*c > 126) printf("\\u%04x", (unsigned char)*c);
		else putchar(*c);
	}
	puts("\"}");
	fflush(stdout);
	if (fd >= 0) close(fd);
	if (btf >= 0) close(btf);
}

static void wake(int signal)
{
}

int main(void)
{
	struct sigaction action = {.sa_handler = wake};
	sigaction(SIGALRM, &action, NULL);
	static char line[1 << 22];
	log_buffer = malloc(LOG_BYTES);
	clear();
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		char *rest = strchr(line, ' ');
		rest = rest ? rest + 1 : line + strlen(line);
		if (!strncmp(line, "type ", 5)) {
			clear();
			program.type = atoi(rest);
		} else if (!strncmp(line, "attach ", 7)) program.attach = atoi(rest);
		else if (!strncmp(line, "btf ", 4)) program.btf = atoi(rest);
		else if (!strncmp(line, "license ", 8)) snprintf(program.license, sizeof program.license, "%s", rest);
		else if (!strncmp(line, "flags ", 6)) program.flags = atoi(rest);
		else if (!strncmp(line, "log ", 4)) program.level = atoi(rest);
		else if (!strncmp(line, "types ", 6)) load_types(rest);
		else if (!strncmp(line, "extra ", 6)) program.extra = atoll(rest);
		else if (!strncmp(line, "described ", 10)) sscanf(rest, "%d %d", &program.key_type, &program.value_type);
		else if (!strncmp(line, "func ", 5) && program.typed_count < MOST_FUNCTIONS) {
			struct bpf_func_info *function = &program.typed[program.typed_count++];
			sscanf(rest, "%u %u", &function->insn_off, &function->type_id);
		} else if (!strncmp(line, "inner ", 6)) {
			memset(&program.inner, 0, sizeof program.inner);
			sscanf(rest, "%u %u %u %u %u", &program.inner.map_type, &program.inner.key_size, &program.inner.value_size,
			       &program.inner.max_entries, &program.inner.map_flags);
			program.inner.btf_fd = program.value_type ? program.types : 0;
			program.inner.btf_key_type_id = program.key_type;
			program.inner.btf_value_type_id = program.value_type;
			program.key_type = program.value_type = 0;
		} else if (!strncmp(line, "map ", 4) && program.map_count < MOST_MAPS) add_map(rest);
		else if (!strncmp(line, "fn ", 3) && program.function_count < MOST_FUNCTIONS) {
			struct function *function = &program.functions[program.function_count++];
			char linkage[16] = "";
			sscanf(rest, "%u %63s %15s %d", &function->insn, function->name, linkage, &function->arguments);
			function->global = !strcmp(linkage, "global");
		} else if (!strncmp(line, "insns ", 6)) program.insn_count = unhex(rest, &program.insns) / 8;
		else if (!strcmp(line, "load")) load();
	}
	return 0;
}
