/* SPDX-License-Identifier: MIT
 * threads COUNT CALLS: so many threads wait for a line on standard input. Then each calls getppid() so often and starts another
 * thread that does so too, and at the end a child process calls it 7 times.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_barrier_t gate;
static long calls;

static void *call(void *unused)
{
	for (long made = 0; made < calls; made++)
		syscall(SYS_getppid);
	return unused;
}

static void *wait_and_call(void *unused)
{
	pthread_t other;

	pthread_barrier_wait(&gate);
	call(unused);
	pthread_create(&other, NULL, call, NULL);
	pthread_join(other, NULL);
	return unused;
}

int main(int count, char **words)
{
	int threads = count > 1 ? atoi(words[1]) : 1;
	pthread_t *made = calloc(threads, sizeof(*made));

	calls = count > 2 ? atol(words[2]) : 1;
	pthread_barrier_init(&gate, NULL, threads + 1);
	for (int index = 0; index < threads; index++)
		pthread_create(made + index, NULL, wait_and_call, NULL);
	getchar();
	pthread_barrier_wait(&gate);
	for (int index = 0; index < threads; index++)
		pthread_join(made[index], NULL);
	if (!fork()) {
		calls = 7;
		call(NULL);
		_exit(0);
	}
	wait(NULL);
	return 0;
}
