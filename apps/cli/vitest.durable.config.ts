import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test-durable/**/*.test.ts", "test/Crash.test.ts", "test/FaultTable.test.ts"],
    env: { BATCH_TEST_CRASHES: "all", BATCH_TEST_FAULTS: "all" },
    testTimeout: 1_800_000,
    hookTimeout: 120_000,
    reporters: ["default", ["json", { outputFile: ".test-results/durable.json" }]]
  }
})
