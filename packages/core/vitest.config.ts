import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    // Ends a test that hangs. A loaded machine takes long.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    setupFiles: ["test/Seed.ts"],
    maxWorkers: 2,
    minWorkers: 1,
    reporters: ["default", ["json", { outputFile: ".test-results/results.json" }]],
    typecheck: { enabled: false },
    // Loading Effect anew for each file would take longer than the tests.
    isolate: false,
    include: ["test/**/*.test.ts"]
  }
})
