/**
 * What holds for every file of tests, and is done anew before each, since files share their modules: properties try the same values each
 * time (`BATCH_TEST_SEED` names others to try), and `it` is itself again, which `layer` of `@effect/vitest` changes for good.
 */
import { effect, flakyTest, it, layer, prop, scoped } from "@effect/vitest"
import { FastCheck as fc } from "effect"

fc.configureGlobal({
  ...fc.readConfigureGlobal(),
  seed: Number(process.env["BATCH_TEST_SEED"] ?? 20_261_124)
})

Object.assign(it, { effect, flakyTest, layer, prop, scoped })
