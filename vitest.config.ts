import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
    // .ci/run takes its closing line from the second one.
    reporters: ["default", ["json", { outputFile: "out/tests.json" }]],
  },
});
