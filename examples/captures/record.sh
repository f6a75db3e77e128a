#!/bin/sh
# Records what sched.perf.data and sched.pipe.perf.data hold: scheduling, processes and openat() of the whole machine
# while workload.sh runs. Needs root and perf. The committed captures were made with perf 6.1 on Linux 6.18, with event
# filters that leave out threads which had nothing to do with the workload.
set -eu
cd "$(dirname "$0")"
events="sched:sched_switch sched:sched_wakeup sched:sched_wakeup_new sched:sched_process_exec sched:sched_process_exit
  sched:sched_process_fork syscalls:sys_enter_openat"
set --
for event in $events; do set -- "$@" -e "$event"; done
perf record "$@" -c 1 -R -a -o sched.perf.data -- sh workload.sh
perf record "$@" -c 1 -R -a -o - -- sh workload.sh > sched.pipe.perf.data
# what perf itself reads in them
for name in sched sched.pipe; do
  perf script -i $name.perf.data --ns -F comm,pid,tid,cpu,time,period,event,trace > $name.script.txt
done
