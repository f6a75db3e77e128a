/** Records that are no samples: who the tasks are, what was lost, where a round ends. */
import { CaptureError, joinU64 } from "../../../base/index.ts";
import type { ArenaMemory } from "../memory.ts";
import type { TaskTable } from "../tasks.ts";
import { malformed, unsupported } from "./header.ts";
import type { Losses } from "./losses.ts";
import { RECORD, UNREADABLE } from "./records.ts";
import type { SampleReading } from "./samples.ts";

/** Marks a queued COMM or FORK; all other marks are indices of events. */
export const TASK_MARK = 0xffff;
/** misc of LOST_SAMPLES: dropped by a BPF filter of the recording, which is no loss. */
const MISC_LOST_SAMPLES_BPF = 1 << 15;

export interface ControlReading extends SampleReading {
  readonly tasks: TaskTable;
  readonly losses: Losses;
}

/** Takes in the whole record at `at`, of `size` bytes. True where it ends a round. */
export function takeControl(reading: ControlReading, at: number, size: number, offsetBytes: number): boolean {
  const { words } = reading.memory;
  const word = at >>> 2;
  const type = words[word]! >>> 0;
  const feature = UNREADABLE.get(type);
  if (feature !== undefined)
    throw unsupported(feature, feature.includes("-z") ? "record it again without -z" : undefined);
  const require = (least: number): void => {
    if (size < least) throw malformed(`a record of type ${type} has ${size} bytes`, offsetBytes);
  };
  switch (type) {
    case RECORD.FINISHED_ROUND:
      return true;
    case RECORD.COMM:
      require(20);
      takeTask(reading, at, size);
      return false;
    case RECORD.FORK:
      require(32);
      takeTask(reading, at, size);
      return false;
    case RECORD.LOST: {
      require(24);
      const cpu = trailerWord(reading, word, size, "cpu");
      reading.losses.report(joinU64(words[word + 4]!, words[word + 5]!), cpu < 0 ? null : words[cpu]! >>> 0);
      return false;
    }
    case RECORD.LOST_SAMPLES:
      require(16);
      if ((words[word + 1]! & MISC_LOST_SAMPLES_BPF) === 0)
        reading.losses.total(joinU64(words[word + 2]!, words[word + 3]!));
      return false;
    case RECORD.HEADER_TRACING_DATA:
      throw unsupported("events that are described only after the first records");
    default:
      requireKnown(type, offsetBytes);
      return false;
  }
}

/** Newer kinds of records could be followed by bytes of their own, as AUXTRACE is. */
function requireKnown(type: number, offsetBytes: number): void {
  const isKernels = type > 0 && type <= RECORD.CALLCHAIN_DEFERRED;
  if (isKernels || (type >= RECORD.FIRST_USER && type <= RECORD.BPF_METADATA)) return;
  throw new CaptureError("CAPTURE_UNSUPPORTED", `the recording holds a record of unknown type ${type}`, {
    where: { offsetBytes },
  });
}

/** COMM and FORK take their turn among the samples; what perf itself made up of /proc has no time and holds at once. */
function takeTask(reading: ControlReading, at: number, size: number): void {
  const { words } = reading.memory;
  const time = trailerWord(reading, at >>> 2, size, "time");
  if (time < 0 || (words[time] === 0 && words[time + 1] === 0)) applyTask(reading.memory, reading.tasks, at);
  else reading.queue.push(reading.epoch.read(words, time), at, TASK_MARK);
}

/** Tells the tasks what the COMM or FORK at `at` says. */
export function applyTask(memory: ArenaMemory, tasks: TaskTable, at: number): void {
  const { words } = memory;
  const word = at >>> 2;
  const field = (offset: number): number => words[word + offset]! >>> 0;
  if (words[word] === RECORD.COMM) tasks.rename(field(2), field(3), at + 16, (field(1) >>> 16) - 16);
  else tasks.fork(field(2), field(4), field(3), field(5), field(6), field(7));
}

/** Word of a field of the record's trailer, -1 where it has none. */
function trailerWord({ memory, plans, ids }: SampleReading, word: number, size: number, field: "time" | "cpu"): number {
  const end = word + (size >>> 2);
  let plan = plans[0]!;
  if (plan.trailer.id > 0 && plans.length > 1 && plan.trailer.id <= size) {
    const id = end - plan.trailer.id / 4;
    const index = ids.find(memory.words[id]!, memory.words[id + 1]!);
    // What perf makes up itself has id 0 and is laid out as the first event says.
    if (index >= 0) plan = plans[index]!;
  }
  const { trailer } = plan;
  // a head and the trailer
  if (trailer[field] === 0 || trailer.bytes + 8 > size) return -1;
  return end - trailer[field] / 4;
}
