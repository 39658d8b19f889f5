import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["*.test.ts"],
    reporters: ["default", ["json", { outputFile: ".test-results/results.json" }]],
    typecheck: { enabled: false },
    // Ends a test that hangs. A loaded machine takes long.
    testTimeout: 120_000,
    maxWorkers: 2,
    hookTimeout: 120_000
  }
})
