__attribute__((noinline)) static int twin(int a) {
  __asm__ volatile("");
  return a * 5;
}
int with_other_twin(int a) { return twin(a) - 1; }
