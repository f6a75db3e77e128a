#!/bin/sh
# Records what the tests read: pages of a small ring of one CPU after some of it was overwritten, and the kernel's own text of the
# same. As root, with tracefs mounted and nothing else under way there. Linux 6.18, x86-64, made what is committed.
set -eu
cd "$(dirname "$0")"
tracing=/sys/kernel/tracing
instance=$tracing/instances/bpfjit_record_pages
mkdir "$instance"
trap 'rmdir "$instance"' EXIT
echo mono > "$instance/trace_clock"
echo 16 > "$instance/buffer_size_kb"
echo 1 > "$instance/options/event-fork"
echo $$ > "$instance/set_event_pid"
for event in syscalls/sys_enter_getppid sched/sched_process_exec task/task_newtask; do
  echo 1 > "$instance/events/$event/enable"
done
taskset -c 0 ../load/rate 20000 0.1 > /dev/null
# further apart than a record's own time holds
sleep 0.3
# longer than a record's own length holds
long=/tmp/$(printf 'a%.0s' $(seq 150))
cp /bin/true "$long"
taskset -c 0 "$long"
rm "$long"
echo 0 > "$instance/tracing_on"
cat "$tracing/events/header_page" > header_page
for event in syscalls/sys_enter_getppid sched/sched_process_exec task/task_newtask; do
  cat "$tracing/events/$event/format"
done > formats
cat "$instance/per_cpu/cpu0/trace" > trace.txt
cat "$instance/per_cpu/cpu0/stats" > stats.txt
timeout 1 cat "$instance/per_cpu/cpu0/trace_pipe_raw" > pages.bin || true
