/**
 * Puts records into order of time. The buffers of the CPUs come one after the other, round by round (that is how perf writes
 * them, and how a live source reads them); within a buffer time ascends. So what is queued falls into a few ascending runs,
 * and merging runs in pairs gives the order: by time, then as queued, which is how perf orders them too.
 *
 * After a round's end, everything up to the latest time of the round before it is final: a buffer that was read in this
 * round had been read in that one as well. The consumer draws that limit.
 */

export class RunQueue {
  // columns: one entry a record
  times = new Float64Array(INITIAL);
  /** where the record lies */
  records = new Uint32Array(INITIAL);
  /** the consumer's own mark */
  marks = new Uint16Array(INITIAL);
  /** after begin(): the entries that come next, in their order, as indices of the columns */
  order = new Uint32Array(INITIAL);
  /** how many of them */
  ready = 0;
  #spare = new Uint32Array(INITIAL);
  #count = 0;
  /** first entry of each run, in the order in which they were queued */
  #runs: number[] = [];
  /** behind the last entry of each run that is within the limit */
  #cuts: number[] = [];
  #latest = Number.NEGATIVE_INFINITY;
  #last = Number.POSITIVE_INFINITY;

  /** latest time that was ever queued */
  get latest(): number {
    return this.#latest;
  }
  get length(): number {
    return this.#count;
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

  /** Sets `order` to the entries up to and including `limit`. Nothing may be queued until finish(). */
  begin(limit: number): void {
    this.#cuts = this.#runs.map((start, run) => this.#cut(start, this.#end(run), limit));
    let ends: number[] = [];
    let count = 0;
    for (const [run, start] of this.#runs.entries()) {
      const cut = this.#cuts[run]!;
      if (cut === start) continue;
      for (let entry = start; entry < cut; entry++) this.order[count++] = entry;
      ends.push(count);
    }
    this.ready = count;
    while (ends.length > 1) ends = this.#mergePairs(ends);
  }

  /** Forgets what begin() gave; what lies beyond its limit stays queued, in its order. */
  finish(): void {
    const { times, records, marks } = this;
    let count = 0;
    const runs: number[] = [];
    for (const [run, cut] of this.#cuts.entries()) {
      const end = this.#end(run);
      if (cut === end) continue;
      if (count === 0 || times[cut]! < times[count - 1]!) runs.push(count);
      times.copyWithin(count, cut, end);
      records.copyWithin(count, cut, end);
      marks.copyWithin(count, cut, end);
      count += end - cut;
    }
    this.#runs = runs;
    this.#cuts = [];
    this.#count = count;
    this.#last = count === 0 ? Number.POSITIVE_INFINITY : times[count - 1]!;
    this.ready = 0;
  }

  /** The records that the runs begin with: no entry of a run was queued before its first. */
  firstRecords(): number[] {
    return this.#runs.map((start) => this.records[start]!);
  }

  #end(run: number): number {
    return this.#runs[run + 1] ?? this.#count;
  }

  /** First entry of [start, end), which ascends, that is later than `limit`. */
  #cut(start: number, end: number, limit: number): number {
    let low = start;
    let high = end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.times[middle]! <= limit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Merges neighbouring parts of `order`, which end at `ends`; an equal time goes to the left one. Returns the new ends. */
  #mergePairs(ends: readonly number[]): number[] {
    const { times } = this;
    const from = this.order;
    const to = this.#spare;
    const merged: number[] = [];
    for (let pair = 0; pair < ends.length; pair += 2) {
      let left = ends[pair - 1] ?? 0;
      const leftEnd = ends[pair]!;
      let right = leftEnd;
      const rightEnd = ends[pair + 1] ?? leftEnd;
      let out = left;
      while (left < leftEnd && right < rightEnd) {
        const a = from[left]!;
        const b = from[right]!;
        if (times[b]! < times[a]!) {
          to[out++] = b;
          right++;
        } else {
          to[out++] = a;
          left++;
        }
      }
      while (left < leftEnd) to[out++] = from[left++]!;
      while (right < rightEnd) to[out++] = from[right++]!;
      merged.push(out);
    }
    this.order = to;
    this.#spare = from;
    return merged;
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
    this.order = new Uint32Array(length);
    this.#spare = new Uint32Array(length);
  }
}

const INITIAL = 1 << 12;
