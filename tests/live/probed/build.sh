#!/bin/sh
# Rebuilds programs and objects beside their sources. CLANG and STRIP choose the tools (clang 19 built what is committed); a
# first argument chooses another folder for what is built.
set -eu
cd "$(dirname "$0")"
folder="${1:-.}"
clang="${CLANG:-clang-19}"
strip="${STRIP:-llvm-strip-19}"
flags="-O2 -Wall -Wextra -Werror -ffile-prefix-map=$PWD=."
"$clang" $flags orders.c -o "$folder/orders"
"$clang" $flags -fPIC -shared parts.c -o "$folder/libparts.so"
"$clang" $flags -fPIC -shared versions.c versions-more.c -Wl,--version-script=versions.map -o "$folder/libversions.so"
"$clang" $flags caller.c -o "$folder/caller" -L"$folder" -lparts -Wl,-rpath,'$ORIGIN'
"$clang" $flags -nostdlib -static -fno-stack-protector calls.c -o "$folder/calls"
for file in orders libparts.so libversions.so caller calls; do "$strip" -g "$folder/$file"; done
for source in *.bpf.c; do
  object="$folder/${source%.c}.o"
  "$clang" -g -O2 --target=bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter \
    -Wno-missing-field-initializers -ffile-prefix-map="$PWD=." -c "$source" -o "$object"
  # BTF stays, DWARF goes
  "$strip" -g "$object"
done
