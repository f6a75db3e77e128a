/* SPDX-License-Identifier: MIT
 * lives FILE CGROUP: processes and threads that live shortly, take other names, users, parents, and the cgroup whose directory
 * is given (- for none). Each writes to FILE who it is, as the kernel tells it itself, and then makes a mark: dup() of a number
 * that is no descriptor, with the number of its line.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK 0x40000000
#define MANY 200

extern char **environ;
static char *file;
static const char *group;
/* marks so far, of all processes: in a file of its own beside FILE */
static int *marks;

static void read_line(const char *path, char *to, int bytes)
{
	int fd = open(path, O_RDONLY);
	int length = fd < 0 ? 0 : read(fd, to, bytes - 1);

	close(fd);
	to[length > 0 ? length : 0] = 0;
	to[strcspn(to, "\n")] = 0;
}

/* number of the directory of the cgroup in the unified hierarchy, the last line */
static unsigned long cgroup_id(void)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char text[4096], path[4200];
	int fd = open("/proc/thread-self/cgroup", O_RDONLY);
	int length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	struct stat found;
	char *own;

	close(fd);
	text[length > 0 ? length : 0] = 0;
	own = strstr(text, "0::");
	if (!own)
		return 0;
	own += 3;
	own[strcspn(own, "\n")] = 0;
	for (int index = 0; index < 2; index++) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", mounts[index]);
		if (access(path, F_OK))
			continue;
		snprintf(path, sizeof(path), "%s%s", mounts[index], own);
		return stat(path, &found) ? 0 : found.st_ino;
	}
	return 0;
}

static void mark(const char *scene)
{
	int number = __sync_fetch_and_add(marks, 1);
	char comm[16] = "", parent[64], path[64], line[512];
	int log = open(file, O_WRONLY | O_APPEND);
	int ppid = getppid();

	prctl(PR_GET_NAME, comm);
	snprintf(path, sizeof(path), "/proc/%d/comm", ppid);
	read_line(path, parent, sizeof(parent));
	int length = snprintf(line, sizeof(line), "%d\t%s\t%d\t%d\t%d\t%d\t%d\t%lu\t%s\t%s\n", number, scene, gettid(), getpid(),
			      ppid, getuid(), getgid(), cgroup_id(), comm, parent);
	if (write(log, line, length) != length)
		abort();
	close(log);
	syscall(SYS_dup, MARK | number);
}

/* Becomes this program anew, which only makes a mark. */
static void execute(const char *scene)
{
	execl("/proc/self/exe", "lives", file, group, scene, NULL);
	abort();
}

static void *mark_thread(void *scene)
{
	pthread_t other;

	mark(scene);
	if (strcmp(scene, "thread"))
		return NULL;
	pthread_create(&other, NULL, mark_thread, "thread of a thread");
	pthread_join(other, NULL);
	return NULL;
}

static void *execute_thread(void *scene)
{
	execute(scene);
	return NULL;
}

static void *fork_thread(void *scene)
{
	if (!fork()) {
		usleep(20000);
		mark(scene);
		_exit(0);
	}
	return NULL;
}

static int renamed;
static void *wait_for_name(void *tid)
{
	__atomic_store_n((int *)tid, gettid(), __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&renamed, __ATOMIC_SEQ_CST))
		usleep(100);
	mark("renamed by another thread");
	return NULL;
}

static void run_thread(void *(*start)(void *), void *argument)
{
	pthread_t thread;

	pthread_create(&thread, NULL, start, argument);
	pthread_join(thread, NULL);
}

static void fork_and_mark(const char *scene)
{
	if (!fork()) {
		mark(scene);
		_exit(0);
	}
	wait(NULL);
}

static void names(void)
{
	char path[64];
	volatile int tid = 0;
	pthread_t thread;
	int fd;

	prctl(PR_SET_NAME, "a new (name)");
	mark("renamed");
	fork_and_mark("child of renamed");
	pthread_create(&thread, NULL, wait_for_name, (void *)&tid);
	while (!tid)
		usleep(100);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	fd = open(path, O_WRONLY);
	if (write(fd, "other's name", 12) != 12)
		abort();
	close(fd);
	__atomic_store_n(&renamed, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	mark("who renamed another");
}

static void users(int scene)
{
	switch (scene) {
	case 0:
		if (setgid(77) || setuid(1234))
			abort();
		mark("setuid");
		fork_and_mark("child of setuid");
		execute("executed after setuid");
	case 1:
		if (setregid(5, 6) || setreuid(7, 8))
			abort();
		mark("setreuid");
		break;
	case 2:
		if (setresgid(-1, 3, 4) || setresuid(9, 0, 0))
			abort();
		mark("setresuid");
		if (setuid(11))
			abort();
		mark("setuid after setresuid");
		if (!setuid(12))
			abort();
		mark("setuid that failed");
		break;
	case 3:
		if (setegid(13) || seteuid(14))
			abort();
		mark("seteuid");
	}
}

static void orphans(int scene)
{
	int parent = getpid();

	if (scene)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (fork()) {
		while (scene && wait(NULL) > 0)
			;
		return;
	}
	parent = getpid();
	if (fork())
		return;
	while (getppid() == parent)
		usleep(1000);
	usleep(5000);
	mark(scene ? "orphan with a subreaper" : "orphan");
	/* which process took it over is told by /proc alone */
	usleep(scene ? 3000000 : 0);
}

static void join_cgroup(void)
{
	char path[512];
	FILE *list;

	if (!strcmp(group, "-"))
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	list = fopen(path, "w");
	if (!list || fprintf(list, "%d", getpid()) < 0 || fclose(list))
		abort();
	mark("moved to a cgroup");
	fork_and_mark("child in the cgroup");
	execute("executed in the cgroup");
}

static void deep(int levels)
{
	mark("deep");
	if (levels && !fork()) {
		deep(levels - 1);
		_exit(0);
	}
	wait(NULL);
}

static void spawn(void)
{
	char *words[] = { "lives", file, (char *)group, "spawned", NULL };

	posix_spawn(NULL, "/proc/self/exe", NULL, NULL, words, environ);
	wait(NULL);
}

static void all(int scene)
{
	switch (scene) {
	case 0:
		for (int index = 0; index < MANY; index++)
			fork_and_mark("child");
		break;
	case 1:
		execute("executed");
	case 2:
		spawn();
		break;
	case 3:
		names();
		break;
	case 4:
		run_thread(mark_thread, "thread");
		break;
	case 5:
		run_thread(execute_thread, "executed by a thread");
		break;
	case 6:
		run_thread(fork_thread, "child of a thread that has ended");
		wait(NULL);
		break;
	case 7:
		deep(10);
		break;
	case 8:
		join_cgroup();
		break;
	case 9:
	case 10:
		orphans(scene - 9);
		break;
	case 11:
		if (!syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0))
			mark("brother");
		break;
	default:
		users(scene - 12);
	}
}

int main(int count, char **words)
{
	char path[4096];

	if (count < 3)
		return 2;
	file = words[1];
	group = words[2];
	snprintf(path, sizeof(path), "%s.marks", file);
	marks = mmap(NULL, sizeof(*marks), PROT_READ | PROT_WRITE, MAP_SHARED, open(path, O_RDWR), 0);
	if (marks == MAP_FAILED)
		return 2;
	if (count > 3) {
		mark(words[3]);
		return 0;
	}
	for (int scene = 0; scene < 16; scene++) {
		if (!fork()) {
			all(scene);
			_exit(0);
		}
		while (wait(NULL) > 0)
			;
	}
	/* the orphan is nobody's here */
	usleep(100000);
	return 0;
}
