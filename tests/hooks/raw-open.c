/* SPDX-License-Identifier: MIT
 * Attaches as the kernel does it: a line `TYPE HEX NAME` a case, TYPE the number of a program type, HEX its instructions. NAME is a
 * raw tracepoint to open, `-` for the empty name: for cases that are refused; what is opened is closed at once. `@ID`: a link to a
 * perf event of this process alone that counts nothing, of the tracepoint with that id, or `@clock`. Answers errno, or 0; of a link
 * that was made also the errnos of an update and of a detach, and its type. A program that does not load is answered `load ERRNO`.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
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

static void link_event(int program, const char *name)
{
	struct perf_event_attr event = {.size = sizeof(event), .disabled = 1};
	union bpf_attr attr = {0};
	struct bpf_link_info info = {0};
	int opened, link;
	long updated, detached;

	if (strcmp(name, "clock") == 0) {
		event.type = PERF_TYPE_SOFTWARE;
		event.config = PERF_COUNT_SW_CPU_CLOCK;
	} else {
		event.type = PERF_TYPE_TRACEPOINT;
		event.config = atoi(name);
	}
	event.sample_period = 1;
	opened = syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
	if (opened < 0) {
		printf("event %d\n", errno);
		return;
	}
	attr.link_create.prog_fd = program;
	attr.link_create.target_fd = opened;
	attr.link_create.attach_type = BPF_PERF_EVENT;
	attr.link_create.perf_event.bpf_cookie = 0x1122334455667788ull;
	link = bpf(BPF_LINK_CREATE, &attr);
	if (link < 0) {
		printf("%d\n", errno);
		close(opened);
		return;
	}
	memset(&attr, 0, sizeof(attr));
	attr.link_update.link_fd = link;
	attr.link_update.new_prog_fd = program;
	updated = bpf(BPF_LINK_UPDATE, &attr) < 0 ? errno : 0;
	memset(&attr, 0, sizeof(attr));
	attr.link_detach.link_fd = link;
	detached = bpf(BPF_LINK_DETACH, &attr) < 0 ? errno : 0;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = link;
	attr.info.info_len = sizeof(info);
	attr.info.info = (unsigned long)&info;
	bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	printf("0 %ld %ld %u\n", updated, detached, info.type);
	close(link);
	close(opened);
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
		if (name[0] == '@') {
			link_event(program, name + 1);
			close(program);
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
