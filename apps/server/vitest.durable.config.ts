import { defineConfig } from "vitest/config"
import base from "./vitest.config.js"

export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["test/ManyStreams.test.ts"],
    env: { BATCH_TEST_STREAMS: "500" },
    reporters: ["default", ["json", { outputFile: ".test-results/durable.json" }]]
  }
})
