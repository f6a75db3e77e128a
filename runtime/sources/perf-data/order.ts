/**
 * Puts records into order of time. perf writes the buffers of the CPUs one after the other, round by round; within a buffer
 * time ascends. So what is queued falls into a few ascending runs, and a merge of runs is the order: by time, then as
 * queued, which is how perf orders them too.
 *
 * After a round's end, everything up to the latest time of the round before it is final: a buffer that was read in this
 * round had been read in that one as well.
 * Kernel: tools/perf/util/ordered-events.h describes the rule.
 */

/** Columns are read by the consumer directly: one entry a record. */
export class RunQueue {
  times = new Float64Array(INITIAL);
  /** where the record lies */
  records = new Uint32Array(INITIAL);
  /** the consumer's own mark */
  marks = new Uint16Array(INITIAL);
  #count = 0;
  /** first entry of each run, in the order in which they were queued */
  #runs: number[] = [];
  #latest = Number.NEGATIVE_INFINITY;
  #last = Number.POSITIVE_INFINITY;

  // the merge under way
  #limit = Number.NEGATIVE_INFINITY;
  #heads: number[] = [];
  #ends: number[] = [];
  /** runs with entries left, as a binary heap by the time of their head */
  #heap: number[] = [];
  /** after next(): the slice of entries that follow */
  start = 0;
  end = 0;

  /** latest time that was ever queued */
  get latest(): number {
    return this.#latest;
  }
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  push(time: number, record: number, mark: number): void {
    const index = this.#count;
    if (index === this.times.length) this.#grow();
    this.times[index] = time;
    this.records[index] = record;
    this.marks[index] = mark;
    if (index === 0 || time < this.#last) this.#runs.push(index);
    this.#last = time;
    if (time > this.#latest) this.#latest = time;
    this.#count = index + 1;
  }

  /** Begins to hand out entries up to and including `limit`. Nothing may be queued until finish(). */
  begin(limit: number): void {
    this.#limit = limit;
    this.#heads = this.#runs.slice();
    this.#ends = this.#runs.map((_, run) => this.#runs[run + 1] ?? this.#count);
    this.#heap = this.#runs.map((_, run) => run);
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  /** The next slice of at most `most` entries, which are in order; false where none is left within the limit. */
  next(most: number): boolean {
    const run = this.#heap[0];
    if (run === undefined) return false;
    const { times } = this;
    const start = this.#heads[run]!;
    if (times[start]! > this.#limit) return false;
    const bound = this.#bound();
    const stop = Math.min(this.#ends[run]!, start + most);
    // The run goes on while it stays before every other; equal times go to the run that was queued first.
    let at = start + 1;
    const beats = this.#boundRun > run;
    if (beats) while (at < stop && times[at]! <= bound) at++;
    else while (at < stop && times[at]! < bound) at++;
    this.start = start;
    this.end = at;
    this.#heads[run] = at;
    if (at === this.#ends[run]) {
      const last = this.#heap.pop()!;
      if (this.#heap.length > 0) this.#heap[0] = last;
    }
    this.#sink(0);
    return true;
  }

  #boundRun = 0;
  /** Time of the head that comes next after the first run's, or the limit; sets #boundRun to its run. */
  #bound(): number {
    const left = this.#heap[1];
    const right = this.#heap[2];
    const other = left === undefined ? undefined : right === undefined || this.#before(left, right) ? left : right;
    this.#boundRun = Number.POSITIVE_INFINITY;
    if (other === undefined) return this.#limit;
    const time = this.times[this.#heads[other]!]!;
    if (time > this.#limit) return this.#limit;
    this.#boundRun = other;
    return time;
  }

  /** Ends the merge; what lies beyond the limit stays queued, in its order. */
  finish(): void {
    const heads = this.#heads;
    const ends = this.#ends;
    let count = 0;
    this.#runs = [];
    for (let run = 0; run < heads.length; run++) {
      const start = heads[run]!;
      const end = ends[run]!;
      if (start === end) continue;
      if (count === 0 || this.times[start]! < this.times[count - 1]!) this.#runs.push(count);
      this.times.copyWithin(count, start, end);
      this.records.copyWithin(count, start, end);
      this.marks.copyWithin(count, start, end);
      count += end - start;
    }
    this.#count = count;
    this.#last = count === 0 ? Number.POSITIVE_INFINITY : this.times[count - 1]!;
    this.#heads = [];
    this.#ends = [];
    this.#heap = [];
  }

  /** The records that the runs begin with: no entry of a run was queued before its first. */
  firstRecords(): number[] {
    return this.#runs.map((start) => this.records[start]!);
  }

  #before(a: number, b: number): boolean {
    const timeA = this.times[this.#heads[a]!]!;
    const timeB = this.times[this.#heads[b]!]!;
    return timeA < timeB || (timeA === timeB && a < b);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      let least = at;
      for (let child = 2 * at + 1; child <= 2 * at + 2 && child < heap.length; child++) {
        if (this.#before(heap[child]!, heap[least]!)) least = child;
      }
      if (least === at) return;
      const run = heap[at]!;
      heap[at] = heap[least]!;
      heap[least] = run;
      at = least;
    }
  }

  #grow(): void {
    const length = this.times.length * 2;
    const times = new Float64Array(length);
    times.set(this.times);
    this.times = times;
    const records = new Uint32Array(length);
    records.set(this.records);
    this.records = records;
    const marks = new Uint16Array(length);
    marks.set(this.marks);
    this.marks = marks;
  }
}

const INITIAL = 1 << 12;
