/** Which of several sorted queues goes next. */
interface Timed {
  readonly hasRecord: boolean;
  /** ns of the next record, where there is one */
  readonly headTime: bigint;
}

/** The cursor whose next record is the oldest. */
export function earliest<Cursor extends Timed>(cursors: readonly Cursor[]): Cursor | undefined {
  let found: Cursor | undefined;
  for (const cursor of cursors) {
    if (cursor.hasRecord && (found === undefined || cursor.headTime < found.headTime)) found = cursor;
  }
  return found;
}
