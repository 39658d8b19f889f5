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
    projects: [
      // Loading Effect anew for each file would take longer than the tests.
      {
        extends: true,
        test: {
          name: "units",
          include: ["test/**/*.test.ts"],
          exclude: ["test/download/*.test.ts"],
          isolate: false
        }
      },
      { extends: true, test: { name: "downloads", include: ["test/download/*.test.ts"] } }
    ]
  }
})
