/** Before each file of tests, since files share their modules: `it` is itself again, which `layer` of `@effect/vitest` changes for good. */
import { effect, flakyTest, it, layer, prop, scoped } from "@effect/vitest"

Object.assign(it, { effect, flakyTest, layer, prop, scoped })
