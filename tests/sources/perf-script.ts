/**
 * What perf itself reads in a recording, from the text of
 * `perf script -i FILE --ns -F comm,pid,tid,cpu,time,period,event,trace`.
 */
import { readFileSync } from "node:fs";

export interface ScriptLine {
  readonly comm: string;
  readonly pid: number;
  readonly tid: number;
  readonly cpu: number;
  readonly timeNs: bigint;
  /** `sched/sched_switch` */
  readonly event: string;
  /** name=value or `name: value` pairs of the print format */
  readonly fields: Readonly<Record<string, string>>;
}

const LINE = /^\s*(.*?)\s+(-?\d+)\/(-?\d+)\s+\[(\d+)\]\s+(\d+)\.(\d{9}):\s+\d+\s+(\w+):(\w+):\s?(.*)$/;

export function readScript(path: string | URL): ScriptLine[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const parts = LINE.exec(line);
      if (parts === null) throw new Error(`not a line of perf script: ${line}`);
      const [, comm, pid, tid, cpu, seconds, nanoseconds, system, name, trace] = parts as unknown as string[];
      return {
        comm: comm!,
        pid: Number(pid),
        tid: Number(tid),
        cpu: Number(cpu),
        timeNs: BigInt(seconds!) * 1_000_000_000n + BigInt(nanoseconds!),
        event: `${system}/${name}`,
        fields: readFields(trace!),
      };
    });
}

/** `a=1 b=two words c=3` and `a: 1, b: 2`; a value goes on to the next name. */
function readFields(trace: string): Record<string, string> {
  const marks = [...trace.matchAll(/(?:^|\s)(\w+)(?:=|: )/g)];
  return Object.fromEntries(
    marks.map((mark, index) => {
      const value = trace.slice(mark.index + mark[0].length, marks[index + 1]?.index ?? trace.length);
      return [mark[1]!, value.replace(/,$/, "").replace(/ ==>$/, "").trim()];
    }),
  );
}
