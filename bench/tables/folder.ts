/** A temporary folder for files that a table writes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** It is there until the last row has been taken. */
export async function* inFolder<Row>(rows: (folder: string) => AsyncIterable<Row>): AsyncIterable<Row> {
  const folder = mkdtempSync(join(tmpdir(), "bpfjit-bench-"));
  try {
    yield* rows(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
