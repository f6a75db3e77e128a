/* A library with functions that a name alone does not tell: of two versions, of two files, one that is chosen at run time. */
__asm__(".symver first_measure, measure@ONE");
__asm__(".symver second_measure, measure@@TWO");
int first_measure(int a) { return a + 1; }
int second_measure(int a) { return a + 2; }

__attribute__((noinline)) static int twin(int a) {
  __asm__ volatile("");
  return a * 3;
}
int with_twin(int a) { return twin(a) + 1; }

static int chosen(int a) { return a * 7; }
static int (*choose(void))(int) { return chosen; }
int fast(int) __attribute__((ifunc("choose")));

__attribute__((weak)) int soft(int a) { return a; }
