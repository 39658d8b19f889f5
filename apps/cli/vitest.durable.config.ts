import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test-durable/**/*.test.ts"],
    testTimeout: 1_800_000,
    hookTimeout: 120_000,
    reporters: ["default", ["json", { outputFile: ".test-results/durable.json" }]]
  }
})
