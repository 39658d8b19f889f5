import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    isolate: false,
    include: ["test/**/*.test.ts"],
    // Ends a test that hangs. A loaded machine takes long.
    testTimeout: 120_000,
    maxWorkers: 2,
    hookTimeout: 120_000,
    reporters: ["default", ["json", { outputFile: ".test-results/results.json" }]],
    typecheck: { enabled: false }
  }
})
