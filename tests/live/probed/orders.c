/*
 * A program with USDT probes. Commands on standard input: `fire N` passes the probes N times and prints what it passed to them,
 * `semaphore` prints what the probes' semaphores hold, `fork` does the rest in a child. It ends with its input.
 */
#include "usdt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((section(".probes"), used)) volatile unsigned short order_semaphore;

/* Beside the code: an operand by its symbol and %rip. */
static struct { int pad[3]; volatile unsigned sold; } stock;

static const char *const NAMES[] = {"tea", "coffee", "a pot of hot chocolate"};

/* The probe is in line, so that its operands differ from place to place: registers, memory, a constant. */
__attribute__((noinline)) static void order(int id, long price, const char *name) {
  volatile int kept = id * 3;
  volatile short small = (short)-id;
  long table[4] = {price, price + 1, price + 2, price + 3};
  long index = id & 3;
  NOTE("shop", "order", "order_semaphore", "-4@%0 8@%1 8@%2 -4@%3 4@$77 -2@%4", "r"(id), "r"(price), "r"(name), "m"(kept),
       "m"(small));
  NOTE("shop", "indexed", "0", "8@(%0,%1,8)", "r"(table), "r"(index), "m"(table));
}

__attribute__((noinline)) static void twice(long a) {
  NOTE("shop", "twice", "0", "8@%0", "r"(a));
  NOTE("shop", "twice", "0", "-4@$5");
  stock.sold = (unsigned)a * 1000003;
  NOTE("shop", "sold", "0", "4@%0 4@$1", "m"(stock.sold));
}

int main(void) {
  char line[64];
  setvbuf(stdin, NULL, _IONBF, 0);
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("pid %d\n", getpid());
  while (fgets(line, sizeof line, stdin)) {
    if (strncmp(line, "fire ", 5) == 0) {
      for (int id = 1; id <= atoi(line + 5); id++) {
        const char *name = NAMES[id % 3];
        printf("order %d %ld %s\n", id, id * 100000000003L, name);
        order(id, id * 100000000003L, name);
        twice(id);
      }
      printf("done\n");
    } else if (strcmp(line, "fork\n") == 0) {
      int child = fork();
      if (child != 0) {
        waitpid(child, NULL, 0);
        return 0;
      }
      printf("pid %d\n", getpid());
    } else {
      printf("semaphore %d\n", order_semaphore);
    }
  }
  return 0;
}
