import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Loading Effect and the sandbox anew for each file would cost two seconds of CPU each.
    isolate: false,
    setupFiles: ["test/Setup.ts"],
    reporters: ["default", ["json", { outputFile: ".test-results/results.json" }]],
    typecheck: { enabled: false },
    // Most of their time tests wait for processes.
    maxWorkers: 2,
    minWorkers: 1,
    // Ends a test that hangs. A loaded machine takes long.
    testTimeout: 120_000,
    hookTimeout: 120_000
  }
})
