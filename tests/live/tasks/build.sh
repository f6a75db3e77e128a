#!/bin/sh
# Rebuilds the object, and the program that it tells of. CLANG and STRIP choose the tools (clang 19 built what is committed).
set -eu
cd "$(dirname "$0")"
clang="${CLANG:-clang-19}"
"$clang" -g -O2 --target=bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter \
  -ffile-prefix-map="$PWD=." -c who.bpf.c -o who.bpf.o
"${STRIP:-llvm-strip-19}" -g who.bpf.o
"$clang" -O2 -Wall -pthread lives.c -o lives
