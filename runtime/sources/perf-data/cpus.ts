/** How many CPUs a recording needs where its header does not say: one pass over its samples. */
import { type CaptureInput, readFully } from "../input.ts";
import type { SampleLayout } from "./attr.ts";
import { checkedCpus, type PerfHeader, unsupported } from "./header.ts";
import { HEAD_BYTES, RECORD } from "./records.ts";

const BLOCK_BYTES = 1 << 20;

/** Highest recorded CPU + 1. Stops quietly at damage, which the reading proper will meet again and report. */
export async function countCpus(
  input: CaptureInput,
  header: PerfHeader,
  layouts: readonly SampleLayout[],
): Promise<number> {
  const places = new Set(layouts.map((layout) => layout.cpu));
  const [word] = places;
  if (places.size === 1 && word === -1) return 1;
  if (input.size === null) throw unsupported("a stream that does not say how many CPUs there were");
  if (places.size !== 1 || word === undefined) throw unsupported("several layouts of samples and no number of CPUs");
  const end = Math.min(header.dataEnd ?? input.size, input.size);
  const block = new Uint8Array(BLOCK_BYTES);
  const view = new DataView(block.buffer);
  let highest = 0;
  for (let base = header.dataStart; base < end; ) {
    const length = await readFully(input, block.subarray(0, Math.min(BLOCK_BYTES, end - base)), base);
    let at = 0;
    while (at + HEAD_BYTES <= length) {
      const size = view.getUint16(at + 6, true);
      if (size < HEAD_BYTES) return checkedCpus(highest + 1, base + at);
      if (at + size > length) break;
      if (view.getUint32(at, true) === RECORD.SAMPLE && word * 4 + 4 <= size) {
        highest = Math.max(highest, view.getUint32(at + word * 4, true));
      }
      at += size;
    }
    if (at === 0) break;
    base += at;
  }
  return checkedCpus(highest + 1, header.dataStart);
}
