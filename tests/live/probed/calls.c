/* System calls without a C library: `calls FILE` opens it, and writes its name. Statically linked. */
#define CALL(NUMBER, A, B, C) \
  ({ long result; __asm__ volatile("syscall" : "=a"(result) : "a"(NUMBER), "D"(A), "S"(B), "d"(C) : "rcx", "r11", "memory"); result; })

__attribute__((noreturn, used)) void run(long *stack) {
  const char *path = ((const char **)stack)[2];
  static char copy[256];
  unsigned bytes = 0;
  while (bytes < sizeof copy - 1 && path[bytes]) copy[bytes] = path[bytes], bytes++;
  for (int turn = 0; turn < 3; turn++) {
    copy[0] = (char)('a' + turn);
    CALL(257L, -100L, copy, 0L);
  }
  CALL(231L, 0L, 0L, 0L);
  for (;;) {}
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
