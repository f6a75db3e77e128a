/* A library whose calls are logged by itself: arguments and result of each, one line a call. */
#include "parts.h"
#include <stdio.h>
#include <stdlib.h>

static FILE *file;

__attribute__((noinline)) long combine(int a, long b, const char *text, unsigned char c, unsigned d, long e, long f, int g) {
  long result = a + (b ^ ((long)c << 40)) - d * e + f + g;
  for (const char *at = text; *at; at++) result = result * 31 + *at;
  fprintf(file, "%d %ld %s %u %u %ld %ld %d %ld\n", a, b, text, c, d, e, f, g, result);
  return result;
}

__attribute__((noinline)) int same(int a) {
  __asm__ volatile("");
  return -a;
}

/* The text lies at the same place every time. */
__attribute__((noinline)) const char *label(int a) {
  static char text[32];
  snprintf(text, sizeof text, "part %d", a);
  return text;
}

void open_log(const char *path) {
  file = fopen(path, "w");
  if (file == NULL) exit(2);
}

void close_log(void) { fclose(file); }
