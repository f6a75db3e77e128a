/* SPDX-License-Identifier: MIT
 * rate CALLS SECONDS: so many getppid() a second, evenly spread over its milliseconds; prints how many there were.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words)
{
	long rate = count > 1 ? atol(words[1]) : 1000;
	long milliseconds = (count > 2 ? atof(words[2]) : 1) * 1000;
	long made = 0;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (long done = 1; done <= milliseconds; done++) {
		for (; made < rate * done / 1000; made++)
			syscall(SYS_getppid);
		next.tv_nsec += 1000000;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	printf("%ld\n", made);
	return 0;
}
