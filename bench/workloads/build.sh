#!/bin/sh
# Rebuilds the committed object with clang 19 (Debian: clang-19).
set -eu
cd "$(dirname "$0")"
for name in workloads packets tools chain maps tracepoints; do
	${CLANG:-clang-19} -g -O2 -mcpu=v3 --target=bpf -Wall -ffile-prefix-map="$PWD"=. -c $name.bpf.c -o $name.bpf.o
	${LLVM_STRIP:-llvm-strip-19} --strip-debug --keep-section=.BTF --keep-section=.BTF.ext $name.bpf.o
done
