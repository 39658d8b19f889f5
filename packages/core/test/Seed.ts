/** Properties try the same values each time; `BATCH_TEST_SEED` names others to try. */
import { FastCheck as fc } from "effect"

fc.configureGlobal({
  ...fc.readConfigureGlobal(),
  seed: Number(process.env["BATCH_TEST_SEED"] ?? 20_261_124)
})
