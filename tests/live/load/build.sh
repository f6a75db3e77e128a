#!/bin/sh
# Rebuilds the object, and the program that it traces. CLANG and STRIP choose the tools (clang 19 built what is committed).
set -eu
cd "$(dirname "$0")"
"${CLANG:-clang-19}" -g -O2 --target=bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter \
  -ffile-prefix-map="$PWD=." -c calls.bpf.c -o calls.bpf.o
"${STRIP:-llvm-strip-19}" -g calls.bpf.o
"${CLANG:-clang-19}" -O2 -Wall rate.c -o rate
