/* `caller LOG COUNT` calls the library so many times with arguments that look random and are the same every time. */
#include "parts.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  unsigned long state = 88172645463325252UL;
  char text[24];
  if (argc < 3) return 2;
  open_log(argv[1]);
  for (int call = 0; call < atoi(argv[2]); call++) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    snprintf(text, sizeof text, "%x", (unsigned)(state >> 40) >> (state & 15));
    combine((int)state, (long)(state * 3), text, (unsigned char)(state >> 9), (unsigned)(state >> 20), (long)state >> 33,
            -(long)(state >> 50), call);
    same(call);
    label(call);
  }
  close_log();
  return 0;
}
