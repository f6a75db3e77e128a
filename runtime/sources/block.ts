/**
 * What records of the block layer show as letters and errno, as the numbers that the kernel's structs hold.
 * Source: blk_fill_rwbs() in kernel/trace/blktrace.c, enum req_op and req_flag_bits, blk_errors[] in block/blk-core.c.
 */
import { ERRNO } from "../../spec/index.ts";

const EREMOTEIO = 121;
const EBADE = 52;
const EILSEQ = 84;
const STATUS_IO_ERROR = 10;

/** -errno of a record → blk_status_t. */
const STATUS: ReadonlyMap<number, number> = new Map([
  [0, 0],
  [-ERRNO.EOPNOTSUPP, 1],
  [-ERRNO.ETIMEDOUT, 2],
  [-ERRNO.ENOSPC, 3],
  [-ERRNO.ENOLINK, 4],
  [-EREMOTEIO, 5],
  [-EBADE, 6],
  [-ERRNO.ENODATA, 7],
  [-EILSEQ, 8],
  [-ERRNO.ENOMEM, 9],
  [-ERRNO.EIO, STATUS_IO_ERROR],
  [-ERRNO.EAGAIN, 12],
]);

/** What has no number of its own is an I/O error, as in the kernel. */
export const blockStatusOf = (error: number): number => STATUS.get(error) ?? STATUS_IO_ERROR;

const letter = (text: string): number => text.charCodeAt(0);
const PREFLUSH_OR_FUA = letter("F");
const ERASE = letter("E");

const OPERATIONS: ReadonlyMap<number, number> = new Map([
  [letter("R"), 0],
  [letter("W"), 1],
  [letter("D"), 3],
  [letter("N"), 34],
]);
const FLUSH = 2;
const SECURE_ERASE = 5;
const FLAGS: ReadonlyMap<number, number> = new Map([
  [letter("S"), 1 << 11],
  [letter("M"), 1 << 12],
  [letter("A"), 1 << 19],
]);
const FUA = 1 << 17;
const PREFLUSH = 1 << 18;

/** blk_opf_t of the letters, which end at a zero: `FWS` is a write with preflush and sync. */
export function operationOf(letters: Uint8Array): number {
  const end = letters.indexOf(0);
  const text = end < 0 ? letters : letters.subarray(0, end);
  const leads = text[0] === PREFLUSH_OR_FUA;
  // an F alone, or before flags alone, is the operation itself
  const at = leads && OPERATIONS.has(text[1] ?? 0) ? 1 : 0;
  let result = at === 1 ? PREFLUSH : 0;
  let next = at + 1;
  if (leads && at === 0) result |= FLUSH;
  else if (text[at + 1] === ERASE) {
    result |= SECURE_ERASE;
    next++;
  } else result |= OPERATIONS.get(text[at] ?? 0) ?? 0;
  for (const flag of text.subarray(next)) result |= flag === PREFLUSH_OR_FUA ? FUA : (FLAGS.get(flag) ?? 0);
  return result;
}
