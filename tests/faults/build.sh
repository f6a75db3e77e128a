#!/bin/sh
# Rebuilds the objects beside their sources. CLANG and STRIP choose the tools (clang 19 built what is committed); a first
# argument chooses another folder for the objects.
set -eu
cd "$(dirname "$0")"
folder="${1:-.}"
for source in *.bpf.c; do
  object="$folder/${source%.c}.o"
  # Rejected programs are wrong on purpose, so warnings are left out.
  "${CLANG:-clang-19}" -g -O2 --target=bpf -mcpu=v3 -w -I include -ffile-prefix-map="$PWD=." -c "$source" -o "$object"
  # BTF stays, DWARF goes
  "${STRIP:-llvm-strip-19}" -g "$object"
done
