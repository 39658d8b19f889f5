import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    isolate: false,
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    reporters: ["default", ["json", { outputFile: ".test-results/results.json" }]],
    typecheck: { enabled: false }
  }
})
