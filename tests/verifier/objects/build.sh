#!/bin/sh
# Rebuilds the objects beside their sources. CLANG and STRIP choose the tools (clang 19 built what is committed).
set -eu
cd "$(dirname "$0")"
for source in *.bpf.c; do
  object="${source%.c}.o"
  "${CLANG:-clang-19}" -g -O2 --target=bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter \
    -ffile-prefix-map="$PWD=." -c "$source" -o "$object"
  # BTF stays, DWARF goes
  "${STRIP:-llvm-strip-19}" -g "$object"
done
