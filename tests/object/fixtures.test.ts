/** The committed objects are what clang 19 makes of their sources. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const FOLDER = fileURLToPath(new URL("fixtures/", import.meta.url));
const hasClang = spawnSync("sh", ["-c", "command -v clang-19 && command -v llvm-strip-19"]).status === 0;

describe.skipIf(!hasClang)("fixtures", () => {
  it("rebuild to the same bytes", () => {
    const folder = mkdtempSync(join(tmpdir(), "bpfjit-"));
    try {
      execFileSync("sh", [`${FOLDER}build.sh`, folder]);
      const objects = readdirSync(FOLDER).filter((file) => file.endsWith(".bpf.o"));
      expect(readdirSync(folder).sort()).toEqual(objects.sort());
      for (const file of objects)
        expect(readFileSync(join(folder, file)).equals(readFileSync(FOLDER + file)), file).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
