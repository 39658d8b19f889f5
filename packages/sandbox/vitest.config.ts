import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    isolate: false,
    include: ["test/**/*.test.ts"],
    reporters: ["default", ["json", { outputFile: ".test-results/results.json" }]],
    typecheck: { enabled: false }
  }
})
