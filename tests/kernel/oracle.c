/*
 * Asks the running kernel about BPF programs: one request a line on standard input, one JSON object a line on standard
 * output. Uses the bpf() system call and nothing else; loads and test-runs, attaches nothing.
 *
 * Request: words KEY=VALUE, separated by blanks.
 *   id=TEXT       given back
 *   insns=HEX     the program
 *   mem=HEX       raw program: runs on this memory (r1 points to it, r2 is its length); `mem=` for none
 *   misalign=N    0 … 7: the memory begins N bytes behind an 8-byte boundary, which the verifier does not know
 *   type=N        instead of mem: only the verdict, for a program of this type; attach=N, license=TEXT, flags=N
 *   map=T,K,V,M,F a map (type, key and value size, entries, flags), repeated; BPF_PSEUDO_MAP_* immediates are indices;
 *                 map=T,K,V,M,F,HEX fills entry 0 and freezes the map
 *   log=N         log level, whole log in the answer; without it the last lines, where the program is rejected
 * Answer: {"id","verdict":"accepted","r0":HEX,"mem":HEX} (r0: 32 bits, that is all a test run gives; no r0 and mem with
 *   type=), {"id","verdict":"rejected","errno":N,"log":TEXT}, or {"id","error":TEXT}
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_SLOTS (1 << 17)
#define MAX_MEMORY (1 << 20)
#define MAX_MAPS 64
#define LOG_BYTES (1 << 24)
#define TAIL_BYTES 1500
#define CACHED_ARENAS 32

/* Memory of one size: an array map with one value, mapped so that filling and reading it takes no system call. */
struct arena {
	size_t bytes;
	int fd;
	unsigned char *value;
};

struct request {
	char *id;
	struct bpf_insn *insns;
	unsigned int count;
	unsigned char *mem;
	size_t mem_bytes;
	int is_raw;
	unsigned int misalign;
	unsigned int type;
	unsigned int attach;
	unsigned int flags;
	const char *license;
	unsigned int log_level;
	int maps[MAX_MAPS];
	unsigned int map_count;
	const char *problem;
};

static struct bpf_insn slots[MAX_SLOTS];
static unsigned char memory[MAX_MEMORY];
static char *log_buffer;
static struct arena arenas[CACHED_ARENAS];
static unsigned int arena_count;

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(__NR_bpf, command, attr, sizeof(*attr));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Bytes written, -1 for what is not hexadecimal or does not fit. */
static long read_hex(const char *text, unsigned char *out, size_t room)
{
	size_t count = 0;

	for (; text[0] != '\0'; text += 2, count++) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || count == room)
			return -1;
		out[count] = (unsigned char)(high << 4 | low);
	}
	return (long)count;
}

static void print_hex(const unsigned char *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		putchar_unlocked(digits[bytes[i] >> 4]);
		putchar_unlocked(digits[bytes[i] & 15]);
	}
}

static void print_json(const char *text)
{
	putchar_unlocked('"');
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\n')
			fputs("\\n", stdout);
		else if (c == '"' || c == '\\') {
			putchar_unlocked('\\');
			putchar_unlocked(c);
		} else if (c < 32)
			printf("\\u%04x", c);
		else
			putchar_unlocked(c);
	}
	putchar_unlocked('"');
}

static void fail(const char *id, const char *what, int number)
{
	printf("{\"id\":");
	print_json(id);
	printf(",\"error\":");
	print_json(what);
	if (number != 0)
		printf(",\"errno\":%d", number);
	puts("}");
}

static int create_map(unsigned int type, unsigned int key, unsigned int value, unsigned int entries, unsigned int flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = key;
	attr.value_size = value;
	attr.max_entries = entries;
	attr.map_flags = flags;
	return (int)bpf(BPF_MAP_CREATE, &attr);
}

/* The oldest arena makes room when there are too many sizes. */
static struct arena *arena_of(size_t bytes)
{
	struct arena *arena;

	for (unsigned int i = 0; i < arena_count && i < CACHED_ARENAS; i++)
		if (arenas[i].bytes == bytes)
			return &arenas[i];
	arena = &arenas[arena_count % CACHED_ARENAS];
	if (arena_count >= CACHED_ARENAS) {
		munmap(arena->value, arena->bytes);
		close(arena->fd);
	}
	arena->bytes = bytes;
	arena->fd = create_map(BPF_MAP_TYPE_ARRAY, 4, (unsigned int)bytes, 1, BPF_F_MMAPABLE);
	if (arena->fd < 0)
		return NULL;
	arena->value = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
	if (arena->value == MAP_FAILED) {
		close(arena->fd);
		arena->bytes = 0;
		return NULL;
	}
	arena_count++;
	return arena;
}

static struct bpf_insn insn(unsigned char code, unsigned char dst, unsigned char src, short off, int imm)
{
	struct bpf_insn made = { .code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm };

	return made;
}

#define MOV_IMM (BPF_ALU64 | BPF_MOV | BPF_K)
#define MOV_REG (BPF_ALU64 | BPF_MOV | BPF_X)
#define LOAD_64 (BPF_LD | BPF_IMM | BPF_DW)
#define PREFIX_SLOTS 20

/*
 * What comes before a raw program: r1 and r2 as it expects them. Jumps are relative, so the program behind it stays as it
 * is. For memory that is not aligned: the verifier believes a dynptr's slice to begin at an aligned address, whatever lies
 * beneath it; the dynptr takes 16 bytes of stack at the far end of what generated programs use.
 */
static unsigned int write_prefix(struct bpf_insn *to, struct request *request, int fd)
{
	unsigned int n = 0;
	int bytes = (int)request->mem_bytes;

	if (fd < 0) {
		to[n++] = insn(MOV_IMM, 1, 0, 0, 0);
		to[n++] = insn(MOV_IMM, 2, 0, 0, 0);
		return n;
	}
	to[n++] = insn(LOAD_64, 1, BPF_PSEUDO_MAP_VALUE, 0, fd);
	to[n++] = insn(0, 0, 0, 0, request->misalign);
	if (request->misalign != 0) {
		to[n++] = insn(MOV_IMM, 2, 0, 0, bytes);
		to[n++] = insn(MOV_IMM, 3, 0, 0, 0);
		to[n++] = insn(MOV_REG, 4, 10, 0, 0);
		to[n++] = insn(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, -272);
		to[n++] = insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_dynptr_from_mem);
		to[n++] = insn(MOV_REG, 1, 10, 0, 0);
		to[n++] = insn(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, -272);
		to[n++] = insn(MOV_IMM, 2, 0, 0, 0);
		to[n++] = insn(MOV_IMM, 3, 0, 0, bytes);
		to[n++] = insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_dynptr_data);
		to[n++] = insn(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 1, 0);
		to[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		to[n++] = insn(MOV_REG, 1, 0, 0, 0);
	}
	to[n++] = insn(MOV_IMM, 2, 0, 0, bytes);
	return n;
}

static int load(struct request *request, struct bpf_insn *insns, unsigned int count, unsigned int log_level)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = request->is_raw ? BPF_PROG_TYPE_SOCKET_FILTER : request->type;
	attr.expected_attach_type = request->attach;
	attr.prog_flags = request->flags;
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = count;
	attr.license = (unsigned long)request->license;
	if (log_level != 0) {
		log_buffer[0] = '\0';
		attr.log_level = log_level;
		attr.log_buf = (unsigned long)log_buffer;
		attr.log_size = LOG_BYTES;
	}
	return (int)bpf(BPF_PROG_LOAD, &attr);
}

static void answer_rejected(struct request *request, struct bpf_insn *insns, unsigned int count, int number)
{
	const char *log = log_buffer;
	size_t length;

	if (request->log_level == 0) {
		int fd = load(request, insns, count, 1);

		if (fd >= 0)
			close(fd);
	}
	length = strlen(log);
	if (request->log_level == 0 && length > TAIL_BYTES)
		log += length - TAIL_BYTES;
	printf("{\"id\":");
	print_json(request->id);
	printf(",\"verdict\":\"rejected\",\"errno\":%d,\"log\":", number);
	print_json(log);
	puts("}");
}

static void answer_accepted(struct request *request, int is_run, unsigned int r0, const unsigned char *bytes)
{
	printf("{\"id\":");
	print_json(request->id);
	printf(",\"verdict\":\"accepted\"");
	if (is_run) {
		printf(",\"r0\":\"%x\",\"mem\":\"", r0);
		print_hex(bytes, request->mem_bytes);
		putchar_unlocked('"');
	}
	if (request->log_level != 0) {
		printf(",\"log\":");
		print_json(log_buffer);
	}
	puts("}");
}

/* Map indices in the program become file descriptors. */
static void patch_maps(struct request *request)
{
	for (unsigned int i = 0; i + 1 < request->count; i++) {
		struct bpf_insn *at = &request->insns[i];

		if (at->code != LOAD_64)
			continue;
		if ((at->src_reg == BPF_PSEUDO_MAP_FD || at->src_reg == BPF_PSEUDO_MAP_VALUE) && at->imm >= 0 &&
		    (unsigned int)at->imm < request->map_count)
			at->imm = request->maps[at->imm];
		i++;
	}
}

static void answer(struct request *request)
{
	static const unsigned char packet[64];
	unsigned int prefix = 0, r0;
	struct arena *arena = NULL;
	union bpf_attr attr;
	struct bpf_insn *start;
	int fd;

	patch_maps(request);
	if (request->is_raw) {
		struct bpf_insn head[PREFIX_SLOTS];

		if (request->mem_bytes != 0) {
			arena = arena_of(request->mem_bytes + (request->misalign == 0 ? 0 : 8));
			if (arena == NULL) {
				fail(request->id, "no memory", errno);
				return;
			}
			memcpy(arena->value + request->misalign, request->mem, request->mem_bytes);
		}
		prefix = write_prefix(head, request, arena == NULL ? -1 : arena->fd);
		memcpy(request->insns - prefix, head, prefix * sizeof(head[0]));
	}
	start = request->insns - prefix;
	fd = load(request, start, request->count + prefix, request->log_level);
	if (fd < 0) {
		answer_rejected(request, start, request->count + prefix, errno);
		return;
	}
	if (!request->is_raw) {
		close(fd);
		answer_accepted(request, 0, 0, NULL);
		return;
	}
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (unsigned int)fd;
	attr.test.data_in = (unsigned long)packet;
	attr.test.data_size_in = sizeof(packet);
	attr.test.repeat = 1;
	if (bpf(BPF_PROG_TEST_RUN, &attr) != 0) {
		fail(request->id, "test run failed", errno);
		close(fd);
		return;
	}
	r0 = attr.test.retval;
	close(fd);
	answer_accepted(request, 1, r0, arena == NULL ? NULL : arena->value + request->misalign);
}

/* T,K,V,M,F[,HEX] */
static void add_map(struct request *request, const char *text)
{
	unsigned int type, key, value, entries, flags, zero = 0;
	union bpf_attr attr;
	int used = 0;
	int fd;

	if (request->map_count == MAX_MAPS ||
	    sscanf(text, "%u,%u,%u,%u,%u%n", &type, &key, &value, &entries, &flags, &used) != 5) {
		request->problem = "bad map";
		return;
	}
	fd = create_map(type, key, value, entries, flags);
	if (fd < 0) {
		request->problem = "map is refused";
		return;
	}
	request->maps[request->map_count++] = fd;
	if (text[used] != ',')
		return;
	if (read_hex(text + used + 1, memory, sizeof(memory)) != (long)value) {
		request->problem = "bad map value";
		return;
	}
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (unsigned int)fd;
	attr.key = (unsigned long)&zero;
	attr.value = (unsigned long)memory;
	if (bpf(BPF_MAP_UPDATE_ELEM, &attr) != 0)
		request->problem = "map value is refused";
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (unsigned int)fd;
	bpf(BPF_MAP_FREEZE, &attr);
}

static void read_word(struct request *request, char *key, char *value)
{
	long bytes;

	if (strcmp(key, "id") == 0)
		request->id = value;
	else if (strcmp(key, "insns") == 0) {
		bytes = read_hex(value, (unsigned char *)request->insns, (MAX_SLOTS - PREFIX_SLOTS) * sizeof(slots[0]));
		if (bytes <= 0 || bytes % 8 != 0)
			request->problem = "bad insns";
		request->count = (unsigned int)(bytes / 8);
	} else if (strcmp(key, "mem") == 0) {
		bytes = read_hex(value, memory, sizeof(memory));
		if (bytes < 0)
			request->problem = "bad mem";
		request->is_raw = 1;
		request->mem_bytes = bytes < 0 ? 0 : (size_t)bytes;
	} else if (strcmp(key, "misalign") == 0)
		request->misalign = (unsigned int)atoi(value) & 7;
	else if (strcmp(key, "type") == 0)
		request->type = (unsigned int)atoi(value);
	else if (strcmp(key, "attach") == 0)
		request->attach = (unsigned int)atoi(value);
	else if (strcmp(key, "flags") == 0)
		request->flags = (unsigned int)atoi(value);
	else if (strcmp(key, "license") == 0)
		request->license = value;
	else if (strcmp(key, "log") == 0)
		request->log_level = (unsigned int)atoi(value);
	else if (strcmp(key, "map") == 0)
		add_map(request, value);
	else
		request->problem = "unknown key";
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	log_buffer = malloc(LOG_BYTES);
	if (log_buffer == NULL)
		return 1;
	while ((length = getline(&line, &room, stdin)) > 0) {
		struct request request;
		char *rest = line;

		memset(&request, 0, sizeof(request));
		request.id = "";
		request.insns = slots + PREFIX_SLOTS;
		request.mem = memory;
		request.license = "GPL";
		line[strcspn(line, "\n")] = '\0';
		for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
			char *equals = strchr(word, '=');

			if (equals == NULL) {
				request.problem = "a word without =";
				continue;
			}
			*equals = '\0';
			read_word(&request, word, equals + 1);
		}
		if (request.problem == NULL && request.count == 0)
			request.problem = "no insns";
		if (request.problem != NULL)
			fail(request.id, request.problem, 0);
		else
			answer(&request);
		for (unsigned int i = 0; i < request.map_count; i++)
			close(request.maps[i]);
		fflush(stdout);
	}
	return 0;
}
