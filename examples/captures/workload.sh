#!/bin/sh
# What the capture recorded: a shell that starts small programs, opens files, waits and pipes.
set -eu
export LC_ALL=C
i=0
while [ $i -lt 40 ]; do
  cat /etc/hostname /etc/passwd | sort | head -n 3 > /dev/null
  ls /etc /usr > /dev/null
  [ $((i % 4)) -ne 0 ] || sleep 0.005
  wc -c /etc/group /etc/none 2> /dev/null > /dev/null || true
  i=$((i + 1))
done
