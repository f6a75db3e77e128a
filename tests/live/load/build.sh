#!/bin/sh
# Rebuilds the objects, and the programs that they trace. CLANG and STRIP choose the tools (clang 19 built what is committed).
set -eu
cd "$(dirname "$0")"
clang="${CLANG:-clang-19}"
for name in calls refused; do
  "$clang" -g -O2 --target=bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter \
    -ffile-prefix-map="$PWD=." -c "$name.bpf.c" -o "$name.bpf.o"
  "${STRIP:-llvm-strip-19}" -g "$name.bpf.o"
done
"$clang" -O2 -Wall rate.c -o rate
"$clang" -O2 -Wall -pthread threads.c -o threads
