/* System calls without a C library: `calls FILE` opens it under other names. Statically linked. */
#define CALL(NUMBER, A, B, C) \
  ({ long result; __asm__ volatile("syscall" : "=a"(result) : "a"(NUMBER), "D"(A), "S"(B), "d"(C) : "rcx", "r11", "memory"); result; })

/* Any call: the number comes in a register, as to syscall(2). */
long call(long number, long a, const void *b, long c);
__asm__("call: mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n syscall\n ret\n");

__attribute__((noreturn, used)) void run(long *stack) {
  const char *path = ((const char **)stack)[2];
  static char copy[256];
  unsigned bytes = 0;
  while (bytes < sizeof copy - 1 && path[bytes]) copy[bytes] = path[bytes], bytes++;
  for (int turn = 0; turn < 3; turn++) {
    copy[0] = (char)('a' + turn);
    CALL(257L, -100L, copy, 0L);
  }
  for (int turn = 3; turn < 6; turn++) {
    copy[0] = (char)('a' + turn);
    call(39, 0, copy, 0);
    call(257, -100, copy, 0);
  }
  call(257, -100, (const void *)16, 0);
  CALL(231L, 0L, 0L, 0L);
  for (;;) {}
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
