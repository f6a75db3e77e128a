/* SPDX-License-Identifier: MIT
 * Opens raw tracepoints by name as the kernel does it, for cases that it refuses: a line `TYPE HEX NAME` a case, TYPE the number
 * of a program type, HEX its instructions, NAME `-` for the empty one. Answers errno, or 0 for a tracepoint that was opened, which is
 * closed at once; a program that does not load is answered `load ERRNO`.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned char insns[4096];
static char line[16384], hex[8192], name[4096];

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int load(unsigned int type)
{
	union bpf_attr attr = {0};
	size_t count = strlen(hex) / 2;

	for (size_t index = 0; index < count; index++)
		sscanf(hex + 2 * index, "%2hhx", &insns[index]);
	attr.prog_type = type;
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = count / 8;
	attr.license = (unsigned long)"GPL";
	return bpf(BPF_PROG_LOAD, &attr);
}

int main(void)
{
	unsigned int type;

	while (fgets(line, sizeof(line), stdin)) {
		union bpf_attr attr = {0};
		int program, opened;

		if (sscanf(line, "%u %8191s %4095s", &type, hex, name) != 3)
			return 2;
		program = strcmp(hex, "closed") == 0 ? 1000 : load(type);
		if (program < 0) {
			printf("load %d\n", errno);
			continue;
		}
		attr.raw_tracepoint.name = (unsigned long)(strcmp(name, "-") == 0 ? "" : name);
		attr.raw_tracepoint.prog_fd = program;
		opened = bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
		printf("%d\n", opened < 0 ? errno : 0);
		if (opened >= 0)
			close(opened);
		close(program);
	}
	return 0;
}
